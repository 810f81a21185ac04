"""Corrections by hand: edits of the layer that can be taken back."""

from __future__ import annotations

import time

import pytest
from desk import algorithm_dialogs, events, until
from qgis.core import NULL, QgsFeature, QgsProject, QgsVectorLayer
from qgis.gui import QgsBrowserGuiModel
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication
from test_dock_results import detections

from qgis_plugin.gui.census import Census
from qgis_plugin.gui.dock import GeoDetectDock
from qgis_plugin.gui.filtering import Filter
from qgis_plugin.gui.review import ReviewError, mark, next_open, relabel

LEFT = Qt.MouseButton.LeftButton
SCORES = {"plane": (0.1, 0.3, 0.5, 0.7, 0.9), "ship": (0.2, 0.4, 0.6)}


@pytest.fixture(params=["memory", "GPKG"])
def layer(request, tmp_path, qgis_new_project):
    made = detections(None if request.param == "memory" else tmp_path, SCORES)
    yield made
    made.rollBack()


@pytest.fixture
def dock(desk, provider, layer):
    made = GeoDetectDock(desk)
    desk.canvas.setDestinationCrs(layer.crs())
    desk.canvas.setExtent(layer.extent())
    desk.show(made)
    made.tabs.setCurrentIndex(1)
    assert made.results.layer is layer
    assert until(lambda: made.results._census is not None)
    yield made
    made.shutdown()


def with_score(layer, score):
    return next(feature.id() for feature in layer.getFeatures() if abs(feature["score"] - score) < 1e-6)


def reviews(layer):
    return {round(f["score"], 2): f["review"] for f in layer.getFeatures() if f["review"] not in (NULL, None, "")}


def click(button):
    assert button.isEnabled(), button.text()
    QTest.mouseClick(button, LEFT)


def key(dock, letter):
    dock.results.review.next.setFocus()
    QTest.keyClick(QApplication.focusWidget(), letter)


def test_accept_reject_and_take_back(dock, layer, desk):
    review = dock.results.review
    review.onward.setChecked(False)
    before = [feature.attributes() for feature in layer.getFeatures()]
    layer.selectByIds([with_score(layer, 0.9), with_score(layer, 0.6)])
    assert review.state.text() == "2 detections are selected."
    click(review.accept)
    layer.selectByIds([with_score(layer, 0.1)])
    click(review.reject)
    assert review.state.text() == "plane, 0.10, rejected"
    assert reviews(layer) == {0.9: "accepted", 0.6: "accepted", 0.1: "rejected"}
    assert desk.activeLayer() is layer  # Ctrl+Z is for the active layer
    stack = layer.undoStack()
    assert [stack.text(place) for place in range(stack.count())] == ["Accept detections", "Reject detections"]
    stack.undo()
    assert reviews(layer) == {0.9: "accepted", 0.6: "accepted"}
    stack.redo()
    assert reviews(layer)[0.1] == "rejected"
    stack.undo()
    stack.undo()
    assert "review" not in layer.fields().names()
    assert [feature.attributes() for feature in layer.getFeatures()] == before


def test_saved_edits_are_in_the_file_and_the_filter(dock, layer):
    review = dock.results.review
    layer.selectByIds([with_score(layer, 0.9)])
    click(review.reject)
    assert review.save.isEnabled()
    click(review.save)
    assert not layer.isEditable()
    assert reviews(layer) == {0.9: "rejected"}
    assert until(lambda: dock.results.total.text() == "8 of 8 detections are shown; reviewed: 1.")
    shown = dock.results.reviewed
    for value, number in (("kept", 7), ("open", 7), ("accepted", 0), ("all", 8)):
        shown.setCurrentIndex(shown.findData(value))
        assert until(lambda number=number: layer.featureCount() == number, 2), value
        assert dock.results.total.text().startswith(f"{number} of 8 ")


def test_relabel_gives_name_and_number(dock, layer):
    review = dock.results.review
    fid = with_score(layer, 0.9)
    layer.selectByIds([fid])
    review.classes.setCurrentText("ship")
    click(review.relabel)
    assert (layer.getFeature(fid)["class"], layer.getFeature(fid)["class_id"]) == ("ship", 1)
    review.classes.setCurrentText("tug")  # a class that nobody knows
    click(review.relabel)
    assert (layer.getFeature(fid)["class"], layer.getFeature(fid)["class_id"]) == ("tug", NULL)
    layer.undoStack().undo()
    layer.undoStack().undo()
    assert (layer.getFeature(fid)["class"], layer.getFeature(fid)["class_id"]) == ("plane", 0)


