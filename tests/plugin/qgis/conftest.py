"""What the tests in QGIS share: the engine's Python, and a scene that it draws."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from qgis.core import QgsProject, QgsRasterLayer, QgsSettings

from qgis_plugin.core.environment import clean_environment

DRAW = """
import sys
import numpy, rasterio
from affine import Affine
from geodetect.demo.scene import draw_scene
pixels = numpy.moveaxis(numpy.asarray(draw_scene(1280, seed=3, gsd=0.5)[0]), -1, 0)
place = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
profile = dict(driver="GTiff", count=3, height=1280, width=1280, dtype="uint8", crs="EPSG:32631", transform=place)
with rasterio.open(sys.argv[1], "w", photometric="RGB", tiled=True, **profile) as file:
    file.write(pixels)
"""


@pytest.fixture(scope="session")
def engine() -> str:
    """The Python that geodetect is installed in."""
    python = os.environ.get("GEODETECT_PYTHON", "")
    if not Path(python).is_file():
        pytest.fail("set GEODETECT_PYTHON to a Python with geodetect, as `make test-qgis` does")
    return python


@pytest.fixture(scope="session")
def scene_file(engine, tmp_path_factory) -> Path:
    """A scene of 1280 px with planes and ships, UTM."""
    path = tmp_path_factory.mktemp("scene") / "szene ü.tif"
    subprocess.run([engine, "-I", "-c", DRAW, str(path)], check=True, env=clean_environment())
    return path


@pytest.fixture
def scene(scene_file, qgis_app, qgis_new_project) -> QgsRasterLayer:
    """The scene as a layer of the project."""
    layer = QgsRasterLayer(str(scene_file), "szene")
    QgsProject.instance().addMapLayer(layer)
    return layer


@pytest.fixture(autouse=True)
def clean_settings(request):
    """Start every test from the defaults: pytest-qgis keeps the settings between runs."""
    if "qgis_app" in request.fixturenames:
        QgsSettings().remove("geodetect")
