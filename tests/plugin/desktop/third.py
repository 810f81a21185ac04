"""The third start, in Chinese: a run is going on when QGIS is killed from outside."""

from __future__ import annotations

from host import children
from parts import dock, iface, open_window
from play import Player, Story
from user import User


def story(player: Player) -> Story:
    """Begin a run on the image that QGIS was started with; the rest happens outside."""
    user, report = User(player), player.report
    yield from open_window(player)
    yield from player.until(lambda: dock() is not None and dock().isVisible(), 10, "the dock is open again")
    yield from player.until(lambda: dock().watch.ready and dock().run.model.model, 60, "it knows the engine again")
    run, footer = dock().run, dock().footer
    yield from user.click(run.area.kind)
    yield from user.keys("Home", "Return")
    report.fact("texts", {
        "tabs": [dock().tabs.tabText(index) for index in (0, 1)],
        "detect": footer.detect.text(),
        "area": run.area.kind.currentText(),
        "advanced": run.advanced.title(),
        "QGIS": iface().projectMenu().title(),
    })  # fmt: skip
    yield from user.picture("31-chinese")
    yield from user.click(footer.detect)
    yield from player.until(lambda: footer.bar.value() > 0, 60, "the run gets ahead")
    yield from user.picture("32-chinese-running")
    report.fact("engine", sorted(children()))  # QGIS is killed when this is read
    yield from player.until(lambda: False, 30, "QGIS is killed")
