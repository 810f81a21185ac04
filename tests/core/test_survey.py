import numpy as np
import pytest
import rasterio

from geodetect.scene import open_scene
from geodetect.survey import occupied, sample
from geodetect.window import Window

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def test_stored_blocks_are_told_from_sparse_ones(tmp_path):
    path = tmp_path / "sparse.tif"
    options = {"tiled": True, "blockxsize": 256, "blockysize": 256, "sparse_ok": True, "compress": "deflate"}
    with rasterio.open(path, "w", driver="GTiff", width=2048, height=2048, count=3, dtype="uint8", **options) as file:
        file.write(np.full((3, 256, 256), 9, np.uint8), window=rasterio.windows.Window(512, 768, 256, 256))
    windows = [
        Window(0, 0, 300, 300),
        Window(700, 500, 300, 300),
        Window(768, 768, 256, 256),
        Window(1000, 700, 64, 64),
    ]
    with open_scene(path) as scene:
        assert occupied(scene, windows).tolist() == [False, True, False, True]


def test_a_wholly_empty_file_holds_nothing(tmp_path):
    path = tmp_path / "empty.tif"
    options = {"tiled": True, "sparse_ok": True, "compress": "deflate", "bigtiff": "yes", "crs": "EPSG:3857"}
    rasterio.open(path, "w", driver="GTiff", width=50_000, height=50_000, count=3, dtype="uint8", **options).close()
    with open_scene(path) as scene:
        assert not occupied(scene, [Window(0, 0, 640, 640), Window(30_000, 49_000, 640, 640)]).any()


def test_a_file_of_one_colour_is_not_taken_for_empty(write_raster):
    with open_scene(write_raster(np.full((3, 2000, 2000), 9, np.uint8), tiled=True, compress="zstd")) as scene:
        assert occupied(scene, [Window(0, 0, 640, 640)]).all()


def test_an_overview_of_the_mask_tells_empty_windows(write_raster):
    pixels = np.zeros((3, 4096, 4096), np.uint8)
    pixels[:, :1024, :1024] = 7
    path = write_raster(pixels, nodata=0, tiled=True, compress="deflate")
    with rasterio.open(path, "r+") as file:
        file.build_overviews([4, 8])
    with open_scene(path) as scene:
        there = occupied(scene, [Window(0, 0, 512, 512), Window(2048, 2048, 512, 512), Window(1000, 1000, 512, 512)])
    assert there.tolist() == [True, False, True]


def test_a_scene_is_sampled_without_reading_it_whole(write_raster):
    ramp = np.broadcast_to(np.linspace(0, 4000, 4000, dtype=np.uint16), (3, 4000, 4000))
    with open_scene(write_raster(np.ascontiguousarray(ramp), tiled=True)) as scene:
        pixels, valid = sample(scene)
    assert pixels.shape[1] == valid.size < 4000 * 4000 / 10
    assert np.percentile(pixels[0], 50) == pytest.approx(2000, rel=0.05)
