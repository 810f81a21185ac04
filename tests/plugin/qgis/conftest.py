"""What the tests in QGIS share: the engine's Python, and a scene that it draws."""

from __future__ import annotations

import contextlib
import gc
import inspect
import os
import shutil
import subprocess
from pathlib import Path
from types import FrameType

import pytest
from qgis.core import QgsApplication, QgsProcessingUtils, QgsProject, QgsRasterLayer, QgsSettings

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


@pytest.fixture(scope="session", autouse=True)
def nothing_kept(qgis_app):
    """Empty the frames of tests that have ended but are held: layers that outlive QGIS crash Python at its end.

    QGIS never lets go of an exception that an algorithm raised, nor of the frames that led to it.
    """
    yield
    here = str(Path(__file__).parent)
    for frame in [item for item in gc.get_objects() if isinstance(item, FrameType)]:
        if frame.f_code.co_filename.startswith(here) and not frame.f_code.co_flags & inspect.CO_GENERATOR:
            with contextlib.suppress(RuntimeError):  # it has not ended
                frame.clear()
                _ = frame.f_locals  # a copy that pytest has looked at is brought up to date


@pytest.fixture
def scene(scene_file, qgis_app, qgis_new_project) -> QgsRasterLayer:
    """The scene as a layer of the project."""
    layer = QgsRasterLayer(str(scene_file), "szene")
    QgsProject.instance().addMapLayer(layer)
    return layer


@pytest.fixture
def provider(engine, qgis_app, qgis_processing):
    """The algorithms, as the plugin adds them to Processing."""
    from qgis_plugin.processing.provider import GeoDetectProvider

    added = GeoDetectProvider()
    QgsApplication.processingRegistry().addProvider(added)
    yield added
    QgsApplication.processingRegistry().removeProvider(added)


@pytest.fixture(autouse=True)
def clean_settings(request):
    """Start every test from the defaults: pytest-qgis keeps the settings between runs."""
    if "qgis_app" in request.fixturenames:
        QgsSettings().remove("geodetect")


@pytest.fixture
def image(scene_file, tmp_path, qgis_app, qgis_new_project) -> QgsRasterLayer:
    """The scene as a layer, in a folder of the test's own: results are written beside it."""
    layer = QgsRasterLayer(str(shutil.copy(scene_file, tmp_path / "hafen nord ü.tif")), "hafen nord")
    QgsProject.instance().addMapLayer(layer)
    return layer


@pytest.fixture
def desk(qgis_app, qgis_new_project):
    """A desktop, without the dock."""
    from desk import Desk

    made = Desk()
    yield made
    made.close()


@pytest.fixture
def dock(desk, provider, image):
    """The dock beside a map of the image, its engine found."""
    from desk import until

    from qgis_plugin.gui.dock import GeoDetectDock

    desk.canvas.setDestinationCrs(image.crs())
    desk.canvas.setExtent(image.extent())
    made = GeoDetectDock(desk)
    desk.show(made)
    assert until(lambda: made.watch.ready and made.run.model.model is not None), made.watch.state
    yield made
    made.shutdown()


@pytest.fixture
def left(qgis_app):
    """Fails where a run has left something in the temporary folder."""
    yield
    assert not list(Path(QgsProcessingUtils.tempFolder()).glob("geodetect-*"))


@pytest.fixture(scope="session")
def remembered() -> dict:
    """What is made once for all tests."""
    return {}


@pytest.fixture
def all_found(provider, scene, remembered) -> list[tuple[str, str, float]]:
    """Shape, class and score of all that is in the scene from a score of 0.2 on."""
    from detecting import run

    if "found" not in remembered:
        layer = run({"INPUT": scene, "SCORE": 0.2, "OUTPUT": "TEMPORARY_OUTPUT"})["OUTPUT"]
        remembered["found"] = [(f.geometry().asWkt(2), f["class"], f["score"]) for f in layer.getFeatures()]
    return remembered["found"]
