"""Where in a raster layer to look: everywhere, in the visible map, in selected features or in a drawn rectangle."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsDistanceArea,
    QgsMapLayerProxyModel,
    QgsPointXY,
    QgsProcessingFeatureSourceDefinition,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsVectorLayer,
)
from qgis.gui import QgsMapCanvas, QgsMapLayerComboBox
from qgis.PyQt import sip
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..settings import recall, remember
from .draw_tool import RectangleTool, ShownRectangle

LAYER, MAP, SELECTED, DRAWN = "layer", "map", "selected", "drawn"
KINDS = (LAYER, MAP, SELECTED, DRAWN)
KILOMETRE = 1000  # m


class AreaBox(QWidget):
    """Chooses the area.

    Attributes:
        changed: the choice, or what it stands for, is another now.
    """

    changed = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__()
        self._canvas = canvas
        self._tool: RectangleTool | None = None
        self._tool_before: Any = None
        self._shown = ShownRectangle(canvas)
        self.rectangle: QgsReferencedRectangle | None = None
        self._build()
        self._restore()
        self.kind.currentIndexChanged.connect(self._chosen)
        self.polygons.layerChanged.connect(self._follow)
        canvas.extentsChanged.connect(self._map_moved)
        canvas.destinationCrsChanged.connect(self._shown.redraw)
        self._chosen()

    # -- what it says -----------------------------------------------------------------------------------------------

    def parameters(self) -> dict[str, Any]:
        """Return the algorithm's parameters for the area; {} is the whole layer."""
        kind = self.kind.currentData()
        if kind == MAP:
            return {"EXTENT": self._visible()}
        if kind == DRAWN and self.rectangle is not None:
            return {"EXTENT": self.rectangle}
        layer = self.polygons.currentLayer()
        if kind == SELECTED and layer is not None:
            return {"AOI": QgsProcessingFeatureSourceDefinition(layer.id(), True)}
        return {}

    def problem(self, raster: QgsRasterLayer) -> str:
        """Return why there is no area to look at, "" where there is one."""
        kind, polygons = self.kind.currentData(), self.polygons.currentLayer()
        if kind == MAP and not _touches(self._visible(), raster):
            return self.tr("The visible map does not show the image.")
        if kind == DRAWN:
            if self.rectangle is None:
                return self.tr("Draw a rectangle on the map first.")
            if not _touches(self.rectangle, raster):
                return self.tr("The drawn rectangle lies outside the image.")
        if kind == SELECTED:
            if polygons is None:
                return self.tr("The project has no polygon layer to select features of.")
            if not polygons.selectedFeatureCount():
                return self.tr("Select features of “{layer}” first.").format(layer=polygons.name())
            bounds = QgsReferencedRectangle(polygons.boundingBoxOfSelected(), polygons.crs())
            if not _touches(bounds, raster):
                return self.tr("The selected features lie outside the image.")
        return ""

    def set_rectangle(self, rectangle: QgsReferencedRectangle | None) -> None:
        """Take a rectangle as the drawn one; None: clear it."""
        self.rectangle = rectangle
        remember("dock/rectangle", _as_text(rectangle))
        self._chosen()

    def shutdown(self) -> None:
        """Leave neither tool nor rectangle on the map."""
        self._stop_drawing()
        self._shown.show(None)
        self._canvas.extentsChanged.disconnect(self._map_moved)
        self._canvas.destinationCrsChanged.disconnect(self._shown.redraw)
        self._follow(None)

    # -- widgets ----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.kind = QComboBox()
        self.kind.setToolTip(self.tr("Where in the image to look"))
        for kind, text in zip(KINDS, (self.tr("Whole image"), self.tr("Visible map"), self.tr("Selected features"),
                                      self.tr("Drawn rectangle"))):  # fmt: skip
            self.kind.addItem(text, kind)
        self.polygons = QgsMapLayerComboBox()
        self.polygons.setFilters(QgsMapLayerProxyModel.Filter.PolygonLayer)
        self.polygons.setToolTip(self.tr("The polygon layer whose selected features are looked at"))
        self.polygons.setMinimumContentsLength(8)
        self.draw = QToolButton()
        self.draw.setText(self.tr("Draw"))
        self.draw.setCheckable(True)
        self.draw.setToolTip(self.tr("Draw a rectangle on the map; Esc gives up"))
        self.draw.toggled.connect(self._draw_toggled)
        self.size = QLabel()
        self.clear = QToolButton()
        self.clear.setText(self.tr("Clear"))
        self.clear.setToolTip(self.tr("Remove the rectangle"))
        self.clear.clicked.connect(lambda: self.set_rectangle(None))
        self.setFocusProxy(self.kind)
        self._lay_out()

    def _lay_out(self) -> None:
        rectangle = QWidget()
        row = QHBoxLayout()
        for widget in (self.draw, self.clear):
            row.addWidget(widget)
        row.addStretch()
        rows = QVBoxLayout(rectangle)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addLayout(row)
        rows.addWidget(self.size)
        self._details = QStackedWidget()
        self._details.addWidget(self.polygons)
        self._details.addWidget(rectangle)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self.kind)
        box.addWidget(self._details)

    def _restore(self) -> None:
        self.kind.setCurrentIndex(max(0, self.kind.findData(recall("dock/area", LAYER))))
        self.rectangle = _from_text(recall("dock/rectangle", ""))
        self._followed: QgsVectorLayer | None = None
        self._follow(self.polygons.currentLayer())

    # -- what happens -----------------------------------------------------------------------------------------------

    def _chosen(self) -> None:
        kind = self.kind.currentData()
        remember("dock/area", kind)
        self._details.setVisible(kind in (SELECTED, DRAWN))
        self._details.setCurrentIndex(int(kind == DRAWN))
        self._shown.show(self.rectangle if kind == DRAWN else None)
        self.clear.setEnabled(self.rectangle is not None)
        self.size.setText(_size_text(self.rectangle))
        self.size.setVisible(bool(self.size.text()))
        if kind != DRAWN:
            self._stop_drawing()
        self.changed.emit()

    def _visible(self) -> QgsReferencedRectangle:
        return QgsReferencedRectangle(self._canvas.extent(), self._canvas.mapSettings().destinationCrs())

    def _map_moved(self) -> None:
        if self.kind.currentData() == MAP:
            self.changed.emit()

    def _follow(self, layer: QgsVectorLayer | None) -> None:
        """Listen to the selection of the chosen layer, and no longer to that of the one before."""
        if self._followed is not None:
            try:
                self._followed.selectionChanged.disconnect(self._selection_changed)
            except (RuntimeError, TypeError):  # the layer was removed meanwhile
                self._followed = None
        self._followed = layer
        if layer is not None:
            layer.selectionChanged.connect(self._selection_changed)
        self.changed.emit()

    def _selection_changed(self, *_: object) -> None:
        self.changed.emit()

    def _draw_toggled(self, on: bool) -> None:
        if not on:
            self._stop_drawing()
        elif self._tool is None:
            self._tool_before = self._canvas.mapTool()
            self._tool = RectangleTool(self._canvas)
            self._tool.drawn.connect(self._drawn)
            self._tool.given_up.connect(self._stop_drawing)
            self._tool.deactivated.connect(self._drawing_left)
            self._canvas.setMapTool(self._tool)
            self._canvas.setFocus()  # so that Esc comes to the tool

    def _drawn(self, rectangle: QgsReferencedRectangle) -> None:
        self._stop_drawing()
        self.set_rectangle(rectangle)

    def _stop_drawing(self) -> None:
        """Give the map back the tool that it had; its taking another leads to `_drawing_left`."""
        if self._tool is None:
            return
        tool, before = self._tool, self._tool_before
        self._canvas.unsetMapTool(tool)
        if before is not None and not sip.isdeleted(before):
            self._canvas.setMapTool(before)

    def _drawing_left(self) -> None:
        """The map has left the tool."""
        tool, self._tool, self._tool_before = self._tool, None, None
        self.draw.setChecked(False)
        if tool is not None:
            tool.deleteLater()


