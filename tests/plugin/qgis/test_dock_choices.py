"""What the dock lets choose, what it says of it, and what it remembers."""

from __future__ import annotations

import itertools
import re
import shutil
import sys

import pytest
from desk import events, until
from qgis.core import QgsApplication, QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAbstractButton, QLabel
from test_dock_results import detections

from qgis_plugin import models
from qgis_plugin.gui.dock import GeoDetectDock
from qgis_plugin.settings import recall

LEFT = Qt.MouseButton.LeftButton
XYZ = "type=xyz&url=http://127.0.0.1:9/%7Bz%7D/%7Bx%7D/%7By%7D.png&zmin=0&zmax=3"  # the discard port: nothing answers


def add(layer):
    QgsProject.instance().addMapLayer(layer)
    return layer


def again(desk, dock):
    """Close the dock for good and open a new one, as after a restart of QGIS."""
    dock.shutdown()
    made = GeoDetectDock(desk)
    desk.show(made)
    assert until(lambda: made.watch.ready and made.run.model.model is not None)
    return made


def test_the_image_follows_the_active_layer(dock, desk, image, scene_file):
    other = add(QgsRasterLayer(str(scene_file), "other"))
    desk.setActiveLayer(other)
    assert dock.run.raster.layer() is other
    desk.setActiveLayer(add(QgsVectorLayer("Point", "points", "memory")))
    assert dock.run.raster.layer() is other
    desk.setActiveLayer(image)
    assert dock.run.raster.layer() is image


def test_a_model_says_what_it_is(dock):
    box = dock.run.model
    assert box.value == models.DEFAULT
    assert box.about.text().replace("\N{WORD JOINER}", "") == "YOLOv3-Tiny · plane, ship · 0.3–3\N{NO-BREAK SPACE}m/px"
    assert "non-commercial" in box.licence.text()
    assert box.licence.isVisible()
    assert "Airbus" in box.licence.toolTip()
    row = box.combo.findData("yolov3-dota15")
    assert "Academic, non-commercial use only" in box.combo.itemData(row, Qt.ItemDataRole.ToolTipRole)
    box.combo.setCurrentIndex(row)
    assert box.about.text() == "YOLOv3 · 16 classes · 493 MB are downloaded first"
    assert len(dock.run.classes.names()) == 16
    assert dock.run.classes.tree.height() < 300  # the others are scrolled to


def test_a_model_in_a_folder(dock, desk, tmp_path):
    folder = tmp_path / "my model"
    bundled = next(model for model in dock.watch.models if model.state == "bundled")
    shutil.copytree(_folder(bundled.name), folder)
    dock.run.model.open_folder(str(folder))
    assert until(lambda: dock.run.model.value == str(folder), 10), desk.said()
    assert dock.run.model.combo.currentText() == "my model"
    assert dock.run.request().parameters["MODEL"] == str(folder)
    dock = again(desk, dock)
    assert until(lambda: dock.run.model.value == str(folder), 10), desk.said()
    assert dock.run.model.combo.count() == 4
    dock.shutdown()


def test_a_folder_without_model_is_refused(dock, desk, tmp_path):
    dock.run.model.open_folder(str(tmp_path))
    assert until(lambda: desk.said())
    assert f"{tmp_path} cannot be used as a model" in desk.said()[0]
    assert dock.run.model.value == models.DEFAULT
    assert recall("dock/model_folder", "?") == ""


def test_every_choice_is_remembered(dock, desk, tmp_path):
    run = dock.run
    run.model.combo.setCurrentIndex(run.model.combo.findData("yolov4-dota15"))
    run.classes.set_ticked(["ship", "harbor"])
    run.classes._spins["ship"].setValue(0.35)
    run.area.kind.setCurrentIndex(1)
    run.advanced.setCollapsed(False)
    run.advanced.tile.setValue(1024)
    run.advanced.overlap.setValue(0.4)
    run.advanced.threads.setValue(2)
    for combo, value in ((run.advanced.engine, "openvino"), (run.advanced.device, "cpu")):
        combo.setCurrentIndex(combo.findData(value))
    run.advanced.precision.setCurrentIndex(run.advanced.precision.findData("int8"))
    run.advanced.file.setFilePath(str(tmp_path / "found.gpkg"))
    dock.results.review.onward.setChecked(False)
    before = run.request().parameters
    dock = again(desk, dock)
    after = dock.run.request().parameters
    assert {**after, "EXTENT": None} == {**before, "EXTENT": None}
    expected = {"MODEL": "yolov4-dota15", "CLASSES": "ship,harbor", "SCORE": 0.05, "TILE_SIZE": 1024, "OVERLAP": 0.4,
                "THREADS": 2, "ENGINE": "openvino", "DEVICE": "cpu", "PRECISION": "int8"}  # fmt: skip
    assert {name: after[name] for name in expected} == expected
    assert after["OUTPUT"] == str(tmp_path / "found.gpkg")
    assert dock.run.request().start.scores["ship"] == 0.35
    assert not dock.run.advanced.isCollapsed()
    assert not dock.results.review.onward.isChecked()
    dock.shutdown()