def test_relabel_to_a_class_that_is_not_shown_gives_its_number_too(layer):
    fid = with_score(layer, 0.9)
    assert layer.setSubsetString("\"class\" = 'plane'")
    relabel(layer, [fid], "ship")
    assert (layer.getFeature(fid)["class"], layer.getFeature(fid)["class_id"]) == ("ship", 1)


def test_next_goes_down_by_score_and_to_the_map(dock, layer, desk):
    review = dock.results.review
    seen = []
    for _ in range(9):
        click(review.next)
        feature = layer.selectedFeatures()[0]
        seen.append(round(feature["score"], 2))
        assert desk.canvas.extent().contains(feature.geometry().boundingBox())
    assert seen == [0.9, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.9]
    assert min(desk.canvas.extent().width(), desk.canvas.extent().height()) < 20 * 8  # near enough to see a box of 8 m


def test_what_is_reviewed_is_seen_through_its_selection(dock, desk):
    before = desk.canvas.selectionColor()
    assert before.alpha() == 255
    click(dock.results.review.next)
    assert desk.canvas.selectionColor().alpha() < 100
    dock.shutdown()
    assert desk.canvas.selectionColor() == before


def test_the_scale_is_kept_where_it_suits(dock, layer, desk):
    click(dock.results.review.next)
    desk.canvas.zoomByFactor(1.3)
    scale = desk.canvas.scale()
    click(dock.results.review.next)
    assert desk.canvas.scale() == pytest.approx(scale)


def test_the_keys_go_through_all(dock, layer):
    key(dock, "N")
    for letter in "ARARARAR":
        key(dock, letter)
    expected = dict(zip((0.9, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1), ("accepted", "rejected") * 4, strict=True))
    assert reviews(layer) == expected
    assert dock.results.review.state.text() == "Every detection that is shown is reviewed."
    assert layer.selectedFeatureCount() == 0


def test_letters_typed_as_a_class_are_letters(dock, layer):
    review = dock.results.review
    layer.selectByIds([with_score(layer, 0.9)])
    review.classes.setFocus()
    review.classes.lineEdit().selectAll()
    QTest.keyClicks(review.classes.lineEdit(), "AR")
    assert review.classes.currentText() == "AR"
    assert not layer.isEditable()


def test_keys_elsewhere_in_the_dock_review_nothing(dock, layer):
    layer.selectByIds([with_score(layer, 0.9)])
    dock.results.slider.setFocus()
    QTest.keyClick(dock.results.slider, "A")
    assert not layer.isEditable()


def test_only_what_is_shown_is_gone_through(dock, layer):
    dock.results.slider.setValue(60)
    dock.results.apply()
    seen = set()
    for _ in range(5):
        click(dock.results.review.next)
        seen.add(round(layer.selectedFeatures()[0]["score"], 2))
    assert seen == {0.6, 0.7, 0.9}


def test_equal_scores_are_all_come_by(qgis_new_project):
    layer = detections(scores={"plane": (0.5, 0.5, 0.5)})
    seen, feature = [], None
    for _ in range(3):
        feature = next_open(layer, feature)
        seen.append(feature.id())
    assert len(set(seen)) == 3


def test_a_layer_that_cannot_be_edited_says_so(dock, desk, tmp_path, layer):
    path = tmp_path / "read.csv"
    path.write_text("class,score\nplane,0.5\n", "utf-8")
    fixed = QgsVectorLayer(f"file://{path}?delimiter=,&detectTypes=yes", "list", "delimitedtext")
    assert fixed.isValid()
    QgsProject.instance().addMapLayer(fixed)
    desk.setActiveLayer(fixed)
    assert dock.results.layer is fixed
    fixed.selectAll()
    click(dock.results.review.accept)
    assert "“list” cannot be edited" in desk.said()[0]
    with pytest.raises(ReviewError):
        relabel(fixed, [1], "ship")


