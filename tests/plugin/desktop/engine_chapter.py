"""A new user: the panel says that there is no engine; a Python that has one is chosen and tried."""

from __future__ import annotations

import os

from parts import dock, iface, plugin
from play import Player, Story
from qgis.PyQt.QtWidgets import QApplication, QDialogButtonBox
from user import User

ENGINE = "GEODETECT_ENGINE"  # environment variable of these tests: the Python that the user types


def choose_engine(player: Player, user: User) -> Story:
    """Open the dock, follow its one button to the settings, type the engine's Python, test it."""
    report = player.report
    report.step("open the dock by its tool button")
    yield from user.tool(plugin().action)
    yield from player.until(lambda: dock() is not None and dock().isVisible(), 10, "the dock opens")
    yield from player.until(lambda: dock().watch.state is not None, 20, "the engine is looked for")
    report.fact("without engine", {"banner": dock().banner.text.text(), "detect": dock().footer.detect.isEnabled()})
    yield from user.picture("01-no-engine")

    report.step("open the dialog that installs")
    yield from user.click(dock().banner.install)
    dialog = yield from user.dialog("InstallDialog")
    report.fact("install dialog", {"room": dialog.room.text(), "licence": dialog.licence.text()})
    yield from user.picture("02-install", dialog)

    report.step("rather choose an existing Python")
    yield from user.click(dialog.existing)
    options = yield from player.until(QApplication.activeModalWidget, 10, "QGIS's options open")
    page = yield from player.until(lambda: _page(options), 10, "GeoDetect's page is there")
    yield from player.until(page.isVisible, 10, "GeoDetect's page is in front")
    yield from user.click(page.existing)
    yield from user.click(page.path.lineEdit())
    yield from user.type(os.environ[ENGINE])
    yield from player.until(lambda: page.state.mood == "good", 60, "the engine is found to be ready")
    report.step("test the engine")
    yield from user.click(page.test)
    yield from player.until(lambda: page.jobs.outcome.isVisible(), 90, "the test ends")
    yield from player.until(lambda: page.state.mood == "good", 60, "the engine is still ready")
    report.fact("settings", {"state": page.state.text, "test": page.jobs.outcome.text, "mood": page.jobs.outcome.mood})
    yield from user.picture("03-settings", options)
    yield from user.click(options.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Ok))
    yield from player.until(lambda: QApplication.activeModalWidget() is None, 10, "the options close")

    yield from player.until(lambda: dock().watch.ready and dock().run.model.model, 60, "the dock knows the engine")
    report.fact("with engine", {"banner": dock().banner.isVisible(), "licence": dock().run.model.licence.text()})
    iface().mainWindow().activateWindow()


def _page(options):
    return next((child for child in options.findChildren(object) if child.objectName() == "GeoDetectOptions"), None)
