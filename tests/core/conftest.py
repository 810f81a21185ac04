"""A drawn scene and what is found in it."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from mosaics import quartered_in
from running import MODEL, SIDE, features, write_scene

import geodetect
from geodetect.batch.run import BatchOptions, run_batch
from geodetect.demo.scene import draw_scene
from geodetect.pipeline import DetectResult


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    drawn, _ = draw_scene(SIDE, seed=3, gsd=0.5)
    drawn = np.asarray(drawn)
    return np.ascontiguousarray(drawn if drawn.shape[0] == 3 else np.moveaxis(drawn, -1, 0))


@pytest.fixture
def scene(write_raster, pixels):
    return write_raster(pixels, tiled=True, compress="deflate")


@pytest.fixture(scope="session")
def reference(pixels, tmp_path_factory) -> DetectResult:
    path = tmp_path_factory.mktemp("reference") / "scene.tif"
    transform = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "height": SIDE, "width": SIDE, "photometric": "RGB"}
    with rasterio.open(path, "w", crs="EPSG:32631", transform=transform, **profile) as file:
        file.write(pixels)
    result = geodetect.detect(path, model=MODEL, precision="float32", score=0.3)
    assert len(result.detections) >= 5
    return result


@pytest.fixture(scope="session")
def scenes(pixels, tmp_path_factory) -> list[str]:
    """Five scenes of one tile and one of four."""
    folder = tmp_path_factory.mktemp("scenes")
    names = []
    for number in range(6):
        row, col, side = (0, 0, 1024) if number == 2 else (64 * number, 32 * number, 640)
        part = pixels[:, row : row + side, col : col + side]
        names.append(write_scene(folder / f"scene{number}.tif", part, row, col, compress="deflate"))
    return names


@pytest.fixture(scope="module")
def undisturbed(scenes, tmp_path_factory) -> dict[str, list]:
    """What a batch finds in a folder of scenes, the module's own, when nothing goes wrong."""
    folder = tmp_path_factory.mktemp("undisturbed")
    paths = [str(path) for path in sorted(scenes.iterdir())]
    run_batch(paths, folder, options=BatchOptions(workers=1, block=0), precision="float32", score=0.3)
    return features(folder)


@pytest.fixture
def quartered(tmp_path) -> list[Path]:
    """The results of 2 x 2 scenes of one raster."""
    return quartered_in(tmp_path)