class Stubborn(QgsVectorLayer):
    """A layer that refuses the second change."""

    def changeAttributeValue(self, fid, field, value):
        return fid < 2 and super().changeAttributeValue(fid, field, value)


def test_an_edit_that_fails_leaves_nothing(layer, qgis_new_project):
    stubborn = Stubborn("Polygon?field=class:string&field=score:double", "stubborn", "memory")
    for _ in range(2):
        stubborn.dataProvider().addFeatures([QgsFeature(stubborn.fields())])
    with pytest.raises(ReviewError, match="A feature of “stubborn” cannot be changed"):
        mark(stubborn, [1, 2], "accepted")
    assert not stubborn.isEditable()
    assert stubborn.startEditing()
    with pytest.raises(ReviewError):
        mark(stubborn, [1, 2], "accepted")
    assert stubborn.isEditable()
    assert "review" not in stubborn.fields().names()
    assert stubborn.undoStack().count() == 0
    stubborn.rollBack()


def test_next_is_quick_in_a_large_layer(tmp_path, qgis_new_project):
    """It reads few of the features where it is told where to begin, and finds the same."""
    scores = {"plane": tuple(number / 50_000 for number in range(50_000)), "ship": (0.5,) * 1000}
    layer = detections(tmp_path, scores)
    census = Census({(name, ""): sorted(values) for name, values in scores.items()})

    def quickly(after=None):
        begun = time.monotonic()
        found = next_open(layer, after, lambda highest, number: census.floor(Filter(), highest, number))
        times.append(time.monotonic() - begun)
        return found

    begun = time.monotonic()
    feature = next_open(layer)
    slow, times = time.monotonic() - begun, []
    assert quickly().id() == feature.id()
    mark(layer, [number for number in range(layer.featureCount(), 0, -1) if 46_000 < number <= 50_000], "accepted")
    for _ in range(3):  # the first 4,000 are reviewed, and not saved yet
        feature, before = quickly(feature), feature
        assert feature["score"] < before["score"]
    assert feature["score"] == pytest.approx((46_000 - 3) / 50_000)
    feature = next(layer.getFeatures("\"class\" = 'ship'"))
    assert quickly(feature).id() == feature.id() + 1
    print("next of 51000:", round(slow, 3), "s, with a floor", [round(time, 3) for time in times])
    assert min(times) < slow / 2
    layer.rollBack()


def test_where_to_begin():
    census = Census(
        {("plane", ""): [0.1, 0.2, 0.3, 0.4, float("inf")], ("plane", "rejected"): [0.35], ("ship", ""): [0.25]}
    )
    everything, none = Filter(), float("-inf")
    assert census.floor(everything, float("inf"), 2) == 0.3
    assert census.floor(everything, 0.3, 2) == 0.25
    assert census.floor(everything, 0.3, 9) == none
    assert census.floor(Filter({"plane": 0.2}, frozenset({"ship"})), 0.3, 2) == 0.2
    assert census.floor(Filter({"plane": 0.2}, frozenset({"ship"})), 0.3, 3) == none


def test_the_panel_tells_where_to_begin(dock):
    assert dock.results.review._floor(float("inf"), 3) == 0.6


def test_export_opens_the_dialog_filled_in(dock, layer, desk, image, qgis_iface):
    browser = QgsBrowserGuiModel()
    qgis_iface.browserModel = lambda: browser  # Processing asks for it
    layer.setCustomProperty("geodetect/source", image.source())
    layer.selectByIds([with_score(layer, 0.9)])
    dock.results.review.onward.setChecked(False)
    click(dock.results.review.reject)
    click(dock.results.review.training)
    events(0.2)
    (dialog,) = algorithm_dialogs()
    assert dialog.algorithm().id() == "geodetect:trainingdata"
    parameters = dialog.createProcessingParameters()
    assert parameters["LABELS"] == layer.id()  # all of it: the algorithm leaves out what was rejected
    assert parameters["CLASS_FIELD"] == "class"
    assert parameters["SCENES"] == [image.id()] or parameters["SCENES"] == [image.source()]
    assert [layer.getFeature(fid)["score"] for fid in layer.selectedFeatureIds()] == [0.9]  # as the user left it
    assert desk.said() == []
    dialog.close()
    dialog.deleteLater()
