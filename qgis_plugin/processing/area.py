"""The part of the image to look at: an extent, polygons, or what both share, in the image's coordinates."""

from __future__ import annotations

import os
from dataclasses import dataclass

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeature,
    QgsFeatureRequest,
    QgsFields,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSource,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QCoreApplication

EDGE = 64  # an edge gets a point each so many parts of the image's side: what is straight in one CRS is bent in another


@dataclass(frozen=True)
class Ground:
    """Where the image lies, as QGIS has it."""

    extent: QgsRectangle
    crs: QgsCoordinateReferenceSystem


def area_of(ground: Ground, extent: QgsGeometry | None, polygons: QgsGeometry | None) -> QgsGeometry:
    """Return the part of the image that an extent and polygons have in common; either may be None.

    Raises:
        QgsProcessingException: nothing is left.
    """
    frame = QgsGeometry.fromRect(ground.extent)
    area = frame if polygons is None else polygons
    area = area if extent is None else area.intersection(extent)
    if area.isNull() or area.isEmpty() or not area.intersection(frame).area() > 0:
        told = _tr("The area lies outside the image; check the extent and the polygons.")
        if extent is not None and polygons is not None:
            told = _tr("The extent and the polygons have no part of the image in common.")
        raise QgsProcessingException(told)
    return area


def read_polygons(source: QgsProcessingFeatureSource, ground: Ground, context: QgsProcessingContext) -> QgsGeometry:
    """Return the polygons of a layer as one geometry in the image's CRS, those far from the image left out.

    Raises:
        QgsProcessingException: the layer holds no polygon, or cannot be brought into the image's CRS.
    """
    request = QgsFeatureRequest().setNoAttributes()
    flag = QgsProcessingFeatureSource.Flag.FlagSkipGeometryValidityChecks  # they are mended below
    shapes = [feature.geometry().makeValid() for feature in source.getFeatures(request, flag) if feature.hasGeometry()]
    area = QgsGeometry.unaryUnion([shape for shape in shapes if shape.area() > 0]) if shapes else QgsGeometry()
    if area.isNull() or area.isEmpty():
        raise QgsProcessingException(_tr("The layer of the area holds no polygon."))
    crs = source.sourceCrs()
    if not crs.isValid() or not ground.crs.isValid() or crs == ground.crs:
        return area
    return _moved(area, ground, QgsCoordinateTransform(crs, ground.crs, context.transformContext()))


def _moved(area: QgsGeometry, ground: Ground, transform: QgsCoordinateTransform) -> QgsGeometry:
    """Return the area in the image's CRS; what lies far away is cut off first, it may have no place there."""
    try:
        near = transform.transformBoundingBox(ground.extent, Qgis.TransformDirection.Reverse)
        margin = max(near.width(), near.height())
        area = area.intersection(QgsGeometry.fromRect(near.buffered(margin)))
        area = area.densifyByDistance(margin / EDGE)
        area.transform(transform)
    except QgsCsException as error:
        told = _tr("The area cannot be brought into the image's CRS: {reason}")
        raise QgsProcessingException(told.format(reason=error)) from error
    return area


def area_words(area: QgsGeometry, folder: str, context: QgsProcessingContext) -> list[str]:
    """Return the engine's option for an area in the image's coordinates; polygons are written to a file.

    No CRS is named: to the engine the coordinates are the scene's own, also where QGIS was told another CRS.
    """
    box = area.boundingBox()
    if area.isGeosEqual(QgsGeometry.fromRect(box)):
        return [f"--area={bounds(box)}"]
    path = os.path.join(folder, "area.fgb")  # unlike a GeoPackage or GeoJSON, it can be without a CRS
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "FlatGeobuf"
    writer = QgsVectorFileWriter.create(
        path,
        QgsFields(),
        QgsWkbTypes.Type.MultiPolygon,
        QgsCoordinateReferenceSystem(),
        context.transformContext(),
        options,
    )
    feature = QgsFeature()
    whole = QgsGeometry(area)
    whole.convertToMultiType()
    feature.setGeometry(whole)
    written = writer.addFeature(feature)
    problem = writer.errorMessage()
    del writer  # closes the file
    if not written or problem:
        told = _tr("The area cannot be written: {reason}")
        raise QgsProcessingException(told.format(reason=problem))
    return [f"--area={path}"]


def bounds(box: QgsRectangle) -> str:
    """Return left,bottom,right,top."""
    return ",".join(repr(value) for value in (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()))


def _tr(text: str) -> str:
    return QCoreApplication.translate("Area", text)
