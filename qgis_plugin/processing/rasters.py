"""Raster layers as the engine can open them."""

from __future__ import annotations

import os
import re

from qgis.core import QgsProcessingException, QgsProcessingFeedback, QgsRasterLayer
from qgis.PyQt.QtCore import QCoreApplication

SERVICES = ("wms", "wcs", "arcgismapserver", "vectortile")  # XYZ tiles are "wms" to QGIS
_OPTIONS = re.compile(r"\|(option|credential):.*$", re.DOTALL)  # what QGIS adds to the name that GDAL opens


def raster_source(layer: QgsRasterLayer, feedback: QgsProcessingFeedback) -> str:
    """Return what GDAL opens for a layer: a file, a subdataset or an address.

    Raises:
        QgsProcessingException: the layer is no raster that another program can open.
    """
    name, kind = layer.name(), layer.providerType()
    if kind in SERVICES:
        raise QgsProcessingException(
            _tr(
                "“{name}” is a web map service, which has no pixels of its own; export the part that you need to "
                "GeoTIFF (Layer ▸ Save As…, raw data or rendered image) and run on that.",
            ).format(name=name)
        )
    if kind != "gdal":
        raise QgsProcessingException(
            _tr("“{name}” comes from the provider “{kind}”; export the layer to GeoTIFF first.").format(
                name=name, kind=kind
            )
        )
    whole = layer.source()
    source = whole if os.path.exists(whole) else _OPTIONS.sub("", whole)
    if source != whole:
        feedback.pushWarning(_tr("The open options of “{name}” are not used.").format(name=name))
    if source.startswith("/vsimem/") or ":/vsimem/" in source:
        raise QgsProcessingException(
            _tr("“{name}” exists in the memory of QGIS alone; export the layer to GeoTIFF first.").format(name=name)
        )
    return os.path.abspath(source) if os.path.exists(source) else source  # the engine has another current folder


def plain_file(layer: QgsRasterLayer, feedback: QgsProcessingFeedback) -> str:
    """Return the file of a layer.

    Raises:
        QgsProcessingException: it is no file of this computer.
    """
    source = raster_source(layer, feedback)
    if not os.path.exists(source):
        raise QgsProcessingException(
            _tr("“{name}” is no plain file; export the layer to GeoTIFF first.").format(name=layer.name())
        )
    return source


def warn_of_crs(layer: QgsRasterLayer, feedback: QgsProcessingFeedback) -> None:
    """Tell what becomes of a layer whose file has no CRS."""
    if layer.dataProvider().crs().isValid():
        return
    if layer.crs().isValid():
        told = _tr(
            "The CRS of “{name}” is set in this project, not in its file: the result gets it, but no sizes in metres.",
        )
    else:
        told = _tr(
            "“{name}” has no CRS: the result lies upon it, but gets no CRS and no sizes in metres. "
            "Assign it one with Raster ▸ Projections ▸ Assign Projection.",
        )
    feedback.pushWarning(told.format(name=layer.name()))


def _tr(text: str) -> str:
    return QCoreApplication.translate("Rasters", text)
