"""The whole way with the bundled model, on scenes drawn here and on real ones where they are at hand."""

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine
from PIL import Image
from running import MODEL, SIDE, refound, run, same

import geodetect
from geodetect.errors import AreaError
from geodetect.progress import Reporter


@pytest.mark.parametrize("score", [0.5, {"plane": 0.7, "ship": 0.35}])
def test_a_result_filtered_at_a_higher_score_equals_a_run_at_it(scene, reference, score):
    least = [score if isinstance(score, float) else score[name] for name in reference.classes]
    kept = reference.detections[reference.detections.scores >= np.take(least, reference.detections.labels)]
    again = run(scene, score=score).detections
    np.testing.assert_array_equal(kept.boxes, again.boxes)
    np.testing.assert_array_equal(kept.scores, again.scores)


@pytest.mark.parametrize("average", [False, True])
def test_the_same_holds_from_below_the_floor(scene, average):
    low, high = (run(scene, score=score, average=average).detections for score in (0.005, 0.2))
    kept = low[low.scores >= 0.2]
    assert len(low) > len(kept)
    np.testing.assert_array_equal(kept.boxes, high.boxes)
    np.testing.assert_array_equal(kept.scores, high.scores)
    some = run(scene, score=0.02, average=average).detections
    np.testing.assert_array_equal(low[low.scores >= 0.02].boxes, some.boxes)


def test_classes_are_filtered(scene, reference):
    planes = run(scene, classes=("plane",)).detections
    same(planes, reference.detections[reference.detections.labels == 0])


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"threads": 1}, {"batch_size": 3, "threads": 1}])
def test_batches_and_threads_change_nothing(scene, reference, options):
    same(run(scene, **options).detections, reference.detections)


@pytest.mark.parametrize("options", [{"tile": 768}, {"overlap": 0.5}, {"overlap": 200}])
def test_other_tiles_find_nearly_the_same(scene, reference, options):
    # The network sees other surroundings in another tile, so scores and boxes move a little.
    assert refound(run(scene, **options).detections.boxes, reference) > 0.85


@pytest.mark.parametrize("engine", ["onnxruntime", "mindspore"])
def test_every_engine_finds_the_same(scene, reference, engine):
    same(run(scene, engine=engine).detections, reference.detections, px=0.02)


def test_two_runs_are_equal_to_the_bit(scene):
    first, second = run(scene), run(scene)
    np.testing.assert_array_equal(first.detections.boxes, second.detections.boxes)
    np.testing.assert_array_equal(first.detections.scores, second.detections.scores)