def _touches(area: QgsReferencedRectangle, raster: QgsRasterLayer) -> bool:
    """Whether an area and a layer have something in common; True where that cannot be told."""
    bounds = QgsRectangle(area)
    if area.crs().isValid() and raster.crs().isValid():
        change = QgsCoordinateTransform(area.crs(), raster.crs(), QgsProject.instance())
        try:
            bounds = change.transformBoundingBox(bounds)
        except QgsCsException:
            return True
    return bool(bounds.intersects(raster.extent()))


def _size_text(rectangle: QgsReferencedRectangle | None) -> str:
    """Return such as "1.2 × 0.8 km", measured along the middle of the rectangle."""
    if rectangle is None or not rectangle.crs().isValid():
        return ""
    measure = QgsDistanceArea()
    measure.setSourceCrs(rectangle.crs(), QgsProject.instance().transformContext())
    measure.setEllipsoid(rectangle.crs().ellipsoidAcronym())  # lengths are in metres then
    middle = rectangle.center()
    ends = ((QgsPointXY(rectangle.xMinimum(), middle.y()), QgsPointXY(rectangle.xMaximum(), middle.y())),
            (QgsPointXY(middle.x(), rectangle.yMinimum()), QgsPointXY(middle.x(), rectangle.yMaximum())))  # fmt: skip
    width, height = (measure.measureLine(one, other) for one, other in ends)
    if max(width, height) >= KILOMETRE:
        return f"{width / KILOMETRE:.1f} × {height / KILOMETRE:.1f} km"
    return f"{width:.0f} × {height:.0f} m"


def _as_text(rectangle: QgsReferencedRectangle | None) -> str:
    if rectangle is None:
        return ""
    numbers = (rectangle.xMinimum(), rectangle.yMinimum(), rectangle.xMaximum(), rectangle.yMaximum())
    return " ".join([*map(repr, numbers), rectangle.crs().authid() or rectangle.crs().toWkt()])


def _from_text(text: str) -> QgsReferencedRectangle | None:
    """Return the rectangle of `_as_text`, None of anything else."""
    try:
        left, bottom, right, top, crs = text.split(" ", 4)
        box = QgsRectangle(float(left), float(bottom), float(right), float(top))
    except (TypeError, ValueError):
        return None
    return QgsReferencedRectangle(box, QgsCoordinateReferenceSystem(crs))
