"""Runs: one to its end, one that is cancelled."""

from __future__ import annotations

import os
import time

from host import alive, children
from parts import dock, drawn, iface, layers, left_behind, messages, shown
from play import Latency, Player, Story
from qgis.core import QgsApplication, QgsProject
from user import User

MID_RUN = 25  # per cent at which the screen is kept
MEASURED = 4.0  # s


def detect(player: Player, user: User) -> Story:
    """Click Detect and watch."""
    report, footer = player.report, dock().footer
    report.fact("image", dock().run.raster.combo.currentText())
    idle = Latency()
    idle.start()
    yield from player.rest(1)
    idle.stop()
    report.fact("latency idle", idle.figures())
    yield from user.picture("04-ready")

    report.step("click Detect")
    begun = time.monotonic()
    yield from user.click(footer.detect)
    yield from player.until(lambda: footer.running, 5, "the run begins")
    said, values, kept = [], [], False
    footer.bar.valueChanged.connect(values.append)
    latency = Latency()
    latency.start()
    while footer.running:
        if time.monotonic() - begun > 120:
            yield from player.until(lambda: not footer.running, 0, "the run ends")
        if footer.status.text() not in said:
            said.append(footer.status.text())
        if footer.bar.value() >= MID_RUN and not kept:
            kept = True
            report.fact("engine's processes", len(children()))
            latency.stop()
            user.aside()
            yield from player.rest(0.05)
            player.shoot("05-running")
            latency.start()
        yield
    footer.bar.valueChanged.disconnect(values.append)
    report.fact("run", {"said": said, "values": values, "seconds": round(time.monotonic() - begun, 1)})
    page = dock().results
    yield from player.until(lambda: page.layer is not None and page.classes.names(), 10, "the result is shown")
    yield from player.until(lambda: " of " in page.total.text(), 10, "the result is counted")
    yield from drawn(player)
    latency.stop()
    report.fact("latency of a run", latency.figures())
    root = QgsProject.instance().layerTreeRoot()
    report.fact("result", {
        **shown(),
        "source": page.layer.source().split("|")[0],
        "groups": [group.name() for group in root.findGroups()],
        "top": [node.name() for node in root.findLayers()],
        "message": messages()[:1],
        "tab": dock().tabs.currentIndex(),
        "style": page.layer.renderer().type(),
        "licences": page.layer.metadata().licenses(),
    })  # fmt: skip
    yield from user.picture("06-result")


def cancel(player: Player, user: User) -> Story:
    """Begin a run that would take a minute, look how QGIS answers meanwhile, and cancel."""
    report, footer = player.report, dock().footer
    before = layers()
    report.step("add a larger image; the dock follows it")
    iface().addRasterLayer(os.environ["GEODETECT_MOSAIC"], "mosaic")
    yield from player.until(lambda: dock().run.raster.combo.currentText() == "mosaic", 10, "the dock follows the layer")
    output = dock().run.advanced.output()
    report.step("begin a second run")
    yield from user.click(dock().tabs.tabBar(), dock().tabs.tabBar().tabRect(0).center())
    yield from user.click(footer.detect)
    yield from player.until(lambda: footer.bar.value() > 0, 60, "the second run gets ahead")
    latency = Latency()
    latency.start()
    yield from player.rest(MEASURED)
    latency.stop()
    report.fact("latency beside the engine", latency.figures())
    engine = children()
    report.step("click Cancel")
    begun = time.monotonic()
    yield from user.click(footer.stop)
    yield from player.until(lambda: not alive(engine), 10, "the engine's processes end")
    ended = time.monotonic() - begun
    yield from player.until(lambda: not footer.running, 10, "the run counts as ended")
    yield from player.until(lambda: not QgsApplication.taskManager().activeTasks(), 10, "no task is left")
    report.fact("cancelled", {
        "processes": len(engine),
        "seconds": round(ended, 2),
        "said": footer.status.text(),
        "new layers": [name for name in layers() if name not in [*before, "mosaic"]],
        "left behind": left_behind(),
        "output exists": os.path.exists(output),
        "children": len(children()),
    })  # fmt: skip
    yield from user.picture("14-cancelled")