def test_what_is_left_alone_is_left_to_model_and_engine(dock):
    assert set(dock.run.request().parameters) == {"INPUT", "MODEL", "CLASSES", "SCORE", "OUTPUT"}
    assert dock.run.request().parameters["CLASSES"] == ""
    assert dock.run.request().start.scores == dock.run.model.model.scores


def test_parameters_are_those_of_the_algorithm(dock):
    """Every name and value that the dock can give is one that the algorithm has."""
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("geodetect:detect")
    definitions = {definition.name(): definition for definition in algorithm.parameterDefinitions()}
    advanced = dock.run.advanced
    for name, combo in (("ENGINE", advanced.engine), ("DEVICE", advanced.device), ("PRECISION", advanced.precision)):
        assert [combo.itemData(row) for row in range(combo.count())] == definitions[name].options()
    assert {"INPUT", "MODEL", "CLASSES", "SCORE", "EXTENT", "AOI", "TILE_SIZE", "OVERLAP", "THREADS", "OUTPUT"} < set(
        definitions
    )


def test_no_class_no_run(dock):
    dock.run.classes.set_ticked([])
    assert not dock.footer.detect.isEnabled()
    assert dock.footer.status.text() == "Tick a class to look for."
    assert dock.footer.detect.toolTip() == "Tick a class to look for."
    dock.run.classes.set_ticked(["ship"])
    assert dock.footer.detect.isEnabled()
    assert not dock.footer.status.isVisible()


def test_a_class_is_ticked_by_the_keyboard(dock):
    tree = dock.run.classes.tree
    tree.setFocus()
    tree.setCurrentItem(tree.topLevelItem(1))
    QTest.keyClick(tree, Qt.Key.Key_Space)
    assert dock.run.classes.ticked() == ["plane"]


def test_an_engine_that_is_missing_is_a_state(desk, provider, image, monkeypatch, engine):
    monkeypatch.setenv("GEODETECT_PYTHON", "/nowhere/python")
    dock = GeoDetectDock(desk)
    asked = []
    monkeypatch.setattr(GeoDetectDock, "install_engine", lambda self: asked.append(self))
    dock.banner.install.clicked.disconnect()
    dock.banner.install.clicked.connect(dock.install_engine)
    desk.show(dock)
    assert until(lambda: dock.banner.isVisible())
    assert dock.banner.install.text() == "&Install the engine…"
    assert not dock.footer.detect.isEnabled()
    assert desk.said() == []
    QTest.mouseClick(dock.banner.install, LEFT)
    assert asked == [dock]
    monkeypatch.setenv("GEODETECT_PYTHON", engine)
    dock.watch.refresh(anew=True)
    assert dock.footer.status.text() == "Looking for the engine…"
    assert until(lambda: dock.footer.detect.isEnabled())
    assert not dock.banner.isVisible()
    dock.shutdown()


def test_a_python_without_engine_is_a_state(desk, provider, image, monkeypatch):
    monkeypatch.setenv("GEODETECT_PYTHON", "/usr/bin/python3")
    dock = GeoDetectDock(desk)
    desk.show(dock)
    assert until(lambda: dock.banner.isVisible())
    assert "geodetect does not start in /usr/bin/python3" in dock.banner.text.text()
    assert dock.banner.install.text() == "Repa&ir the engine…"
    assert not dock.footer.detect.isEnabled()
    dock.shutdown()


def test_an_engine_of_another_protocol_is_a_state(desk, provider, image, monkeypatch, tmp_path):
    newer = tmp_path / "python"
    hello = '{"type": "hello", "protocol": 99, "geodetect": "9.0"}'
    newer.write_text(f"#!/bin/sh\necho '{hello}'\nsleep 5\n", "utf-8")
    newer.chmod(0o755)
    monkeypatch.setenv("GEODETECT_PYTHON", str(newer))
    dock = GeoDetectDock(desk)
    desk.show(dock)
    assert until(lambda: dock.banner.isVisible())
    assert "geodetect 9.0 and speaks protocol 99" in dock.banner.text.text()
    assert "Update the plugin." in dock.banner.text.text()
    assert not dock.footer.detect.isEnabled()
    dock.shutdown()


