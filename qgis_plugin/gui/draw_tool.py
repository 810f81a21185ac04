"""Drawing a rectangle on the map."""

from __future__ import annotations

from qgis.core import QgsGeometry, QgsPointXY, QgsReferencedRectangle, QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent, QgsMapTool, QgsRubberBand
from qgis.PyQt.QtCore import QPoint, QRect, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent, QPalette

SMALLEST = 4  # px a side: anything less was a click, not a rectangle
FILL = 40  # of 255: the image stays visible below


class RectangleTool(QgsMapTool):
    """Draws a rectangle by dragging, or by two clicks; Esc gives it up.

    Attributes:
        drawn: the rectangle, in the map's CRS.
        given_up: the user pressed Esc.
    """

    drawn = pyqtSignal(object)
    given_up = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._start: QPoint | None = None
        self._band: QgsRubberBand | None = None
        self.setCursor(Qt.CursorShape.CrossCursor)

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802
        """Begin a rectangle, or end the one that a click began."""
        if event.button() == Qt.MouseButton.LeftButton and self._start is None:
            self._start = event.pos()

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802
        """Show what there is of it."""
        if self._start is not None:
            self._show(QRect(self._start, event.pos()).normalized())

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802
        """End it, unless the mouse has hardly moved: then the next click does."""
        if event.button() != Qt.MouseButton.LeftButton or self._start is None:
            return
        box = QRect(self._start, event.pos()).normalized()
        if box.width() <= SMALLEST or box.height() <= SMALLEST:
            return
        corners = self._corners(box)
        self._clear()
        crs = self.canvas().mapSettings().destinationCrs()
        self.drawn.emit(QgsReferencedRectangle(QgsGeometry.fromPolygonXY([corners]).boundingBox(), crs))

    def activate(self) -> None:
        """Listen to the map's keys: it hands none to its tool while a button is down."""
        super().activate()
        self.canvas().keyPressed.connect(self._key_pressed)

    def deactivate(self) -> None:
        """Leave nothing behind when another tool is taken."""
        self.canvas().keyPressed.disconnect(self._key_pressed)
        self._clear()
        super().deactivate()

    def _key_pressed(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self._clear()
            self.given_up.emit()

    def _corners(self, box: QRect) -> list[QgsPointXY]:
        place = self.canvas().getCoordinateTransform()
        points = (box.topLeft(), box.topRight(), box.bottomRight(), box.bottomLeft())
        return [place.toMapCoordinates(point.x(), point.y()) for point in points]

    def _show(self, box: QRect) -> None:
        if self._band is None:
            self._band = rubber_band(self.canvas())
        crs = self.canvas().mapSettings().destinationCrs()
        self._band.setToGeometry(QgsGeometry.fromPolygonXY([self._corners(box)]), crs)

    def _clear(self) -> None:
        self._start = None
        remove_band(self._band)
        self._band = None


class ShownRectangle:
    """A rectangle that stays on the map, whatever CRS the map takes."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        self._canvas = canvas
        self._band: QgsRubberBand | None = None
        self._rectangle: QgsReferencedRectangle | None = None

    def show(self, rectangle: QgsReferencedRectangle | None) -> None:
        """Show a rectangle instead of the one before; None: none."""
        self._rectangle = rectangle
        self.redraw()

    def redraw(self) -> None:
        """Draw it anew, in the CRS that the map has now."""
        remove_band(self._band)
        self._band = None
        if self._rectangle is not None:
            self._band = rubber_band(self._canvas)
            self._band.setToGeometry(QgsGeometry.fromRect(self._rectangle), self._rectangle.crs())


def rubber_band(canvas: QgsMapCanvas) -> QgsRubberBand:
    """Return an empty outline in the colour that the desktop uses for what is chosen."""
    band = QgsRubberBand(canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
    colour = QColor(canvas.palette().color(QPalette.ColorRole.Highlight))
    band.setStrokeColor(colour)
    band.setWidth(2)
    band.setSecondaryStrokeColor(QColor(Qt.GlobalColor.white))  # seen on any image
    colour.setAlpha(FILL)
    band.setFillColor(colour)
    return band


def remove_band(band: QgsRubberBand | None) -> None:
    """Take an outline off its map."""
    if band is not None and band.scene() is not None:
        band.scene().removeItem(band)
