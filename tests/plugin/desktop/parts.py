"""The plugin's parts and what they show, as a story finds them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy
import qgis.utils
from play import Player, Story, StuckError
from qgis.core import QgsApplication, QgsProcessingUtils, QgsProject
from qgis.PyQt.QtGui import QImage
from qgis.PyQt.QtWidgets import QApplication, QDialog, QDockWidget

NAME = "geodetect_qgis"
HEAVY = ("rasterio", "openvino", "onnxruntime", "mindspore", "geodetect", "geopandas", "shapely")
DIFFERENT = 24  # of 255: how far a pixel's colour is from what it was


def plugin() -> Any:
    """Return the plugin that QGIS has loaded; None where it has not."""
    return qgis.utils.plugins.get(NAME)


def dock() -> Any:
    """Return its dock, None before it is opened."""
    return plugin().dock


def iface() -> Any:
    """Return QGIS's interface for plugins."""
    return qgis.utils.iface


def open_window(player: Player) -> Story:
    """Bring the main window to where all of it is seen: no window manager does."""
    window = iface().mainWindow()
    yield from player.until(window.isVisible, 60, "QGIS comes up")
    window.showNormal()
    window.move(0, 0)
    window.resize(1400, 900)
    window.findChild(QDockWidget, "Browser").close()  # the legend has its place
    yield from player.rest(0.5)
    player.report.step("QGIS is up")


def heavy_modules() -> list[str]:
    """Return what has no place in QGIS's process."""
    return [name for name in HEAVY if name in sys.modules]


def algorithms() -> list[str]:
    """Return the algorithms that the plugin has added to Processing."""
    provider = QgsApplication.processingRegistry().providerById("geodetect")
    return sorted(algorithm.id() for algorithm in provider.algorithms()) if provider is not None else []


def messages() -> list[str]:
    """Return what the message bar says, newest first."""
    return [item.text() for item in iface().messageBar().items()]


def layers() -> list[str]:
    """Return the names of the project's layers."""
    return sorted(layer.name() for layer in QgsProject.instance().mapLayers().values())


def left_behind() -> list[str]:
    """Return what runs have left in QGIS's temporary folder."""
    return [path.name for path in Path(QgsProcessingUtils.tempFolder()).glob("geodetect-*")]


def map_pixels() -> numpy.ndarray:
    """Return the map's pixels."""
    image = iface().mapCanvas().grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    data = image.constBits()
    data.setsize(image.sizeInBytes())
    return numpy.frombuffer(bytes(data), numpy.uint8).reshape(image.height(), image.width(), 4)[..., :3].astype(int)


def changed(before: numpy.ndarray, after: numpy.ndarray) -> int:
    """Return how many of the map's pixels are others now."""
    return int((abs(before - after).max(axis=-1) > DIFFERENT).sum())


def drawn(player: Player) -> Story:
    """Wait for the map and return its pixels."""
    yield from player.rest(0.5)  # a filter waits a moment before it is applied
    yield from player.until(lambda: not iface().mapCanvas().isDrawing(), 30, "the map is drawn")
    yield from player.rest(0.2)
    return map_pixels()


def shown() -> dict[str, Any]:
    """Return what the page of results shows."""
    page = dock().results
    layer = page.layer
    return {
        "layer": layer.name(),
        "features": layer.featureCount(),
        "total": page.total.text(),
        "score": page.value.text(),
        "ticked": page.classes.ticked(),
    }


def choices() -> dict[str, Any]:
    """Return what is chosen for a run, as the widgets show it."""
    run = dock().run
    return {
        "model": run.model.value,
        "area": run.area.kind.currentText(),
        "classes": run.classes.ticked(),
        "scores": run.classes.scores(),
        "advanced open": not run.advanced.isCollapsed(),
        "threads": run.advanced.threads.value(),
    }


def blocking() -> QDialog | None:
    """Return a window that waits for an answer before anything else goes on."""
    return QApplication.activeModalWidget()


def gone(player: Player, what: str) -> Story:
    """Wait for QGIS to end; nothing may ask."""
    window = blocking()
    for _ in range(1200):
        window = blocking()
        if window is not None:
            texts = [child.text() for child in window.children() if hasattr(child, "text")]
            raise StuckError(f"{what}, but QGIS asks: {window.windowTitle()} {texts}")
        yield
    raise StuckError(f"{what}, but QGIS goes on")
