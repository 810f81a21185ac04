"""The area to look at: whole, visible, selected, drawn with the mouse."""

from __future__ import annotations

import pytest
from desk import events, until
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsVectorLayer,
)
from qgis.gui import QgsMapToolPan, QgsRubberBand
from qgis.PyQt.QtCore import QEvent, QPoint, QPointF, Qt
from qgis.PyQt.QtGui import QMouseEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication

from qgis_plugin.gui.area import DRAWN, KINDS, LAYER, MAP, SELECTED
from qgis_plugin.settings import recall

LEFT = Qt.MouseButton.LeftButton
WEST = QgsRectangle(500_000, 4_999_360, 500_320, 5_000_000)  # half of the scene


def choose(area, kind):
    area.kind.setCurrentIndex(KINDS.index(kind))


def pixel(canvas, x, y):
    point = canvas.getCoordinateTransform().transform(QgsPointXY(x, y))
    return QPoint(round(point.x()), round(point.y()))


def drag(canvas, start, end, release=True):
    port = canvas.viewport()
    QTest.mousePress(port, LEFT, pos=start)
    for place in (start + QPoint(9, 9), end):  # QTest's own move knows no button that is down
        move = QMouseEvent(QEvent.Type.MouseMove, QPointF(place), LEFT, LEFT, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(port, move)
    if release:
        QTest.mouseRelease(port, LEFT, pos=end)
        events(0.05)


def bands(canvas):
    return [item for item in canvas.scene().items() if isinstance(item, QgsRubberBand) and item.isVisible()]


def to_scene(rectangle):
    crs = QgsCoordinateReferenceSystem("EPSG:32631")
    return QgsCoordinateTransform(rectangle.crs(), crs, QgsProject.instance()).transformBoundingBox(rectangle)


def near(box, other, tolerance):
    sides = ("xMinimum", "yMinimum", "xMaximum", "yMaximum")
    return all(abs(getattr(box, side)() - getattr(other, side)()) <= tolerance for side in sides)


@pytest.fixture
def area(dock):
    return dock.run.area


def test_the_whole_image_is_the_default(area):
    assert area.kind.currentData() == LAYER
    assert area.parameters() == {}
    assert not area.draw.isVisible()


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:4326", "EPSG:3857"])
def test_a_rectangle_is_drawn_by_dragging(dock, area, desk, crs):
    canvas = desk.canvas
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem(crs))
    canvas.zoomToFeatureExtent(_in_map(canvas, dock.run.raster.layer().extent()))
    before = QgsMapToolPan(canvas)
    canvas.setMapTool(before)
    choose(area, DRAWN)
    assert dock.footer.status.text() == "Draw a rectangle on the map first."
    assert not dock.footer.detect.isEnabled()
    QTest.mouseClick(area.draw, LEFT)
    wanted = _in_map(canvas, QgsRectangle(500_100, 4_999_500, 500_400, 4_999_900))
    corners = pixel(canvas, wanted.xMinimum(), wanted.yMaximum()), pixel(canvas, wanted.xMaximum(), wanted.yMinimum())
    drag(canvas, *corners, release=False)
    assert len(bands(canvas)) == 1
    QTest.mouseRelease(canvas.viewport(), LEFT, pos=corners[1])
    assert area.rectangle.crs().authid() == crs
    assert near(to_scene(area.rectangle), QgsRectangle(500_100, 4_999_500, 500_400, 4_999_900), 10)
    assert area.parameters() == {"EXTENT": area.rectangle}
    assert canvas.mapTool() is before
    assert not area.draw.isChecked()
    assert dock.footer.detect.isEnabled()
    assert len(bands(canvas)) == 1
    assert area.size.text() in {f"{x} × {y} m" for x in range(290, 312) for y in range(390, 412)}


def test_two_clicks_do_as_well(area, desk):
    choose(area, DRAWN)
    QTest.mouseClick(area.draw, LEFT)
    port = desk.canvas.viewport()
    QTest.mouseClick(port, LEFT, pos=QPoint(100, 100))
    assert area.rectangle is None
    QTest.mouseMove(port, QPoint(200, 180))
    events(0.05)
    assert len(bands(desk.canvas)) == 1
    QTest.mouseClick(port, LEFT, pos=QPoint(220, 200))
    scale = desk.canvas.mapUnitsPerPixel()
    assert area.rectangle.width() == pytest.approx(120 * scale, abs=1.5 * scale)
    assert area.rectangle.height() == pytest.approx(100 * scale, abs=1.5 * scale)


def test_escape_gives_up(area, desk):
    before = QgsMapToolPan(desk.canvas)
    desk.canvas.setMapTool(before)
    choose(area, DRAWN)
    QTest.mouseClick(area.draw, LEFT)
    drag(desk.canvas, QPoint(50, 50), QPoint(200, 200), release=False)
    QTest.keyClick(desk.canvas, Qt.Key.Key_Escape)
    assert area.rectangle is None
    assert bands(desk.canvas) == []
    assert desk.canvas.mapTool() is before
    assert not area.draw.isChecked()


