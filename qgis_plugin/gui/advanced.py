"""What most people never change: tiles, engine, threads, the output file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from qgis.core import QgsProcessing, QgsProject, QgsRasterLayer
from qgis.gui import QgsCollapsibleGroupBox, QgsFileWidget
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QDoubleSpinBox, QFormLayout, QSpinBox, QVBoxLayout

from ..processing.detect import DEVICES, ENGINES, PRECISIONS
from ..processing.vectors import layer_in_editing
from ..settings import recall, remember
from .labels import sentence
from .output_path import default_output, is_writable, unused

NAMES = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime", "mindspore": "MindSpore", "cpu": "CPU", "gpu": "GPU",
         "ascend": "Ascend"}  # fmt: skip


class AdvancedBox(QgsCollapsibleGroupBox):
    """Settings of a run beyond the usual.

    Attributes:
        changed: a setting, or what it leads to, is another now.
    """

    changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self._raster: QgsRasterLayer | None = None
        self.setTitle(self.tr("Advanced"))
        self.setSaveCollapsedState(False)  # it is remembered with the rest
        self._build()
        self._restore()
        self._listen()
        self.setCollapsed(not recall("dock/advanced/open", False))
        self.collapsedStateChanged.connect(lambda folded: remember("dock/advanced/open", not folded))

    def parameters(self) -> dict[str, Any]:
        """Return the algorithm's parameters; what is left to the model and the engine is not among them."""
        given: dict[str, Any] = {}
        for name, combo in (("ENGINE", self.engine), ("DEVICE", self.device), ("PRECISION", self.precision)):
            if combo.currentIndex() > 0:
                given[name] = combo.currentData()
        if self.tile.value():
            given["TILE_SIZE"] = self.tile.value()
        if self.overlap.value() > self.overlap.minimum():
            given["OVERLAP"] = self.overlap.value()
        if self.threads.value():
            given["THREADS"] = self.threads.value()
        return given

    def set_raster(self, raster: QgsRasterLayer | None) -> None:
        """Take note of the image, beside which results are written."""
        self._raster = raster
        self.show_output()

    def output(self) -> str:
        """Return the file that a run beginning now would write, or Processing's word for a temporary layer."""
        chosen = self.file.filePath().strip()
        path = unused(chosen) if chosen else default_output(self._raster) if self._raster is not None else ""
        return path or QgsProcessing.TEMPORARY_OUTPUT

    def problem(self) -> str:
        """Return why the output cannot be written, "" where it can."""
        chosen = self.file.filePath().strip()
        folder = os.path.dirname(chosen)
        if chosen and not is_writable(folder):
            return self.tr("No file can be written in {folder}. Choose another output file.").format(folder=folder)
        return ""

    def show_output(self) -> None:
        """Tell where the next result goes, and why not where it was wanted."""
        chosen, output = self.file.filePath().strip(), self.output()
        name = os.path.basename(output)
        if output == QgsProcessing.TEMPORARY_OUTPUT:
            text = self.tr("Writes a temporary layer: no file can be made beside this image.")
        elif not chosen:
            text = self.tr("Writes {name} beside the image.").format(name=name)
        elif output == chosen:
            text = self.tr("Writes {name}.").format(name=name)
        elif layer_in_editing(chosen, QgsProject.instance()) is not None:
            text = self.tr("{chosen} is being edited; writes {name}.").format(chosen=_name(chosen), name=name)
        elif os.path.exists(chosen):
            text = self.tr("{chosen} exists; writes {name}.").format(chosen=_name(chosen), name=name)
        else:
            text = self.tr("Writes {name}.").format(name=name)
        self.writes.setText(text if self._raster is not None else "")
        self.writes.setToolTip("" if output == QgsProcessing.TEMPORARY_OUTPUT else output)

    # -- widgets ----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.tile = QSpinBox()
        self.tile.setRange(0, 8192)
        self.tile.setSingleStep(32)
        self.tile.setSuffix(" px")
        self.tile.setSpecialValueText(self.tr("The model's"))
        self.tile.setToolTip(self.tr("Side of the tiles that the image is cut into"))
        self.overlap = QDoubleSpinBox()
        self.overlap.setRange(-0.05, 0.9)
        self.overlap.setSingleStep(0.05)
        self.overlap.setSpecialValueText(self.tr("The model's"))
        self.overlap.setToolTip(self.tr("Share of a tile that is in the next one too; longer than the longest object"))
        self.engine = _combo(ENGINES, self.tr("Automatic"), self.tr("The program that runs the model"))
        self.device = _combo(DEVICES, self.tr("Automatic"), self.tr("The processor that runs the model"))
        self.precision = _combo(
            PRECISIONS, self.tr("Automatic"), self.tr("Number format of the model: int8 is fastest, float32 most exact")
        )
        self.threads = QSpinBox()
        self.threads.setRange(0, 256)
        self.threads.setSpecialValueText(self.tr("All cores"))
        self.threads.setToolTip(self.tr("Processor threads to use; fewer leave the computer free for other work"))
        self.file = QgsFileWidget()
        self.file.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        self.file.setFilter("GeoPackage (*.gpkg);;GeoJSON (*.geojson);;FlatGeobuf (*.fgb);;ESRI Shapefile (*.shp)")
        self.file.setConfirmOverwrite(False)  # nothing is ever overwritten, see `unused`
        self.file.lineEdit().setPlaceholderText(self.tr("Beside the image"))
        self.file.setToolTip(self.tr("Where the result is written. No file is ever replaced: a new one gets a number"))
        self.writes = sentence()
        self._lay_out()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for text, widget in (
            (self.tr("Tile size"), self.tile),
            (self.tr("Overlap"), self.overlap),
            (self.tr("Engine"), self.engine),
            (self.tr("Device"), self.device),
            (self.tr("Precision"), self.precision),
            (self.tr("Threads"), self.threads),
            (self.tr("Output file"), self.file),
        ):
            form.addRow(text, widget)
        box = QVBoxLayout(self)
        box.addLayout(form)
        box.addWidget(self.writes)

    def _restore(self) -> None:
        self.tile.setValue(recall("dock/advanced/tile", 0))
        self.overlap.setValue(recall("dock/advanced/overlap", self.overlap.minimum()))
        self.threads.setValue(recall("dock/advanced/threads", 0))
        for name, combo in self._combos():
            combo.setCurrentIndex(max(0, combo.findData(recall(f"dock/advanced/{name}", "auto"))))
        self.file.setFilePath(recall("dock/advanced/file", ""))

    def _listen(self) -> None:
        for name, spin in (("tile", self.tile), ("overlap", self.overlap), ("threads", self.threads)):
            spin.valueChanged.connect(lambda value, name=name: self._keep(name, value))
        for name, combo in self._combos():
            combo.currentIndexChanged.connect(lambda _, name=name, combo=combo: self._keep(name, combo.currentData()))
        self.file.fileChanged.connect(lambda path: self._keep("file", path))

    def _combos(self) -> tuple[tuple[str, QComboBox], ...]:
        return (("engine", self.engine), ("device", self.device), ("precision", self.precision))

    def _keep(self, name: str, value: Any) -> None:
        remember(f"dock/advanced/{name}", value)
        self.show_output()
        self.changed.emit()


def _combo(values: Sequence[str], automatic: str, tooltip: str) -> QComboBox:
    combo = QComboBox()
    for value in values:
        combo.addItem(automatic if value == "auto" else NAMES.get(value, value), value)
    combo.setToolTip(tooltip)
    return combo


def _name(path: str) -> str:
    return os.path.basename(path)
