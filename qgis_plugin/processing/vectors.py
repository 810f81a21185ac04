"""Vector layers on their way to the engine and back."""

from __future__ import annotations

import os
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsFeatureRequest,
    QgsFeatureSink,
    QgsField,
    QgsFields,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSource,
    QgsProcessingFeedback,
    QgsProject,
    QgsProviderRegistry,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication, QVariant

from ..core.engine_process import EngineCancelled
from .sinks import output_place

REVIEW, ACCEPTED, REJECTED = "review", "accepted", "rejected"  # field of the user's review, and what it holds
_PLAIN = (  # types of fields that the engine may want; others, such as lists, a GeoPackage may refuse
    QVariant.String,
    QVariant.Int,
    QVariant.LongLong,
    QVariant.UInt,
    QVariant.ULongLong,
    QVariant.Double,
    QVariant.Bool,
)


def write_source(
    source: QgsProcessingFeatureSource,
    path: str,
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
    rejected: bool = True,
) -> int:
    """Write what a source holds now, selection, filter and unsaved edits included, to a new GeoPackage.

    Args:
        source: to be written.
        path: of the new file.
        context, feedback: as Processing gives them.
        rejected: whether detections that a user rejected are written too.

    Returns:
        How many features were written.

    Raises:
        QgsProcessingException: it cannot be written.
        EngineCancelled: the user stopped it.
    """
    places = [place for place, field in enumerate(source.fields()) if field.type() in _PLAIN]
    fields = QgsFields()
    for place in places:
        fields.append(QgsField(source.fields().at(place)))
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = "objects"
    options.layerOptions = ["FID=geodetect_fid", "GEOMETRY_NAME=geodetect_geometry"]  # no field is called so
    writer = QgsVectorFileWriter.create(
        path, fields, source.wkbType(), source.sourceCrs(), context.transformContext(), options
    )
    flag = QgsProcessingFeatureSource.Flag.FlagSkipGeometryValidityChecks
    review = -1 if rejected else source.fields().indexFromName(REVIEW)
    written = 0
    for feature in source.getFeatures(QgsFeatureRequest(), flag):
        if feedback.isCanceled():
            raise EngineCancelled
        values = feature.attributes()
        if review >= 0 and values[review] == REJECTED:
            continue
        copy = QgsFeature(fields)
        copy.setGeometry(feature.geometry())
        copy.setAttributes([values[place] for place in places])
        writer.addFeature(copy, QgsFeatureSink.Flag.FastInsert)
        written += 1
    problem = writer.errorMessage()
    del writer  # closes the file
    if problem:
        told = _tr("“{name}” cannot be handed to the engine: {reason}")
        raise QgsProcessingException(told.format(name=source.sourceName(), reason=problem))
    return written


def open_found(path: str, table: str) -> QgsVectorLayer:
    """Return a layer that the engine wrote.

    Raises:
        QgsProcessingException: QGIS cannot open it.
    """
    layer = QgsVectorLayer(f"{path}|layername={table}", table, "ogr")
    if not layer.isValid():
        raise QgsProcessingException(
            _tr("The engine's result cannot be opened: {reason}").format(reason=layer.error().summary())
        )
    return layer


def check_output(value: Any, context: QgsProcessingContext) -> None:
    """Refuse to write over a file whose layer is being edited, or that is open for writing elsewhere.

    QGIS itself would replace the file below the edits: their commit would then go into the new result.

    Args:
        value: of a parameter of a feature sink.
        context: of the run.

    Raises:
        QgsProcessingException: the file must not be replaced.
    """
    path = output_place(value, context)
    if not path.lower().endswith((".gpkg", ".shp", ".geojson", ".json", ".fgb", ".sqlite")) or not os.path.exists(path):
        return
    layer = layer_in_editing(path, context.project())
    if layer is not None:
        told = _tr("“{name}” is being edited and lies in {path}; save its edits first, or give another name.")
        raise QgsProcessingException(told.format(name=layer.name(), path=path))
    if os.path.exists(path + "-wal"):
        told = _tr("{path} is open, perhaps as a layer of this project; remove the layer, or give another name.")
        raise QgsProcessingException(told.format(path=path))


def layer_in_editing(path: str, project: QgsProject | None) -> QgsVectorLayer | None:
    """Return the project's layer that lies in a file and is being edited, None where there is none."""
    for layer in project.mapLayers().values() if project else ():
        if isinstance(layer, QgsVectorLayer) and layer.isEditable() and _is_file(layer, path):
            return layer
    return None


def _is_file(layer: QgsVectorLayer, path: str) -> bool:
    used = QgsProviderRegistry.instance().decodeUri(layer.providerType(), layer.source()).get("path")
    try:
        return bool(used) and os.path.samefile(str(used), path)
    except OSError:
        return False


def result_crs(
    layer_crs: QgsCoordinateReferenceSystem, file_crs: QgsCoordinateReferenceSystem, origin: str
) -> QgsCoordinateReferenceSystem:
    """Return the CRS of a result: what QGIS takes the image's coordinates for, unless they are none of the engine's.

    Args:
        layer_crs: of the layer, which the user may have changed.
        file_crs: that QGIS reads from the file.
        origin: where the engine has the coordinates from: "geotransform", "gcps" or "pixels".
    """
    if origin == "pixels" and file_crs.isValid():  # QGIS warps by what the engine does not read, such as RPCs
        return QgsCoordinateReferenceSystem()
    return layer_crs


def _tr(text: str) -> str:
    return QCoreApplication.translate("Vectors", text)
