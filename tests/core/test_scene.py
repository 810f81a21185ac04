import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.control import GroundControlPoint

from geodetect.errors import SceneError
from geodetect.gdal import scene_name
from geodetect.scene import open_scene
from geodetect.window import Window

# writing scenes without georeference is what some of these tests do
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(1, 255, (3, 200, 300), dtype=np.uint8)


def test_a_window_is_read_as_it_is(write_raster):
    with open_scene(write_raster(PIXELS)) as scene:
        tile = scene.read(Window(20, 30, 50, 60))
        np.testing.assert_array_equal(tile.pixels, PIXELS[:, 20:70, 30:90])
        assert tile.valid is None
        assert scene.grid.gsd == pytest.approx((0.5, 0.5), rel=1e-3)


def test_reading_at_half_size_averages(write_raster):
    with open_scene(write_raster(PIXELS.astype(np.float32))) as scene:
        half = scene.read(Window(0, 0, 200, 300), (100, 150)).pixels
    expected = PIXELS.astype(np.float32).reshape(3, 100, 2, 150, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(half, expected, rtol=1e-5)


def test_what_tells_valid_pixels(write_raster):
    hole = PIXELS.copy()
    hole[:, :100] = 0
    mask = np.full((200, 300), 255, np.uint8)
    mask[:100] = 0
    alpha = np.concatenate([PIXELS, mask[None]])
    nan = PIXELS.astype(np.float32)
    nan[1, :100] = np.nan
    scenes = {
        "nodata": write_raster(hole, "nodata.tif", nodata=0),
        "dataset": write_raster(PIXELS, "mask.tif", mask=mask > 0),
        "alpha": write_raster(alpha, "alpha.tif", photometric="RGB", alpha="yes"),
        "none": write_raster(nan, "nan.tif"),
    }
    for kind, path in scenes.items():
        with open_scene(path) as scene:
            assert scene.mask == kind
            valid = scene.read(Window(0, 0, 200, 300)).valid
            assert not valid[:100].any(), kind
            assert valid[100:].all(), kind
            assert scene.read(Window(0, 0, 50, 50)).is_empty


def test_a_mask_band_counts_beside_alpha(write_raster):
    mask = np.full((200, 300), True)
    mask[:, :150] = False
    alpha = np.full((1, 200, 300), 255, np.uint8)
    alpha[0, :100] = 0
    path = write_raster(np.concatenate([PIXELS, alpha]), photometric="RGB", alpha="yes", mask=mask)
    with open_scene(path) as scene:
        valid = scene.read(Window(0, 0, 200, 300)).valid
    assert not valid[:, :150].any()
    assert not valid[:100].any()
    assert valid[100:, 150:].all()


def test_a_scene_may_be_closed_while_another_thread_reads(write_raster):
    import threading

    scene = open_scene(write_raster(RNG.integers(0, 255, (3, 3000, 3000), dtype=np.uint8), compress="deflate"))
    reading = threading.Thread(target=scene.read, args=(Window(0, 0, 3000, 3000),))
    reading.start()
    while not scene._handles:
        pass
    scene.close()
    reading.join()


def test_a_url_is_named_without_its_query():
    assert scene_name("https://host/folder/a.tif?sig=secret#part") == "a.tif"


@pytest.mark.parametrize("points", ["line", "same"])
def test_control_points_that_span_no_area_are_refused(tmp_path, points):
    path = tmp_path / "gcp.tif"
    places = [(0, 0), (50, 50), (100, 100), (150, 150)] if points == "line" else [(5, 5)] * 4
    with rasterio.open(path, "w", driver="GTiff", width=300, height=200, count=3, dtype="uint8") as file:
        file.write(PIXELS)
        gcps = [GroundControlPoint(row, col, 5e5 + col, 5e6 - row) for row, col in places]
        file.gcps = gcps, rasterio.crs.CRS.from_epsg(32631)
    with pytest.raises(SceneError, match="no area"):
        open_scene(path)


def test_a_dark_pixel_is_valid_where_only_one_band_equals_nodata(write_raster):
    pixels = PIXELS.copy()
    pixels[0] = 0
    with open_scene(write_raster(pixels, nodata=0)) as scene:
        assert scene.read(Window(0, 0, 50, 50)).valid is None


def test_nodata_that_no_pixel_can_have_is_no_trouble(write_raster, tmp_path):
    with rasterio.open(write_raster(PIXELS)) as source:
        vrt = tmp_path / "s.vrt"
        rasterio.shutil.copy(source, vrt, driver="VRT")
    vrt.write_text(vrt.read_text().replace("<ColorInterp>", "<NoDataValue>-9999</NoDataValue><ColorInterp>"))
    with open_scene(vrt) as scene:
        assert scene.read(Window(0, 0, 10, 10)).valid is None


def test_a_palette_becomes_its_colours(tmp_path):
    path = tmp_path / "palette.tif"
    index = RNG.integers(0, 3, (1, 40, 50), dtype=np.uint8)
    colours = {0: (255, 0, 0, 255), 1: (0, 255, 0, 255), 2: (1, 2, 3, 255)}
    with rasterio.open(path, "w", driver="GTiff", width=50, height=40, count=1, dtype="uint8") as file:
        file.write(index)
        file.write_colormap(1, colours)
    with open_scene(path) as scene:
        tile = scene.read(Window(0, 0, 40, 50))
    expected = np.array([colours[i][:3] for i in range(3)])[index[0]]
    np.testing.assert_array_equal(np.moveaxis(tile.pixels, 0, -1), expected)


def test_ground_control_points_give_a_fitted_transform(tmp_path):
    true = Affine.translation(500_000, 5e6) @ Affine.rotation(20) @ Affine.scale(0.5, -0.5)
    points = [
        GroundControlPoint(row, col, *(true @ (col, row)))
        for row, col in ((0, 0), (0, 300), (200, 0), (200, 300), (100, 150))
    ]
    path = tmp_path / "gcp.tif"
    with rasterio.open(path, "w", driver="GTiff", width=300, height=200, count=3, dtype="uint8") as file:
        file.write(PIXELS)
        file.gcps = points, rasterio.crs.CRS.from_epsg(32631)
    with open_scene(path) as scene:
        assert scene.grid.origin == "gcps"
        assert scene.grid.crs.to_epsg() == 32631
        assert scene.grid.transform.almost_equals(true, 1e-6)
        assert any("5 ground control points" in note for note in scene.notes)


def test_a_picture_has_pixel_coordinates_and_says_so(tmp_path):
    path = tmp_path / "photo.png"
    with rasterio.open(path, "w", driver="PNG", width=300, height=200, count=3, dtype="uint8") as file:
        file.write(PIXELS)
    with open_scene(path) as scene:
        assert scene.grid.origin == "pixels"
        assert any("no CRS" in note for note in scene.notes)
    with pytest.raises(SceneError, match=r"photo.png has no CRS; assign one.*gdal_edit.py -a_srs"):
        open_scene(path, require_crs=True)


def test_reading_from_many_threads_is_right(write_raster):
    from concurrent.futures import ThreadPoolExecutor

    with open_scene(write_raster(PIXELS, tiled=True, blockxsize=64, blockysize=64)) as scene:
        windows = [Window(row, col, 37, 41) for row in range(0, 160, 13) for col in range(0, 250, 17)]
        with ThreadPoolExecutor(4) as pool:
            for window, tile in zip(windows, pool.map(scene.read, windows), strict=True):
                expected = PIXELS[:, window.row : window.bottom, window.col : window.right]
                np.testing.assert_array_equal(tile.pixels, expected)


def broken(tmp_path, write_raster, kind):
    if kind == "missing":
        return tmp_path / "none.tif", "does not exist"
    if kind == "text":
        path = tmp_path / "text.tif"
        path.write_text("not a raster")
        return path, "cannot be opened as a raster"
    if kind == "empty":
        path = tmp_path / "empty.tif"
        path.touch()
        return path, "cannot be opened as a raster"
    if kind == "complex":
        return write_raster(PIXELS.astype(np.complex64)), "complex pixels"
    if kind == "nan":
        return write_raster(PIXELS, transform=Affine(np.nan, 0, 5, 0, np.nan, 5)), "control points of no area"
    if kind == "flat":
        return write_raster(PIXELS, transform=Affine(0, 0, 5, 0, 0, 5)), "control points of no area"
    return tmp_path, "folder|cannot be opened"


@pytest.mark.parametrize("kind", ["missing", "text", "empty", "complex", "flat", "nan", "folder"])
def test_bad_input_is_one_sentence(tmp_path, write_raster, kind):
    path, message = broken(tmp_path, write_raster, kind)
    with pytest.raises(SceneError, match=message) as error:
        open_scene(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_a_truncated_file_says_where_it_breaks(write_raster):
    path = write_raster(RNG.integers(0, 255, (3, 600, 600), dtype=np.uint8), tiled=True, blockxsize=128, blockysize=128)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with (
        open_scene(path) as scene,
        pytest.raises(SceneError, match=r"at column 400, row 400: it is damaged or cut off"),
    ):
        scene.read(Window(400, 400, 200, 200))


def test_the_odd_rasters_open_or_say_why(shared):
    paths = sorted((shared / "data" / "rasters").glob("*.tif"))
    assert paths
    for path in paths:
        with rasterio.open(path) as file:
            bands, is_complex = file.count, "complex" in file.dtypes[0]
            palette = file.colorinterp[0].name == "palette"
        if is_complex:
            with pytest.raises(SceneError, match="complex pixels"):
                open_scene(path)
            continue
        if bands < 3 and not palette:
            with pytest.raises(SceneError, match="has 1 band"):
                open_scene(path)
        with open_scene(path, bands=[1, 1, 1] if bands < 3 and not palette else None) as scene:
            assert scene.read(Window(0, 0, 16, 16)).pixels.shape == (3, 16, 16)
