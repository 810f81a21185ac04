"""A desktop for the dock: what `iface` gives it, made of QGIS's own parts."""

from __future__ import annotations

import os
import time
from pathlib import Path

from qgis.core import QgsApplication, QgsProject
from qgis.gui import QgsLayerTreeMapCanvasBridge, QgsMapCanvas, QgsMessageBar, QgsProcessingAlgorithmDialogBase
from qgis.PyQt.QtCore import QCoreApplication, QEvent, QObject, Qt, QThreadPool, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QAction, QApplication, QMainWindow, QPushButton, QVBoxLayout, QWidget


class Desk(QObject):
    """Main window, map, message bar and the active layer."""

    currentLayerChanged = pyqtSignal(object)  # noqa: N815 - QGIS's names, here and below

    def __init__(self):
        super().__init__()
        self.window = QMainWindow()
        self.canvas, self.bar = QgsMapCanvas(), QgsMessageBar()
        self.bridge = QgsLayerTreeMapCanvasBridge(QgsProject.instance().layerTreeRoot(), self.canvas)
        middle = QWidget()
        box = QVBoxLayout(middle)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self.bar)
        box.addWidget(self.canvas, 1)
        self.window.setCentralWidget(middle)
        self.window.resize(1100, 820)
        self.log_opened, self.exported = 0, []
        self._active = ""
        self._save_as = QAction(self)
        self._save_as.triggered.connect(lambda: self.exported.append(self.activeLayer()))

    def mainWindow(self):
        return self.window

    def mapCanvas(self):
        return self.canvas

    def messageBar(self):
        return self.bar

    def activeLayer(self):
        return QgsProject.instance().mapLayer(self._active)

    def setActiveLayer(self, layer):
        self._active = layer.id() if layer is not None else ""
        self.currentLayerChanged.emit(layer)

    def actionLayerSaveAs(self):
        return self._save_as

    def openMessageLog(self):
        self.log_opened += 1

    def show(self, dock):
        self.window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
        self.window.show()
        dock.show()
        self.window.resizeDocks([dock], [340], Qt.Orientation.Horizontal)
        events()

    def said(self):
        """Return the texts in the message bar, newest first."""
        return [item.text() for item in self.bar.items()]

    def button(self, text):
        """Return a button of the newest message."""
        found = [button for button in self.bar.items()[0].findChildren(QPushButton) if button.text() == text]
        assert found, [button.text() for button in self.bar.items()[0].findChildren(QPushButton)]
        return found[0]

    def close(self):
        self.window.close()
        self.canvas.setLayers([])
        self.canvas.stopRendering()
        QThreadPool.globalInstance().waitForDone()  # a job that was stopped still reads its layers for a moment
        events()
        del self.bridge
        self.window.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        events()


def events(seconds=0.0):
    """Let QGIS do what waits to be done."""
    end = time.monotonic() + seconds
    while True:
        QgsApplication.processEvents()
        if time.monotonic() >= end:
            return
        time.sleep(0.005)


def until(happened, seconds=60.0):
    """Wait for something; returns whether it happened."""
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            return False
        QgsApplication.processEvents()
        time.sleep(0.005)
    return True


class Gaps:
    """The longest time that the window had to wait for its turn, s."""

    def __init__(self):
        self.worst, self._last = 0.0, time.monotonic()
        self._timer = QTimer()
        self._timer.setInterval(10)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def _tick(self):
        now = time.monotonic()
        self.worst, self._last = max(self.worst, now - self._last), now


def algorithm_dialogs():
    """Return Processing's dialogs that can be seen."""
    windows = (window for window in QApplication.topLevelWidgets() if window.isVisible())
    return [window for window in windows if isinstance(window, QgsProcessingAlgorithmDialogBase)]


def children(pid=None):
    """Return the processes below one: those of an engine and what it started."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except OSError:  # it has ended
                continue
            state, parent = stat.rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(folder.name)] = int(parent)
    found, wanted = set(), {pid or os.getpid()}
    while wanted:
        wanted = {child for child, parent in parents.items() if parent in wanted} - found
        found |= wanted
    return found


def alive(pids):
    """Return those of some processes that still run."""
    return {pid for pid in pids if Path(f"/proc/{pid}").exists() and "Z" not in _state(pid)}


def _state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def mosaic(path, scene_file, times):
    """Write a VRT that repeats the scene `times` by `times`: work for some time."""
    size = 1280
    bands = []
    for band, colour in enumerate(("Red", "Green", "Blue"), 1):
        parts = "".join(
            f'<SimpleSource><SourceFilename relativeToVRT="0">{scene_file}</SourceFilename>'
            f"<SourceBand>{band}</SourceBand>"
            f'<SrcRect xOff="0" yOff="0" xSize="{size}" ySize="{size}"/>'
            f'<DstRect xOff="{x * size}" yOff="{y * size}" xSize="{size}" ySize="{size}"/></SimpleSource>'
            for x in range(times)
            for y in range(times)
        )
        bands.append(
            f'<VRTRasterBand dataType="Byte" band="{band}"><ColorInterp>{colour}</ColorInterp>{parts}</VRTRasterBand>'
        )
    path.write_text(
        f'<VRTDataset rasterXSize="{size * times}" rasterYSize="{size * times}"><SRS>EPSG:32631</SRS>'
        f"<GeoTransform>500000, 0.5, 0, 5000000, 0, -0.5</GeoTransform>{''.join(bands)}</VRTDataset>",
        "utf-8",
    )
    return path