def test_another_tool_ends_drawing(area, desk):
    choose(area, DRAWN)
    QTest.mouseClick(area.draw, LEFT)
    other = QgsMapToolPan(desk.canvas)
    desk.canvas.setMapTool(other)
    assert not area.draw.isChecked()
    assert desk.canvas.mapTool() is other
    QTest.mouseClick(area.draw, LEFT)
    assert desk.canvas.mapTool() is not other
    QTest.mouseClick(area.draw, LEFT)  # a second click leaves it too
    assert desk.canvas.mapTool() is other


def test_a_rectangle_is_cleared_hidden_and_remembered(dock, area, desk):
    choose(area, DRAWN)
    assert not area.clear.isEnabled()
    area.set_rectangle(QgsReferencedRectangle(WEST, QgsCoordinateReferenceSystem("EPSG:32631")))
    assert len(bands(desk.canvas)) == 1
    choose(area, LAYER)
    assert bands(desk.canvas) == []
    assert area.parameters() == {}
    choose(area, DRAWN)
    assert len(bands(desk.canvas)) == 1
    from qgis_plugin.gui.area import AreaBox

    same = AreaBox(desk.canvas)
    assert same.kind.currentData() == DRAWN
    assert near(same.rectangle, WEST, 1e-9)
    assert same.rectangle.crs().authid() == "EPSG:32631"
    same.shutdown()
    QTest.mouseClick(area.clear, LEFT)
    assert bands(desk.canvas) == []
    assert recall("dock/rectangle", "?") == ""


def test_it_stays_in_place_when_the_map_changes_its_crs(area, desk):
    choose(area, DRAWN)
    area.set_rectangle(QgsReferencedRectangle(WEST, QgsCoordinateReferenceSystem("EPSG:32631")))
    desk.canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    box = bands(desk.canvas)[0].asGeometry().boundingBox()
    assert 2.9 < box.xMinimum() < box.xMaximum() < 3.1
    assert 45 < box.yMinimum() < box.yMaximum() < 45.3


def test_a_place_outside_the_image_is_told(dock, area, desk):
    elsewhere = QgsReferencedRectangle(QgsRectangle(10, 10, 11, 11), QgsCoordinateReferenceSystem("EPSG:4326"))
    choose(area, DRAWN)
    area.set_rectangle(elsewhere)
    assert dock.footer.status.text() == "The drawn rectangle lies outside the image."
    choose(area, MAP)
    assert dock.footer.detect.isEnabled()
    desk.canvas.setExtent(QgsRectangle(0, 0, 10, 10))
    assert dock.footer.status.text() == "The visible map does not show the image."
    desk.canvas.setExtent(WEST)
    assert dock.footer.detect.isEnabled()


def test_selected_features(dock, area, desk):
    choose(area, SELECTED)
    assert dock.footer.status.text() == "The project has no polygon layer to select features of."
    layer = QgsVectorLayer("Polygon?crs=EPSG:32631", "harbour", "memory")
    for box in (QgsRectangle(500_010, 4_999_600, 500_300, 4_999_990), QgsRectangle(0, 0, 1, 1)):
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromRect(box))
        layer.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayer(layer)
    assert dock.footer.status.text() == "Select features of “harbour” first."
    layer.selectByIds([1])
    assert dock.footer.detect.isEnabled()
    layer.selectByIds([2])
    assert dock.footer.status.text() == "The selected features lie outside the image."
    layer.selectByIds([1])
    QTest.mouseClick(dock.footer.detect, LEFT)
    assert until(lambda: not dock.footer.running)
    boxes = [feature.geometry().boundingBox() for feature in dock.results.layer.getFeatures()]
    assert len(boxes) > 3
    assert all(500_010 < box.center().x() < 500_300 and box.center().y() > 4_999_600 for box in boxes)
    QgsProject.instance().removeMapLayer(layer)  # another takes its place: the result, which is of polygons too
    assert dock.footer.status.text() == "Select features of “hafen nord: detections” first."


def test_only_the_drawn_part_is_looked_at(dock, area, desk):
    """From the mouse to the result, in a map of another CRS than the image's."""
    canvas = desk.canvas
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    canvas.zoomToFeatureExtent(_in_map(canvas, dock.run.raster.layer().extent()))
    choose(area, DRAWN)
    QTest.mouseClick(area.draw, LEFT)
    wanted = _in_map(canvas, WEST)
    drag(canvas, pixel(canvas, wanted.xMinimum(), wanted.yMaximum()),
         pixel(canvas, wanted.xMaximum(), wanted.yMinimum()))  # fmt: skip
    QTest.mouseClick(dock.footer.detect, LEFT)
    assert until(lambda: not dock.footer.running)
    centres = [feature.geometry().boundingBox().center().x() for feature in dock.results.layer.getFeatures()]
    assert len(centres) > 5
    assert max(centres) < to_scene(area.rectangle).xMaximum() + 1
    assert to_scene(area.rectangle).xMaximum() < 500_340


def _in_map(canvas, box):
    crs = QgsCoordinateReferenceSystem("EPSG:32631")
    change = QgsCoordinateTransform(crs, canvas.mapSettings().destinationCrs(), QgsProject.instance())
    return change.transformBoundingBox(box)
