"""What is to be installed into the private environment, and from where."""

from __future__ import annotations

import os
import sys

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QFormLayout, QWidget

from ..core.requirements import SIZES, Order
from ..settings import data_folder, recall, remember
from .proxy import qgis_proxy


class InstallChoice(QWidget):
    """Chooses source and engines; what was chosen is remembered.

    Attributes:
        changed: another choice is made.
    """

    changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.extra = QComboBox()
        self.source = QComboBox()
        self.path = QgsFileWidget()
        self._fill()
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow(self.tr("Compo&nents"), self.extra)
        form.addRow(self.tr("&Packages from"), self.source)
        form.addRow("", self.path)
        self._restore()
        self.extra.currentIndexChanged.connect(self._chosen)
        self.source.currentIndexChanged.connect(self._chosen)
        self.path.fileChanged.connect(self._chosen)
        self._chosen()

    def order(self) -> Order:
        """Return the choice as the installer takes it."""
        kind, path = self.source.currentData(), self.path.filePath().strip()
        proxy, excluded = qgis_proxy()
        return Order(
            folder=data_folder(),
            extra=self.extra.currentData(),
            wheels=path if kind == "folder" else "",
            source=path if kind == "file" else "",
            proxy=proxy,
            no_proxy=excluded,
        )

    def size(self) -> int:
        """Return the megabytes that the choice takes on disk, roughly."""
        return SIZES[self.extra.currentData()]

    def problem(self) -> str:
        """Return what is missing before it can be installed, "" where nothing is."""
        kind, path = self.source.currentData(), self.path.filePath().strip()
        if kind == "folder" and not os.path.isdir(path):
            return self.tr("Choose the folder of wheel files.")
        if kind == "file" and not os.path.isfile(path):
            return self.tr("Choose the wheel file of geodetect.")
        return ""

    def _fill(self) -> None:
        self.extra.addItem(self.tr("OpenVINO: fast on every processor"), "")
        self.extra.addItem(self.tr("OpenVINO and ONNX Runtime"), "onnxruntime")
        if sys.platform.startswith("linux"):
            self.extra.addItem(self.tr("OpenVINO and MindSpore, which also trains models"), "mindspore")
        self.source.addItem(self.tr("The package index, over the internet"), "index")
        self.source.addItem(self.tr("A folder of wheel files, offline"), "folder")
        self.source.addItem(self.tr("A wheel file of geodetect, the rest over the internet"), "file")
        self.extra.setToolTip(self.tr("The programs that run the models. You can add more later by installing again."))
        self.source.setToolTip(
            self.tr(
                "The index is the one that pip is set to, else PyPI. QGIS's proxy is used. For a computer without "
                "internet, fill a folder on another one: pip download --only-binary=:all: geodetect"
            )
        )

    def _restore(self) -> None:
        self.extra.setCurrentIndex(max(0, self.extra.findData(recall("engine/extra", ""))))
        self.source.setCurrentIndex(max(0, self.source.findData(recall("engine/source", "index"))))
        self.path.setFilePath(recall("engine/source_path", ""))

    def _chosen(self, *_: object) -> None:
        kind = self.source.currentData()
        mode = QgsFileWidget.StorageMode
        self.path.setStorageMode(mode.GetDirectory if kind == "folder" else mode.GetFile)
        self.path.setFilter("" if kind == "folder" else self.tr("Wheel files") + " (*.whl)")
        self.path.setVisible(kind != "index")
        remember("engine/extra", self.extra.currentData())
        remember("engine/source", kind)
        remember("engine/source_path", self.path.filePath().strip())
        self.changed.emit()
