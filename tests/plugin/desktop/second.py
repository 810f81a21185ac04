"""The second start, in the dark theme: all is as it was left; the plugin is taken out and QGIS left by its keys."""

from __future__ import annotations

import qgis.utils
from host import children
from parts import NAME, algorithms, choices, dock, drawn, gone, iface, open_window, plugin, shown
from play import Player, Story
from qgis.core import QgsProject
from qgis.PyQt.QtWidgets import QAction
from user import User


def story(player: Player) -> Story:
    """Look at what is remembered, unload, leave."""
    user, report = User(player), player.report
    yield from open_window(player)
    yield from player.until(lambda: dock() is not None and dock().isVisible(), 10, "the dock is open again")
    yield from player.until(lambda: dock().watch.ready and dock().run.model.model, 60, "it knows the engine again")
    report.fact("choices", choices())
    yield from drawn(player)
    yield from user.picture("21-dark-detect")
    report.step("look at the result of the first start")
    tabs = dock().tabs.tabBar()
    yield from user.click(tabs, tabs.tabRect(1).center())
    yield from player.until(lambda: " of " in dock().results.total.text(), 10, "the result is counted")
    yield from user.click(dock().results.review.next)
    yield from drawn(player)
    report.fact("result", shown())
    yield from user.picture("22-dark-results")

    report.step("close the dock by its action, open it again")
    yield from user.tool(plugin().action)
    closed = not dock().isVisible()
    yield from user.tool(plugin().action)
    report.fact("action", {"closed": closed, "open": dock().isVisible()})

    report.step("unload the plugin")
    qgis.utils.unloadPlugin(NAME)
    yield from player.until(lambda: not children(), 10, "no process of the plugin is left")
    yield from player.rest(0.3)
    window = iface().mainWindow()
    report.fact("unloaded", {
        "algorithms": algorithms(),
        "docks": len([one for one in window.children() if one.objectName() == "GeoDetectDock"]),
        "actions": [one.text() for one in window.findChildren(QAction) if "GeoDetect" in one.text()],
        "plugin": plugin() is not None,
    })  # fmt: skip
    yield from user.picture("23-unloaded")
    QgsProject.instance().setDirty(False)
    report.step("leave by Ctrl+Q")
    window.activateWindow()
    yield from user.keys("Control_L+q")
    yield from gone(player, "left by Ctrl+Q")
