"""Choosing the image, and what keeps a layer from being one."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsMapLayer, QgsMapLayerProxyModel, QgsRasterLayer
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import QCoreApplication, pyqtSignal
from qgis.PyQt.QtWidgets import QPushButton, QVBoxLayout, QWidget

from ..processing.rasters import SERVICES
from .labels import sentence


class RasterChoice(QWidget):
    """Chooses a raster layer; says so where it is none that can be looked at, and how to get one.

    Attributes:
        changed: another layer is chosen, or the chosen one has changed.
    """

    changed = pyqtSignal()

    def __init__(self, iface: Any) -> None:
        super().__init__()
        self._iface = iface
        self._followed: QgsRasterLayer | None = None
        self.combo = QgsMapLayerComboBox()
        self.combo.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.combo.setMinimumContentsLength(8)
        self.combo.setToolTip(self.tr("The image to look at: a raster layer; follows the layer that is active in QGIS"))
        self.note = sentence()
        self.export = QPushButton(self.tr("Export to GeoTI&FF…"))
        self.export.setToolTip(self.tr("Open QGIS's dialog to save the part that you need as an image of your own"))
        self.export.clicked.connect(self._export)
        self.setFocusProxy(self.combo)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        for widget in (self.combo, self.note, self.export):
            box.addWidget(widget)
        self.combo.layerChanged.connect(self._chosen)
        iface.currentLayerChanged.connect(self.follow)
        self.follow(iface.activeLayer())
        self._chosen()

    def layer(self) -> QgsRasterLayer | None:
        """Return the chosen layer."""
        return self.combo.currentLayer()

    def follow(self, layer: QgsMapLayer | None) -> None:
        """Choose a layer that has become active, if it is a raster."""
        if isinstance(layer, QgsRasterLayer):
            self.combo.setLayer(layer)

    def problem(self) -> str:
        """Return why there is nothing to look at, "" where there is."""
        layer = self.layer()
        return self.tr("Add an image to the project first.") if layer is None else unfit(layer)

    def shutdown(self) -> None:
        """Listen no more."""
        self._iface.currentLayerChanged.disconnect(self.follow)
        self.combo.layerChanged.disconnect(self._chosen)
        self._listen_to(None)

    def _chosen(self, *_: object) -> None:
        self._listen_to(self.layer())
        self._show()

    def _listen_to(self, layer: QgsRasterLayer | None) -> None:
        """Hear of changes of the chosen layer's CRS and source, and no longer of those of the one before."""
        if self._followed is not None:
            try:
                self._followed.crsChanged.disconnect(self._show)
                self._followed.dataSourceChanged.disconnect(self._show)
            except (RuntimeError, TypeError):  # the layer was removed meanwhile
                self._followed = None
        self._followed = layer
        if layer is not None:
            layer.crsChanged.connect(self._show)
            layer.dataSourceChanged.connect(self._show)

    def _show(self) -> None:
        layer = self.layer()
        problem = unfit(layer) if layer is not None else ""
        text = problem
        if layer is not None and not problem and not layer.crs().isValid():
            text = self.tr("This image has no CRS: detections will lie upon it, but without sizes in metres.")
        self.note.setText(text)
        self.note.setVisible(bool(text))
        self.export.setVisible(bool(problem))
        self.changed.emit()

    def _export(self) -> None:
        layer = self.layer()
        if layer is not None:
            self._iface.setActiveLayer(layer)
            self._iface.actionLayerSaveAs().trigger()


def unfit(layer: QgsRasterLayer) -> str:
    """Return why the engine cannot look at a layer, "" where it can."""
    provider = layer.providerType()
    if provider in SERVICES:
        return _tr("This is a web map service, which has no pixels of its own: export the part that you need.")
    if provider != "gdal":
        return _tr("Images of the kind “{kind}” cannot be read by the engine: export the layer first.").format(
            kind=provider
        )
    if "/vsimem/" in layer.source():
        return _tr("This image exists in the memory of QGIS alone: export it first.")
    if not layer.isValid():
        return _tr("This layer cannot be opened; repair its data source.")
    return ""


def _tr(text: str) -> str:
    return QCoreApplication.translate("RasterChoice", text)
