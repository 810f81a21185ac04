"""A desktop for the dock: what `iface` gives it, made of QGIS's own parts."""

from __future__ import annotations

import time

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