def test_eleven_bits_give_what_eight_bits_give(write_raster, pixels, reference):
    deep = write_raster(pixels.astype(np.uint16) * 8, "deep.tif")
    same(run(deep, stretch="0,2040").detections, reference.detections, px=0.1)
    auto = run(deep)
    assert abs(len(auto.detections) - len(reference.detections)) <= max(3, len(reference.detections) // 4)


def test_bands_in_another_order_are_put_right(write_raster, pixels, reference):
    path = write_raster(np.ascontiguousarray(pixels[::-1]), "bgr.tif")
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [rasterio.enums.ColorInterp[name] for name in ("blue", "green", "red")]
    same(run(path).detections, reference.detections)


def test_a_scene_at_half_the_pixel_size_is_resampled_to_the_models(write_raster, pixels, reference):
    fine = write_raster(pixels.repeat(2, axis=1).repeat(2, axis=2), transform=Affine(0.25, 0, 5e5, 0, -0.25, 5e6))
    result = run(fine, gsd="0.5")
    assert refound(result.detections.boxes / 2, reference) > 0.85
    assert any("resampled" in note for note in result.run["notes"])


def test_nodata_is_skipped_and_costs_no_tile(write_raster, pixels):
    wide = np.zeros((3, SIDE, 4 * SIDE), np.uint8)
    wide[:, :, :SIDE] = np.maximum(pixels, 1)
    options = {"tiled": True, "sparse_ok": True, "nodata": 0, "compress": "deflate"}
    path = write_raster(wide, **options)
    seen = []

    class Watch(Reporter):
        def progress(self, stage, done, total, found=0):
            seen.append((stage, done, total))

    result = geodetect.detect(path, model=MODEL, score=0.3, reporter=Watch())
    assert result.detections.boxes[:, 2].max() < SIDE + 20
    assert ("detect", seen[0][2], seen[0][2]) in seen


def test_an_area_of_interest_limits_tiles_and_results(scene, tmp_path, reference):
    boxes = reference.detections.boxes
    centre = (boxes[0, :2] + boxes[0, 2:]) / 2
    x, y = 500_000 + centre[0] / 2, 5_000_000 - centre[1] / 2
    bounds = f"{x - 40},{y - 40},{x + 40},{y + 40}"
    inside = run(scene, area=bounds)
    centres = (inside.detections.boxes[:, :2] + inside.detections.boxes[:, 2:]) / 2
    assert len(inside.detections) >= 1
    assert (np.abs(centres - centre) <= 80 + 1e-6).all()
    frame = geopandas.GeoDataFrame(geometry=geopandas.points_from_xy([x], [y]), crs=32631).buffer(
        40, cap_style="square"
    )
    frame.to_crs(4326).to_file(tmp_path / "area.geojson")
    from_file = run(scene, area=str(tmp_path / "area.geojson"))
    same(from_file.detections, inside.detections, px=8)
    with pytest.raises(AreaError, match="does not meet the scene"):
        run(scene, area="0,0,10,10")


def test_a_rotated_geographic_and_a_pixel_scene_hold_the_same_pixels(write_raster, pixels, reference, tmp_path):
    rotated = Affine.translation(5e5, 5e6) @ Affine.rotation(25) @ Affine.scale(0.5, -0.5)
    for transform, crs in ((rotated, "EPSG:32631"), (Affine(6.4e-6, 0, 15, 0, -4.5e-6, 45), "EPSG:4326")):
        result = run(write_raster(pixels, transform=transform, crs=crs), gsd="native")
        same(result.detections, reference.detections)
        ring = result.features.geometry[0].exterior.coords[0]
        assert ring == pytest.approx(transform @ tuple(result.detections.boxes[0, :2]), rel=1e-12)
    Image.fromarray(np.moveaxis(pixels, 0, -1)).save(tmp_path / "photo.png")
    picture = run(tmp_path / "photo.png", output=tmp_path / "photo.gpkg")
    same(picture.detections, reference.detections)
    assert "Undefined" in (pyogrio.read_info(tmp_path / "photo.gpkg", layer="detections")["crs"] or "Undefined")
    x1, y1, x2, y2 = picture.detections.boxes[0]
    assert picture.features.geometry[0].bounds == pytest.approx((x1, -y2, x2, -y1))  # where QGIS draws the picture


def test_a_scene_without_a_valid_pixel_says_so(write_raster):
    notes = []

    class Hear(Reporter):
        def note(self, message):
            notes.append(message)

    path = write_raster(np.full((3, 300, 300), np.nan, np.float32))
    assert len(geodetect.detect(path, model=MODEL, reporter=Hear()).detections) == 0
    assert any("no tile holds a valid pixel" in note for note in notes)


def test_a_scene_of_one_colour_holds_nothing(write_raster, tmp_path):
    output = tmp_path / "none.gpkg"
    result = geodetect.detect(write_raster(np.full((3, 300, 200), 90, np.uint8)), model=MODEL, output=output)
    assert len(result.detections) == 0
    assert len(geopandas.read_file(output, layer="detections")) == 0


def test_real_planes_are_found(shared, tmp_path):
    folder = shared / "data" / "planes-ships" / "val"
    image = sorted((folder / "images").glob("airbus_*"))[0]
    result = geodetect.detect(image, model=MODEL)
    lines = (folder / "labelTxt" / f"{image.stem}.txt").read_text().split("\n")[2:]
    truth = np.array([[float(v) for v in line.split()[:8]] for line in lines if line.strip()])
    centres = truth.reshape(-1, 4, 2).mean(axis=1)
    boxes = result.detections.boxes
    hit = [((boxes[:, 0] < x) & (x < boxes[:, 2]) & (boxes[:, 1] < y) & (y < boxes[:, 3])).any() for x, y in centres]
    assert np.mean(hit) > 0.8
