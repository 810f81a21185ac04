"""Runs from the dock: real QGIS, the real engine, clicks."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing

import pytest
from desk import Gaps, events, until
from host import alive, children, mosaic
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsProcessing,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest

from qgis_plugin.gui.output_path import default_output, unused

LEFT = Qt.MouseButton.LeftButton


def click(button):
    assert button.isEnabled(), button.toolTip()
    QTest.mouseClick(button, LEFT)


def detect(dock, seconds=120):
    click(dock.footer.detect)
    assert until(lambda: not dock.footer.running, seconds)
    return dock.results.layer


def results():
    return [layer for layer in QgsProject.instance().mapLayers().values() if isinstance(layer, QgsVectorLayer)]


def test_a_project_that_was_never_saved_loses_nothing(dock, image, tmp_path):
    """The result is a file beside the image, and all that belongs to it lies in that file."""
    project = QgsProject.instance()
    assert not project.fileName()
    path, count = detect(dock).source().split("|")[0], dock.results.layer.featureCount()
    project.clear()
    again = QgsVectorLayer(path, "again", "ogr")
    assert isinstance(again.renderer(), QgsCategorizedSymbolRenderer)
    assert again.featureCount() >= count > 0  # the filter was the project's


@pytest.fixture
def large(dock, desk, image, scene_file, tmp_path):
    """An image that takes the engine some seconds."""
    layer = QgsRasterLayer(str(mosaic(tmp_path / "large.vrt", scene_file, 4)), "large")
    assert layer.isValid()
    QgsProject.instance().addMapLayer(layer)
    desk.setActiveLayer(layer)
    dock.run.advanced.threads.setValue(1)
    assert dock.run.raster.layer() is layer
    return layer


def started(dock):
    """Click Detect and wait until tiles are done; returns the processes that work."""
    click(dock.footer.detect)
    assert until(lambda: dock.footer._last.get("done", 0) > 0)
    return children()


def test_a_run_from_end_to_end(dock, desk, image, tmp_path):
    layer = detect(dock)
    path = tmp_path / "hafen nord ü_detections.gpkg"
    assert path.is_file()
    with closing(sqlite3.connect(path)) as database:
        scores = database.execute('SELECT class, score FROM "hafen nord ü_detections"').fetchall()
    least = dock.run.model.model.scores
    shown = sum(score >= least[name] for name, score in scores)
    assert 0.05 <= min(score for _, score in scores) < min(least.values())
    assert layer.featureCount() == shown > 20
    assert isinstance(layer.renderer(), QgsCategorizedSymbolRenderer)
    assert layer.labelsEnabled()
    assert "non-commercial" in layer.metadata().licenses()[0]
    group = QgsProject.instance().layerTreeRoot().findGroup("GeoDetect: hafen nord")
    assert [node.layer() for node in group.findLayers()] == [layer]
    assert QgsProject.instance().layerTreeRoot().children()[0] is group
    assert f"{len(scores)} objects found in “hafen nord”, {shown} are shown at the chosen scores." in desk.said()[0]
    assert dock.tabs.currentIndex() == 1
    assert not dock.footer.isVisible()
    assert until(lambda: f"{shown} of {len(scores)} detections" in dock.results.total.text())
    assert children() == set()


def test_progress_is_live_and_the_window_too(dock, large):
    gaps, said, shares = Gaps(), [], set()
    click(dock.footer.detect)
    while dock.footer.running:
        if dock.footer.status.text() not in said[-1:]:
            said.append(dock.footer.status.text())
        shares.add(dock.footer.bar.value())
        events(0.01)
    print("longest gap", round(gaps.worst, 3), said[:3], said[-3:])
    assert said[0] == "Starting the engine…"
    assert sum(" tiles, " in text for text in said) > 20
    assert any(text.endswith(" left") for text in said)
    assert len(shares) > 10
    assert gaps.worst < 0.2
    assert dock.results.layer is not None


def test_the_same_again_stands_beside_the_first(dock, tmp_path):
    first = detect(dock)
    dock.tabs.setCurrentIndex(0)
    second = detect(dock)
    assert first is not second
    assert (first.name(), second.name()) == ("hafen nord: detections", "hafen nord: detections (2)")
    assert (tmp_path / "hafen nord ü_detections_2.gpkg").is_file()
    groups = QgsProject.instance().layerTreeRoot().findGroups()
    assert [len(group.findLayers()) for group in groups] == [2]


def test_cancel_is_quick_and_leaves_nothing(dock, large, tmp_path):
    working = started(dock)
    assert working
    begun = time.monotonic()
    click(dock.footer.stop)
    assert dock.footer.status.text() == "Cancelling…"
    assert until(lambda: not dock.footer.running)
    assert time.monotonic() - begun < 1.5
    assert alive(working) == set()
    assert results() == []
    assert not list(tmp_path.glob("*.gpkg*"))
    assert dock.footer.status.text() == "Cancelled; nothing was kept."
    assert dock.footer.detect.isEnabled()


def test_shutdown_ends_a_run(dock, large):
    working = started(dock)
    begun = time.monotonic()
    dock.shutdown()
    assert time.monotonic() - begun < 3
    assert alive(working) == set()
    events(0.5)  # the task tells QGIS of its end; nobody of us listens
    assert results() == []


def test_an_engine_that_is_killed_is_told_with_its_log(dock, desk, large):
    for pid in started(dock):
        os.kill(pid, signal.SIGKILL)
    assert until(lambda: not dock.footer.running)
    assert "The engine ended unexpectedly (signal 9)." in desk.said()[0]
    click(desk.button("Open log"))
    assert desk.log_opened == 1
    events(2)  # the engine is asked whether it is well
    assert dock.watch.ready
    assert dock.footer.detect.isEnabled()
    assert "ended unexpectedly" in dock.footer.status.text()
    assert results() == []


def test_a_run_outlives_its_layer_and_a_closed_dock(dock, desk, large):
    started(dock)
    QgsProject.instance().removeMapLayer(large)
    dock.close()
    assert dock.footer.running
    assert until(lambda: not dock.footer.running, 120)
    assert "“large”, which this project does not have any more" in desk.said()[0]
    assert QgsProject.instance().layerTreeRoot().findGroup("GeoDetect: large").findLayers()


def test_a_run_outlives_its_project(dock, desk, large):
    started(dock)
    QgsProject.instance().clear()
    assert dock.footer.running
    assert until(lambda: not dock.footer.running, 120)
    assert [layer.name() for layer in results()] == ["large: detections"]
    assert "does not have any more" in desk.said()[0]


def test_classes_and_scores_are_those_chosen(dock):
    dock.run.classes.set_ticked(["plane"])
    dock.run.classes._spins["plane"].setValue(0.9)
    layer = detect(dock)
    assert {feature["class"] for feature in layer.getFeatures()} == {"plane"}
    assert min(feature["score"] for feature in layer.getFeatures()) >= 0.9
    assert until(lambda: dock.results._census is not None)
    assert dock.results._census.classes == ["plane"]


def test_nothing_found_is_said(dock, desk, tmp_path):
    band = '<VRTRasterBand dataType="Byte" band="{}"><ColorInterp>{}</ColorInterp></VRTRasterBand>'
    bands = "".join(band.format(number, colour) for number, colour in enumerate(("Red", "Green", "Blue"), 1))
    blank = tmp_path / "blank.vrt"
    place = "<SRS>EPSG:32631</SRS><GeoTransform>500000, 0.5, 0, 5000000, 0, -0.5</GeoTransform>"
    blank.write_text(f'<VRTDataset rasterXSize="640" rasterYSize="640">{place}{bands}</VRTDataset>', "utf-8")
    layer = QgsRasterLayer(str(blank), "blank")
    QgsProject.instance().addMapLayer(layer)
    desk.setActiveLayer(layer)
    detect(dock)
    assert "Nothing was found in “blank”." in desk.said()[0]


def test_a_result_that_cannot_lie_beside_the_image_is_temporary(dock, desk, image):
    with open(image.source(), "rb") as file:  # nobody, root included, can write in the folder that Linux shows it in
        layer = QgsRasterLayer(f"/proc/{os.getpid()}/fd/{file.fileno()}", "read-only")
        _check_temporary(dock, desk, layer)


def _check_temporary(dock, desk, layer):
    assert layer.isValid()
    QgsProject.instance().addMapLayer(layer)
    desk.setActiveLayer(layer)
    assert "temporary" in dock.run.advanced.writes.text()
    assert dock.run.advanced.output() == QgsProcessing.TEMPORARY_OUTPUT
    found = detect(dock)
    assert found.isTemporary()
    assert "The layer is temporary: save it to keep it." in desk.said()[0]
    assert until(lambda: dock.results._census is not None)
    total = sum(everything for _, everything in dock.results._census.counts(dock.results._filter).values())
    assert 0 < found.featureCount() < total


def test_no_file_is_ever_replaced(tmp_path, dock, image):
    assert unused(str(tmp_path / "a.gpkg")) == str(tmp_path / "a.gpkg")
    for name in ("a.gpkg", "a_2.gpkg"):
        (tmp_path / name).touch()
    assert unused(str(tmp_path / "a.gpkg")) == str(tmp_path / "a_3.gpkg")
    assert unused(str(tmp_path / "b")) == str(tmp_path / "b.gpkg")
    assert default_output(image) == str(tmp_path / "hafen nord ü_detections.gpkg")


def test_an_output_in_editing_is_told_of_before_the_run(dock, desk, tmp_path):
    layer = detect(dock)
    dock.tabs.setCurrentIndex(0)
    path = layer.source().split("|")[0]
    dock.run.advanced.file.setFilePath(path)
    assert layer.startEditing()
    dock.run.advanced.show_output()
    assert "is being edited; writes hafen nord ü_detections_2.gpkg" in dock.run.advanced.writes.text()
    detect(dock)
    assert (tmp_path / "hafen nord ü_detections_2.gpkg").is_file()
    assert layer.isEditable()
    layer.rollBack()


def test_a_folder_that_cannot_be_written_is_told_of_before_the_run(dock):
    dock.run.advanced.file.setFilePath("/proc/result.gpkg")
    assert not dock.footer.detect.isEnabled()
    assert "No file can be written in /proc." in dock.footer.status.text()


def test_ctrl_return_runs(dock):
    dock.run.area.kind.setFocus()
    QTest.keyClick(dock.run.area.kind, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert dock.footer.running
    dock.footer.cancel()
    assert until(lambda: not dock.footer.running)
