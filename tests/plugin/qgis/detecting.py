"""What the tests of `geodetect:detect` share."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProcessingFeedback,
    QgsRectangle,
    QgsVectorLayer,
)

FIELDS = ["id", "class", "class_id", "score", "length_m", "width_m", "area_m2", "scene", "model", "run_id"]
HALF = QgsRectangle(500_000, 4_999_360, 500_320, 5_000_000)  # the scene's western half
ALGORITHM = "geodetect:detect"


def run(parameters, feedback=None, context=None):
    import processing

    return processing.run(ALGORITHM, parameters, feedback=feedback, context=context)


def rows(path, table):
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(f'SELECT * FROM "{table}"')]


def values(layer, *names):
    return sorted(tuple(feature[name] for name in names) for feature in layer.getFeatures())


def with_polygons(*shapes, crs="EPSG:32631"):
    layer = QgsVectorLayer(f"Polygon?crs={crs}", "harbour", "memory")
    for shape in shapes:
        feature = QgsFeature()
        feature.setGeometry(shape if isinstance(shape, QgsGeometry) else QgsGeometry.fromRect(shape))
        layer.dataProvider().addFeatures([feature])
    layer.updateExtents()
    return layer


class Listening(QgsProcessingFeedback):
    """Keeps what it is told."""

    def __init__(self):
        super().__init__(False)
        self.texts, self.infos, self.warnings, self.debug = [], [], [], []

    def setProgressText(self, text):
        self.texts.append(text)

    def pushInfo(self, text):
        self.infos.append(text)

    def pushWarning(self, text):
        self.warnings.append(text)

    def pushDebugInfo(self, text):
        self.debug.append(text)


def in_qgis_process(folder: Path, words: list[str], before: list[str] | None = None):
    """Run qgis_process in a folder, with the plugin enabled and a profile of its own."""
    plugins = folder / "plugins"
    plugin = plugins / "geodetect_qgis"
    root = Path(__file__).resolve().parents[3]
    environment = {
        **os.environ,
        "PATH": "/usr/bin:/bin",
        "QT_QPA_PLATFORM": "offscreen",
        "QGIS_PLUGINPATH": str(plugins),
        "QGIS_CUSTOM_CONFIG_PATH": str(folder / "profile"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for name in ("VIRTUAL_ENV", "PYTHONPATH"):
        environment.pop(name, None)
    if not plugin.exists():
        shutil.copytree(root / "qgis_plugin", plugin, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(root / "metadata.txt", plugin)
        enable = ["/usr/bin/qgis_process.bin", "plugins", "enable", "geodetect_qgis"]
        subprocess.run(enable, env=environment, check=True, capture_output=True, timeout=60)
    command = [*(before or ["/usr/bin/qgis_process.bin"]), *words]
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
