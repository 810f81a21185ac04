"""What the dock puts beside itself: windows, messages, groups of layers; and what it leaves there."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from desk import algorithm_dialogs, events, until
from qgis.core import QgsProject, QgsVectorLayer
from qgis.gui import QgsBrowserGuiModel
from qgis.PyQt.QtCore import QCoreApplication, QEvent, QObject, Qt, QUrl, pyqtSlot
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QLabel, QTextBrowser
from test_dock_results import detections

from qgis_plugin import about
from qgis_plugin.gui import output_path
from qgis_plugin.gui.install_dialog import InstallDialog
from qgis_plugin.gui.results import add_result, covers_part
from qgis_plugin.styling import Dressing

LEFT = Qt.MouseButton.LeftButton


class Browser(QObject):
    def __init__(self):
        super().__init__()
        self.opened = []

    @pyqtSlot(QUrl)
    def open(self, url):
        self.opened.append(url.toString())


def installers():
    return [window for window in QApplication.topLevelWidgets() if isinstance(window, InstallDialog)]


def test_one_dialog_installs_and_goes_with_the_dock(dock):
    for _ in range(2):
        dock.install_engine()
        events()
    assert [window.isVisible() for window in installers()] == [True]
    installers()[0].close()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    dock.install_engine()
    assert [window.isVisible() for window in installers()] == [True]
    dock.shutdown()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert installers() == []


def test_help_opens_the_plugins_pages(dock):
    browser = Browser()
    QDesktopServices.setUrlHandler("https", browser, "open")
    try:
        QTest.mouseClick(dock.help, LEFT)
    finally:
        QDesktopServices.unsetUrlHandler("https")
    assert browser.opened == [about.help_url()]
    assert browser.opened[0].startswith("https://")
    assert not dock.help.icon().isNull()


def test_texts_are_shown_as_they_are(dock, desk):
    dock.messages.warn("a<b c & d\n<img> e")
    assert desk.bar.items()[0].findChild(QTextBrowser).toPlainText().endswith("a<b c & d\n<img> e")
    sentences = [label for label in dock.widget().findChildren(QLabel) if label.wordWrap()]
    assert {dock.run.model.licence, dock.run.model.about, dock.footer.status, dock.results.note} < set(sentences)
    assert [label.text() for label in sentences if label.textFormat() != Qt.TextFormat.PlainText] == []


# -- groups of layers -------------------------------------------------------------------------------------------------


def groups():
    return [group.name() for group in QgsProject.instance().layerTreeRoot().findGroups(True)]


def results(image, number=1):
    made = []
    for count in range(number):
        layer = QgsVectorLayer("Polygon?field=class:string&field=score:double", f"found {count}", "memory")
        add_result(layer, image.name(), image.source(), image.id(), "model")
        made.append(layer.id())
    return made


def test_a_group_goes_with_its_last_layer(dock, image):
    project = QgsProject.instance()
    first, second = results(image, 2)
    project.layerTreeRoot().addGroup("the user's own, empty")
    project.removeMapLayer(first)
    events(0.05)
    assert groups() == ["GeoDetect: hafen nord", "the user's own, empty"]
    project.removeMapLayer(second)
    events(0.05)
    assert groups() == ["the user's own, empty"]
    results(image)
    assert groups()[0] == "GeoDetect: hafen nord"


def test_a_group_stays_where_a_layer_comes_at_once(dock, image):
    (first,) = results(image)
    QgsProject.instance().removeMapLayer(first)
    results(image)
    events(0.05)
    assert groups() == ["GeoDetect: hafen nord"]


def test_groups_and_projects_that_come_and_go(dock, image, tmp_path):
    project = QgsProject.instance()
    results(image)
    path = str(tmp_path / "project.qgz")
    assert project.write(path)
    for _ in range(2):
        project.clear()
        assert project.read(path)
        events(0.05)
        assert groups() == ["GeoDetect: hafen nord"]
    project.clear()
    events(0.05)
    assert groups() == []


# -- small things -----------------------------------------------------------------------------------------------------


def test_a_count_that_ends_leaves_what_is_being_typed(dock, desk):
    layer = detections()
    desk.setActiveLayer(layer)
    dock.tabs.setCurrentIndex(1)
    assert until(lambda: dock.results._census is not None)
    spin = dock.results.classes._spins["plane"]
    spin.setFocus()
    spin.selectAll()
    QTest.keyClicks(spin, "0.")
    before = dock.results._census
    dock.results._count()
    assert until(lambda: dock.results._census is not before)
    assert QApplication.focusWidget() is spin
    QTest.keyClicks(spin, "62")
    assert dock.results.classes.scores()["plane"] == 0.62


def test_moving_the_map_writes_no_files(dock, desk, tmp_path, monkeypatch):
    tried, can_write = [], output_path._can_write
    monkeypatch.setattr(output_path, "_can_write", lambda folder: tried.append(folder) or can_write(folder))
    dock.run.area.kind.setCurrentIndex(1)  # the visible map
    dock.run.advanced.file.setFilePath(str(tmp_path / "found.gpkg"))
    for _ in range(5):
        desk.canvas.zoomByFactor(1.01)
        events(0.02)
    assert dock.footer.detect.isEnabled()
    assert tried.count(str(tmp_path)) <= 1


def test_whether_a_folder_can_be_written_is_asked_again_in_time(tmp_path, monkeypatch):
    folder = tmp_path / "later"
    assert not output_path.is_writable(str(folder))
    folder.mkdir()
    monkeypatch.setattr(output_path, "FRESH", 0.0)
    assert output_path.is_writable(str(folder))


@pytest.mark.parametrize("area", ["", "within 1, 2, 3, 4 [EPSG:32631]"])
def test_training_data_of_a_part_is_warned_of(dock, desk, area, tmp_path, qgis_iface, image):
    browser = QgsBrowserGuiModel()
    qgis_iface.browserModel = lambda: browser  # Processing asks for it
    layer = detections(tmp_path)
    path = layer.source().split("|")[0]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE geodetect_runs (fid INTEGER PRIMARY KEY, run_id TEXT, area TEXT)")
        database.execute("INSERT INTO geodetect_runs (run_id, area) VALUES ('1', ?)", (area or None,))
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier) VALUES ('geodetect_runs', 'attributes', 'r')"
        )
    dock.export_training(layer)
    events(0.1)
    (dialog,) = algorithm_dialogs()
    assert ["in a part of its image only" in text for text in desk.said()] == ([True] if area else [])
    dialog.close()
    dialog.deleteLater()


def test_a_temporary_result_of_a_part_tells_so_too(qgis_new_project):
    layer = detections()
    assert not covers_part(layer)
    Dressing("", {"run_id": "1", "area": "within 1, 2, 3, 4"}).put_on(layer)
    assert covers_part(layer)
