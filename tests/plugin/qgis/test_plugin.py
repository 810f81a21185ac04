"""The plugin's entry: everything is added, and everything is taken away again."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from desk import Desk, algorithm_dialogs, events, until
from host import children, mosaic
from qgis.core import QgsApplication, QgsProcessingParameterDefinition, QgsProject, QgsRasterLayer
from qgis.gui import QgsBrowserGuiModel
from qgis.PyQt.QtCore import QCoreApplication, QEvent, Qt
from qgis.PyQt.QtWidgets import QApplication, QMenu, QToolBar

import qgis_plugin
from qgis_plugin import about
from qgis_plugin.gui.install_dialog import InstallDialog
from qgis_plugin.processing.provider import GeoDetectProvider


class Desktop(Desk):
    """A desk with what plugins are added to."""

    def __init__(self):
        super().__init__()
        self.plugins = []
        self.menu, self.bar_of_plugins, self.factories = QMenu("Raster", self.window), QToolBar(self.window), []

    def load(self):
        plugin = qgis_plugin.classFactory(self)
        self.plugins.append(plugin)
        plugin.initGui()
        return plugin

    def rasterMenu(self):
        return self.menu

    def addToolBarIcon(self, action):
        self.bar_of_plugins.addAction(action)

    def removeToolBarIcon(self, action):
        self.bar_of_plugins.removeAction(action)

    def registerOptionsWidgetFactory(self, factory):
        self.factories.append(factory)

    def unregisterOptionsWidgetFactory(self, factory):
        self.factories.remove(factory)

    def addDockWidget(self, area, dock):
        self.window.addDockWidget(area, dock)

    def removeDockWidget(self, dock):
        self.window.removeDockWidget(dock)


@pytest.fixture
def desktop(engine, qgis_app, qgis_new_project):
    made = Desktop()
    made.window.show()
    yield made
    for plugin in made.plugins:
        plugin.unload()
    made.close()


def algorithms():
    provider = QgsApplication.processingRegistry().providerById("geodetect")
    return {algorithm.id() for algorithm in provider.algorithms()} if provider else set()


def deleted():
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    events()


def test_it_comes_and_goes_without_a_trace(desktop):
    before = {child.objectName() for child in desktop.window.children()}
    for _ in range(2):  # a reload
        plugin = desktop.load()
        assert algorithms() == {"geodetect:detect", "geodetect:evaluate", "geodetect:trainingdata"}
        assert [action.text() for action in desktop.menu.actions()] == ["GeoDetect"]
        assert desktop.bar_of_plugins.actions() == [plugin.action]
        assert len(desktop.factories) == 1
        assert plugin.dock is None
        plugin.action.trigger()
        assert plugin.dock.isVisible()
        plugin.action.trigger()
        assert not plugin.dock.isVisible()
        plugin.unload()
        deleted()
        assert algorithms() == set()
        assert not desktop.menu.actions()
        assert not desktop.bar_of_plugins.actions()
        assert not desktop.factories
        assert {child.objectName() for child in desktop.window.children()} == before
        assert until(lambda: not children(), 10)
    plugin.unload()  # twice does no harm


def test_its_windows_go_with_it(desktop):
    plugin = desktop.load()
    plugin.action.trigger()
    plugin.dock.install_engine()
    plugin.dock.install_engine()
    plugin.unload()
    deleted()
    assert not [window for window in QApplication.topLevelWidgets() if isinstance(window, InstallDialog)]


def test_runs_and_dialogs_of_the_toolbox_end_with_it(desktop, qgis_processing, qgis_iface, scene_file, tmp_path):
    import processing

    browser = QgsBrowserGuiModel()
    qgis_iface.browserModel = lambda: browser  # Processing asks for it
    plugin = desktop.load()
    image = QgsRasterLayer(str(mosaic(tmp_path / "large.vrt", scene_file, 4)), "large")
    QgsProject.instance().addMapLayer(image)
    dialogs = [processing.createAlgorithmDialog("geodetect:detect", {"INPUT": image.id()}) for _ in range(2)]
    other = processing.createAlgorithmDialog("native:buffer", {})
    for dialog in (*dialogs, other):
        dialog.show()
    dialogs[0].runAlgorithm()
    assert until(children, 20)
    plugin.unload()
    assert not children()
    assert not [task.description() for task in QgsApplication.taskManager().activeTasks()]
    deleted()
    assert algorithm_dialogs() == [other]
    other.close()


def test_the_action_follows_the_dock(desktop):
    plugin = desktop.load()
    plugin.action.trigger()
    dock = plugin.dock
    assert desktop.window.dockWidgetArea(dock) == Qt.DockWidgetArea.RightDockWidgetArea
    dock.close()
    assert not plugin.action.isChecked()
    plugin.action.trigger()
    assert dock.isVisible()
    assert plugin.dock is dock
    plugin.unload()
    deleted()
    again = desktop.load()  # the dock was open: it opens again
    assert again.dock is not None
    again.action.trigger()
    again.unload()
    deleted()
    third = desktop.load()
    assert third.dock is None
    third.unload()
    deleted()


def test_processing_alone_needs_no_desktop(qgis_app):
    plugin = qgis_plugin.classFactory(None)
    plugin.initProcessing()
    assert len(algorithms()) == 3
    plugin.unload()
    assert algorithms() == set()


@pytest.fixture
def provider_alone(qgis_app):
    added = GeoDetectProvider()
    QgsApplication.processingRegistry().addProvider(added)
    yield added
    QgsApplication.processingRegistry().removeProvider(added)


def test_every_algorithm_and_parameter_is_explained(provider_alone):
    assert not provider_alone.icon().isNull()
    assert provider_alone.versionInfo() == about.version() != ""
    names = set()
    for algorithm in provider_alone.algorithms():
        ElementTree.parse(algorithm.svgIconPath())
        assert not algorithm.icon().isNull()
        assert algorithm.helpUrl().startswith("https://")
        assert algorithm.group()
        assert algorithm.shortDescription()
        assert algorithm.flags() & algorithm.Flag.FlagCanCancel
        assert not algorithm.flags() & algorithm.Flag.FlagSupportsInPlaceEdits
        told = algorithm.shortHelpString()
        for parameter in algorithm.parameterDefinitions():
            assert parameter.help() in told
            assert parameter.description() in told
        names.add(algorithm.displayName())
    assert len(names) == 3


def test_the_parameters_of_detect_are_the_contract(provider_alone):
    algorithm = QgsApplication.processingRegistry().algorithmById("geodetect:detect")
    advanced = QgsProcessingParameterDefinition.Flag.FlagAdvanced
    found = {p.name(): bool(p.flags() & advanced) for p in algorithm.parameterDefinitions()}
    plain = ("INPUT", "MODEL", "CLASSES", "SCORE", "EXTENT", "AOI", "OUTPUT")
    details = ("SCORES", "TILE_SIZE", "OVERLAP", "ENGINE", "DEVICE", "PRECISION", "THREADS")
    assert found == {**dict.fromkeys(plain, False), **dict.fromkeys(details, True)}
    assert [output.name() for output in algorithm.outputDefinitions()] == ["OUTPUT", "COUNT"]
    assert algorithm.parameterDefinition("MODEL").defaultValue() == "planes-ships-yolov3-tiny"
    assert algorithm.parameterDefinition("ENGINE").options() == ["auto", "openvino", "onnxruntime", "mindspore"]
