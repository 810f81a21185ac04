"""Where a result is written."""

from __future__ import annotations

import os
import tempfile
import time

from qgis.core import QgsProviderRegistry, QgsRasterLayer

ENDING = ".gpkg"
FRESH = 5.0  # s that an answer holds: it is asked for at every move of the map
_writable: dict[str, tuple[float, bool]] = {}  # by folder: when it was tried, whether it went


def raster_file(layer: QgsRasterLayer) -> str:
    """Return the file of a raster layer, "" where it is none, such as a web service or a file inside an archive."""
    parts = QgsProviderRegistry.instance().decodeUri(layer.providerType(), layer.source())
    path = str(parts.get("path", ""))
    return path if os.path.isfile(path) else ""


def default_output(layer: QgsRasterLayer) -> str:
    """Return a new GeoPackage beside the image, "" where none can be written there."""
    path = raster_file(layer)
    folder = os.path.dirname(path)
    if not path or not is_writable(folder):
        return ""
    return unused(os.path.join(folder, os.path.splitext(os.path.basename(path))[0] + "_detections" + ENDING))


def unused(path: str) -> str:
    """Return a path, with a number where there is such a file: a result never replaces another."""
    stem, ending = os.path.splitext(path)
    if not ending:
        ending = ENDING
    candidate, number = stem + ending, 1
    while os.path.exists(candidate):
        number += 1
        candidate = f"{stem}_{number}{ending}"
    return candidate


def is_writable(folder: str) -> bool:
    """Whether a file can be made in a folder; found out by making one, for Windows' flags do not tell."""
    now = time.monotonic()
    tried, answer = _writable.get(folder, (-FRESH, False))
    if now - tried >= FRESH:
        answer = _can_write(folder)
        _writable[folder] = now, answer
    return answer


def _can_write(folder: str) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