def test_an_engine_that_goes_is_noticed_by_the_next_run(dock, desk, monkeypatch):
    monkeypatch.setenv("GEODETECT_PYTHON", "/nowhere/python")
    QTest.mouseClick(dock.footer.detect, LEFT)
    assert until(lambda: not dock.footer.running)
    assert "/nowhere/python does not exist." in desk.said()[0]
    assert until(lambda: dock.banner.isVisible())
    assert not dock.footer.detect.isEnabled()


def test_a_web_map_is_to_be_exported(dock, desk):
    service = add(QgsRasterLayer(XYZ, "world map", "wms"))
    desk.setActiveLayer(service)
    assert dock.run.raster.note.text().startswith("This is a web map service")
    assert not dock.footer.detect.isEnabled()
    QTest.mouseClick(dock.run.raster.export, LEFT)
    assert desk.exported == [service]


def test_an_image_without_crs_is_told_of_and_taken(dock, desk, image):
    image.setCrs(QgsCoordinateReferenceSystem())
    assert "no CRS" in dock.run.raster.note.text()
    assert not dock.run.raster.export.isVisible()
    assert dock.footer.detect.isEnabled()
    image.setCrs(QgsCoordinateReferenceSystem("EPSG:32631"))
    assert not dock.run.raster.note.isVisible()


def test_no_image(dock):
    QgsProject.instance().removeAllMapLayers()
    assert not dock.footer.detect.isEnabled()
    assert dock.footer.status.text() == "Add an image to the project first."


@pytest.mark.parametrize("page", [0, 1])
def test_it_fits_into_320_pixels(dock, page):
    dock.run.advanced.setCollapsed(False)
    dock.tabs.setCurrentIndex(page)
    assert dock.minimumSizeHint().width() <= 320
    panel = (dock.run, dock.results)[page]
    assert panel.minimumSizeHint().width() <= 320


def test_mnemonics_differ_and_leave_the_menus_theirs(dock):
    texts = [widget.text() for kind in (QAbstractButton, QLabel) for widget in dock.widget().findChildren(kind)]
    keys = [match.group(1).upper() for text in texts for match in re.finditer(r"&(\w)", text)]
    assert len(keys) >= 6
    assert len(set(keys)) == len(keys), keys
    assert not set(keys) & set("JEVLSPORDWMCH"), keys  # of QGIS's menus


@pytest.mark.parametrize("page", [0, 1])
def test_tab_goes_downwards(dock, desk, page):
    dock.run.advanced.setCollapsed(False)
    dock.run.area.kind.setCurrentIndex(3)
    layer = detections()
    layer.selectAll()
    desk.window.resize(1100, 1200)
    dock.tabs.setCurrentIndex(page)
    events(0.3)
    panel, seen = (dock.run, dock.results)[page], []
    widget = panel.nextInFocusChain()
    while widget is not panel:
        takes = widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.focusProxy() is None
        if panel.isAncestorOf(widget) and widget.isVisible() and widget.isEnabled() and takes:
            seen.append(widget.mapTo(panel, QPoint()).y())
        widget = widget.nextInFocusChain()
    assert len(seen) > 10
    assert all(later > earlier - 15 for earlier, later in itertools.pairwise(seen)), seen


def test_every_control_has_a_tooltip(dock):
    from qgis.PyQt.QtWidgets import QAbstractSpinBox, QComboBox, QSlider, QToolButton

    controls = [
        widget
        for kind in (QAbstractButton, QComboBox, QAbstractSpinBox, QSlider)
        for widget in dock.widget().findChildren(kind)
        if widget.objectName() != "mCollapseButton" and not (isinstance(widget, QToolButton) and not widget.text())
    ]
    assert len(controls) > 25
    assert [widget for widget in controls if not widget.toolTip() and not widget.parentWidget().toolTip()] == []


def test_nothing_is_listened_to_after_shutdown(dock, desk, image, scene_file):
    dock.shutdown()
    dock.shutdown()
    desk.setActiveLayer(add(QgsRasterLayer(str(scene_file), "other")))
    desk.canvas.zoomScale(500)
    QgsProject.instance().clear()
    dock.deleteLater()
    events(0.2)
    assert sys.exc_info() == (None, None, None)


def _folder(name):
    import json

    from qgis_plugin.core.engine_process import run_engine
    from qgis_plugin.engine import engine_python

    entries = json.loads(run_engine(engine_python(), ["models", "list", "--json"]).text)
    return next(entry["folder"] for entry in entries if entry["name"] == name)
