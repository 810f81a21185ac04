"""A result's way into the sink that the user chose: all of it, or nothing is left."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsDataSourceUri,
    QgsFeature,
    QgsFeatureSink,
    QgsFields,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputLayerDefinition,
    QgsProviderConnectionException,
    QgsProviderRegistry,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..core.engine_process import EngineCancelled

FID = "fid"  # the GeoPackage's own key, which QGIS shows as a field
FULL = 1 << 20  # bytes that are free on a disk that is as good as full


def write_result(
    algorithm: QgsProcessingAlgorithm,
    name: str,
    parameters: dict[str, Any],
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
    found: QgsVectorLayer,
    crs: QgsCoordinateReferenceSystem,
) -> str:
    """Copy the engine's layer into an algorithm's sink; returns the destination, "" where none is wanted.

    Raises:
        QgsProcessingException: it cannot be written, or not all of it.
        EngineCancelled: the user stopped it.
    """
    fields, why = found_fields(found), ""
    place = output_place(parameters.get(name), context)
    shared = place.startswith("ogr:") and os.path.isfile(file_of(place))  # a file with other layers
    try:
        sink, destination = algorithm.parameterAsSink(parameters, name, context, fields, found.wkbType(), crs)
    except QgsProcessingException as refusal:
        sink, destination, why = None, place, str(refusal)
    if sink is not None:
        if not _pour(found, sink, fields, feedback):
            why = str(algorithm.writeFeatureError(sink, parameters, name))
        del sink  # closes the file
        why = why or _lacking(destination, found.featureCount())
    if feedback.isCanceled() or why:
        folder = os.path.dirname(file_of(destination))
        if why and os.path.isdir(folder) and shutil.disk_usage(folder).free < FULL:
            why = _tr("The disk is full: make room in {folder}, or choose another.").format(folder=folder)
        discard(destination, shared)
        if feedback.isCanceled():
            raise EngineCancelled
        raise QgsProcessingException(why)
    return str(destination)


def found_fields(layer: QgsVectorLayer) -> QgsFields:
    """Return the fields of the engine's layer but the file's own key."""
    fields = QgsFields()
    for field in layer.fields():
        if field.name() != FID:
            fields.append(field)
    return fields


def output_place(value: Any, context: QgsProcessingContext) -> str:
    """Return where a parameter of a sink points to: a file, `ogr:` with a file and a table, a database."""
    if isinstance(value, QgsProcessingOutputLayerDefinition):
        value = value.sink.valueAsString(context.expressionContext(), "")[0]
    return str(value or "")


def file_of(destination: str) -> str:
    """Return the file of a destination, there or not; of one in a database or in memory what is no file."""
    return os.path.abspath(place_of(destination)[0])


def discard(destination: str, shared: bool = False) -> None:
    """Remove what was written of a result; of a file that holds other layers, its table alone."""
    path, table = place_of(destination)
    if not os.path.isfile(path):
        return
    if shared:
        with contextlib.suppress(QgsProviderConnectionException):
            metadata = QgsProviderRegistry.instance().providerMetadata("ogr")
            metadata.createConnection(path, {}).dropVectorTable("", table)
    elif path.lower().endswith(".shp"):
        QgsVectorFileWriter.deleteShapeFile(path)
    else:
        for ending in ("", "-wal", "-shm", "-journal"):
            with contextlib.suppress(OSError):
                os.remove(path + ending)


def place_of(destination: str) -> tuple[str, str]:
    """Return file and table of a destination, there or not; "" where it names none."""
    if destination.startswith("ogr:"):
        uri = QgsDataSourceUri(destination[len("ogr:") :])
        return uri.database(), uri.table()
    parts = QgsProviderRegistry.instance().decodeUri("ogr", destination)
    return str(parts.get("path") or ""), str(parts.get("layerName") or "")


def _pour(layer: QgsVectorLayer, sink: QgsFeatureSink, fields: QgsFields, feedback: QgsProcessingFeedback) -> bool:
    """Copy features until the sink takes no more or the user stops it; returns whether it took everything."""
    places = [layer.fields().indexFromName(field.name()) for field in fields]
    for feature in layer.getFeatures():
        if feedback.isCanceled():
            return False
        values = feature.attributes()
        copy = QgsFeature(fields)
        copy.setGeometry(feature.geometry())
        copy.setAttributes([values[place] for place in places])
        if not sink.addFeature(copy, QgsFeatureSink.Flag.FastInsert):
            return False
    return bool(sink.flushBuffer())


def _lacking(destination: str, count: int) -> str:
    """Return what is amiss with a file that should hold `count` features, "" where nothing is."""
    if not os.path.isfile(file_of(destination)):
        return ""
    layer = QgsVectorLayer(destination, "written", "ogr")
    written = layer.featureCount() if layer.isValid() else 0
    told = _tr("Only {written} of {count} objects could be written; make room on the disk.")
    return told.format(written=written, count=count) if 0 <= written < count else ""


def _tr(text: str) -> str:
    return QCoreApplication.translate("Sinks", text)
