"""Results in the dock: filtered live, counted, kept with the project."""

from __future__ import annotations

import pytest
from desk import Gaps, events, until
from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsRectangle, QgsVectorFileWriter, QgsVectorLayer
from qgis.PyQt import sip
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest

from qgis_plugin.gui.census import Census
from qgis_plugin.gui.dock import GeoDetectDock
from qgis_plugin.gui.filtering import Filter, apply_filter, stored_filter

SCORES = {"plane": (0.1, 0.3, 0.5, 0.7, 0.9), "ship": (0.2, 0.4, 0.6), "o'brien's": (0.55,)}


def detections(tmp_path=None, scores=SCORES, driver="GPKG", name="found"):
    """Return a layer of detections: in memory, or in a file."""
    layer = QgsVectorLayer(
        "Polygon?crs=EPSG:32631&field=class:string(40)&field=class_id:integer&field=score:double", name, "memory"
    )
    features = []
    for number, (of_class, values) in enumerate(scores.items()):
        for score in values:
            feature = QgsFeature(layer.fields())
            left = 500_000 + 10 * len(features)
            feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(left, 4_999_900, left + 8, 4_999_908)))
            feature.setAttributes([of_class, number, score])
            features.append(feature)
    layer.dataProvider().addFeatures(features)
    if tmp_path is not None:
        options = QgsVectorFileWriter.SaveVectorOptions()
        options.driverName = driver
        path = str(tmp_path / f"{name}.{ {'GPKG': 'gpkg', 'GeoJSON': 'geojson'}[driver] }")
        QgsVectorFileWriter.writeAsVectorFormatV3(layer, path, QgsProject.instance().transformContext(), options)
        layer = QgsVectorLayer(path, name, "ogr")
    assert layer.isValid()
    QgsProject.instance().addMapLayer(layer)
    return layer


@pytest.fixture(params=["memory", "GPKG", "GeoJSON"])
def layer(request, tmp_path, qgis_new_project):
    return detections(None if request.param == "memory" else tmp_path, driver=request.param)


@pytest.fixture
def panel(desk, provider, layer):
    """The results' page, looking at the layer."""
    made = GeoDetectDock(desk)
    desk.show(made)
    made.tabs.setCurrentIndex(1)
    assert made.results.layer is layer
    assert until(lambda: made.results._census is not None)
    yield made.results
    if not sip.isdeleted(layer):
        layer.rollBack()
    made.shutdown()


def shown(layer):
    return sorted((feature["class"], round(feature["score"], 2)) for feature in layer.getFeatures())


def expected(**least):
    return sorted((name, score) for name, scores in SCORES.items() for score in scores if score >= least.get(name, 2))


def texts(panel):
    tree = panel.classes.tree
    return {tree.topLevelItem(row).text(0): tree.topLevelItem(row).text(2) for row in range(tree.topLevelItemCount())}


def test_the_slider_filters_all_classes(panel, layer):
    assert texts(panel) == {"plane": "5 / 5", "ship": "3 / 3", "o'brien's": "1 / 1"}
    panel.slider.setValue(50)
    assert texts(panel) == {"plane": "3 / 5", "ship": "1 / 3", "o'brien's": "1 / 1"}  # at once
    assert layer.subsetString() == ""  # but the layer waits for the slider to rest
    assert until(lambda: layer.subsetString() != "", 1)
    assert shown(layer) == sorted([("plane", 0.5), ("plane", 0.7), ("plane", 0.9), ("ship", 0.6), ("o'brien's", 0.55)])
    assert panel.total.text() == "5 of 9 detections are shown."
    assert panel.value.text() == "0.50"


def test_the_slider_by_the_keyboard(panel, layer):
    panel.slider.setFocus()
    for _ in range(12):
        QTest.keyClick(panel.slider, Qt.Key.Key_PageUp)
    assert until(lambda: layer.featureCount() == 3, 1)
    assert panel.value.text() == "0.60"


def test_ticks_and_scores_by_class(panel, layer):
    tree = panel.classes.tree
    row = next(row for row in range(3) if tree.topLevelItem(row).text(0) == "ship")
    tree.topLevelItem(row).setCheckState(0, Qt.CheckState.Unchecked)
    panel.classes._spins["plane"].setValue(0.7)
    assert until(lambda: layer.subsetString() != "", 1)
    assert shown(layer) == sorted([("plane", 0.7), ("plane", 0.9), ("o'brien's", 0.55)])
    assert texts(panel)["ship"] == "0 / 3"
    assert panel.value.text() == "0.00–0.70"
    panel.classes.set_ticked([])
    assert until(lambda: layer.featureCount() == 0, 1)


def test_many_moves_filter_once(panel, layer):
    changes = []
    layer.subsetStringChanged.connect(lambda: changes.append(layer.subsetString()))
    for value in range(10, 60):
        panel.slider.setValue(value)
        events(0.002)
    assert until(lambda: changes, 1)
    events(0.4)
    assert len(changes) == 1
    assert "0.589999" in changes[0]


