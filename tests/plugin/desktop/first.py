"""The first start: from no engine to a corrected result, and QGIS is left by its menu."""

from __future__ import annotations

import os

import qgis.utils
from detect_chapter import cancel, detect
from engine_chapter import choose_engine
from parts import NAME, algorithms, choices, dock, gone, heavy_modules, iface, open_window, plugin
from play import Player, Story
from qgis.core import QgsProject
from qgis.PyQt.QtCore import QPoint
from results_chapter import export_training, filter_result, review_result
from toolbox_chapter import open_from_toolbox
from user import User


def story(player: Player) -> Story:
    """Do what an analyst does on the first day."""
    user, report = User(player), player.report
    yield from open_window(player)
    report.fact("loaded", {"plugin": plugin() is not None, "algorithms": algorithms(), "dock": dock() is not None})
    yield from choose_engine(player, user)
    yield from detect(player, user)
    yield from filter_result(player, user)
    yield from review_result(player, user)
    yield from export_training(player, user)
    yield from open_from_toolbox(player, user)
    yield from cancel(player, user)
    yield from choose(player, user)
    yield from reload(player)
    report.fact("heavy modules", heavy_modules())
    report.step("save the project and leave by the menu")
    QgsProject.instance().write(os.environ["GEODETECT_PROJECT"])
    yield from user.menu(iface().projectMenu(), iface().actionExit())
    yield from gone(player, "left by the menu")


def choose(player: Player, user: User) -> Story:
    """Choose what the next start shall still know."""
    player.report.step("choose an area, a score, threads")
    run, tabs = dock().run, dock().tabs.tabBar()
    yield from user.click(tabs, tabs.tabRect(0).center())
    yield from user.click(run.area.kind)
    yield from user.keys("Down", "Return")
    spin = run.classes.tree.itemWidget(run.classes.tree.topLevelItem(1), 1)
    yield from user.click(spin.lineEdit(), times=2)
    yield from user.keys("Control_L+a")
    yield from user.type("0.70\n")
    yield from user.click(run.advanced, QPoint(60, 10))
    yield from player.until(lambda: run.advanced.threads.isVisible(), 5, "the advanced settings unfold")
    yield from player.rest(0.3)
    yield from user.click(run.advanced.threads.lineEdit(), times=2)
    yield from user.keys("Control_L+a")
    yield from user.type("2\n")
    yield from user.picture("15-choices")
    player.report.fact("choices", choices())


def reload(player: Player) -> Story:
    """Reload the plugin, as an update does; the dock is open again."""
    player.report.step("reload the plugin")
    before = plugin()
    qgis.utils.reloadPlugin(NAME)
    yield from player.until(lambda: plugin() not in (None, before) and dock() is not None, 10, "it is there again")
    yield from player.until(lambda: dock().watch.ready and dock().run.model.model, 60, "it knows the engine")
    player.report.fact("reloaded", {"algorithms": algorithms(), "dock": dock().isVisible(), "choices": choices()})