@pytest.mark.parametrize("layer", ["GPKG", "GeoJSON"], indirect=True)
def test_a_filter_survives_the_project(panel, layer, desk, tmp_path):
    panel.slider.setValue(50)
    panel.classes.set_ticked(["plane"])
    panel.apply()
    path = str(tmp_path / "project.qgz")
    assert QgsProject.instance().write(path)
    QgsProject.instance().clear()
    assert panel.layer is None
    assert QgsProject.instance().read(path)
    assert until(lambda: panel._census is not None and panel.layer is not None)
    assert shown(panel.layer) == [("plane", 0.5), ("plane", 0.7), ("plane", 0.9)]
    assert texts(panel) == {"plane": "3 / 5", "ship": "0 / 3", "o'brien's": "0 / 1"}
    assert panel.slider.value() == 50
    assert panel.classes.ticked() == ["plane"]
    panel.slider.setValue(0)
    panel.classes.set_ticked(panel.classes.names())
    assert until(lambda: panel.layer.featureCount() == 9, 1)
    assert panel.layer.subsetString() == ""


def test_the_users_own_filter_is_the_ground(panel, layer):
    layer.setSubsetString("\"class\" <> 'ship'")
    assert until(lambda: set(texts(panel)) == {"plane", "o'brien's"})
    panel.slider.setValue(60)
    assert until(lambda: layer.featureCount() == 2, 1)
    panel.slider.setValue(0)
    assert until(lambda: layer.subsetString() == "(\"class\" <> 'ship')", 1)


def test_what_the_user_drew_is_shown_at_any_score(panel, layer):
    assert layer.startEditing()
    drawn = QgsFeature(layer.fields())
    drawn.setGeometry(QgsGeometry.fromRect(QgsRectangle(500_500, 4_999_900, 500_510, 4_999_910)))
    drawn[layer.fields().indexOf("class")] = "ship"
    assert layer.addFeature(drawn)
    assert layer.commitChanges()
    panel.slider.setValue(95)
    assert until(lambda: layer.featureCount() == 1, 1)
    assert until(lambda: texts(panel)["ship"] == "1 / 4")


def test_no_filter_while_the_layer_is_edited(panel, layer):
    assert layer.startEditing()
    assert not panel.slider.isEnabled()
    assert not panel.classes.isEnabled()
    assert panel.note.text() == "The layer is being edited: save the edits to filter it again."
    layer.rollBack()
    assert panel.slider.isEnabled()
    assert not panel.note.isVisible()


def test_a_move_that_editing_overtook_is_made_later(panel, layer):
    panel.slider.setValue(60)
    assert layer.startEditing()
    events(0.4)
    assert layer.subsetString() == ""
    layer.rollBack()
    assert until(lambda: layer.featureCount() == 3, 1)


def test_the_result_follows_the_active_layer(panel, layer, desk, tmp_path):
    other = detections(scores={"tank": (0.5,)}, name="other")
    assert panel.layer is layer
    desk.setActiveLayer(other)
    assert panel.layer is other
    assert until(lambda: texts(panel) == {"tank": "1 / 1"})
    plain = QgsVectorLayer("Point?field=class:string", "plain", "memory")
    QgsProject.instance().addMapLayer(plain)
    desk.setActiveLayer(plain)
    assert panel.layer is other
    assert [panel.combo.itemText(row) for row in range(panel.combo.count())] == ["found", "other"]
    QgsProject.instance().removeMapLayer(other)
    assert panel.layer is layer


def test_without_results_there_is_no_such_page(panel, layer):
    dock = panel.window().findChild(GeoDetectDock) or next(
        parent for parent in _parents(panel) if isinstance(parent, GeoDetectDock)
    )
    assert dock.tabs.isTabEnabled(1)
    QgsProject.instance().removeMapLayer(layer)
    assert not dock.tabs.isTabEnabled(1)
    assert dock.tabs.currentIndex() == 0


def test_a_layer_removed_amid_a_move(panel, layer):
    panel.slider.setValue(60)
    QgsProject.instance().removeMapLayer(layer)
    events(0.4)
    assert panel.layer is None


def test_counting_a_large_layer_holds_nothing_up(desk, provider, tmp_path, qgis_new_project):
    many = {name: tuple(number / 50_000 for number in range(50_000)) for name in ("plane", "ship")}
    layer = detections(tmp_path, scores=many)
    dock = GeoDetectDock(desk)
    desk.show(dock)
    gaps = Gaps()
    assert until(lambda: dock.results._census is not None)
    print("longest gap", round(gaps.worst, 3))
    assert gaps.worst < 0.2
    assert dock.results._census.counts(Filter({"plane": 0.5, "ship": 0.9}))["plane"] == (25_000, 50_000)
    assert layer.featureCount() == 100_000
    dock.shutdown()


def test_scores_in_float32_count_as_they_are_written(tmp_path, qgis_new_project):
    """An engine's 0.7 is 0.69999999: it is shown from 0.70 on, as the engine itself would."""
    layer = detections(tmp_path, scores={"plane": (0.699999988079071, 0.69)})
    assert apply_filter(layer, Filter({"plane": 0.7}))
    assert layer.featureCount() == 1
    assert Census({("plane", ""): [0.69, 0.699999988079071]}).counts(Filter({"plane": 0.7})) == {"plane": (1, 2)}


def test_a_stored_filter_that_cannot_be_read_is_none(qgis_new_project):
    layer = detections()
    assert stored_filter(layer) is None
    for nonsense in ("", "null", "{}", "[1]", '{"scores": 3}', "no JSON"):
        layer.setCustomProperty("geodetect/filter", nonsense)
        assert stored_filter(layer) is None


def _parents(widget):
    while widget is not None:
        yield widget
        widget = widget.parentWidget()
