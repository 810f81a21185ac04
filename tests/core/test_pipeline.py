"""The whole way with the bundled model, on scenes drawn here and on real ones where they are at hand."""

import sqlite3
from contextlib import closing

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine
from PIL import Image

import geodetect
from geodetect import geopackage
from geodetect.demo.scene import draw_scene
from geodetect.detections import Detections
from geodetect.errors import AreaError, Cancelled, ConfigError, InputError, OutputError, SceneError
from geodetect.pipeline import DetectResult
from geodetect.progress import Reporter

MODEL = "planes-ships-yolov3-tiny"
SIDE = 1024


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    drawn, _ = draw_scene(SIDE, seed=3, gsd=0.5)
    drawn = np.asarray(drawn)
    return np.ascontiguousarray(drawn if drawn.shape[0] == 3 else np.moveaxis(drawn, -1, 0))


@pytest.fixture
def scene(write_raster, pixels):
    return write_raster(pixels, tiled=True, compress="deflate")


@pytest.fixture(scope="module")
def reference(pixels, tmp_path_factory) -> DetectResult:
    path = tmp_path_factory.mktemp("reference") / "scene.tif"
    transform = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "height": SIDE, "width": SIDE, "photometric": "RGB"}
    with rasterio.open(path, "w", crs="EPSG:32631", transform=transform, **profile) as file:
        file.write(pixels)
    result = geodetect.detect(path, model=MODEL, precision="float32", score=0.3)
    assert len(result.detections) >= 5
    return result


def run(scene, **options) -> DetectResult:
    return geodetect.detect(scene, model=MODEL, **({"precision": "float32", "score": 0.3} | options))


def same(a: Detections, b: Detections, px: float = 1e-3) -> None:
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_allclose(a.boxes, b.boxes, atol=px)
    np.testing.assert_allclose(a.scores, b.scores, atol=1e-4)


def refound(boxes: np.ndarray, reference: DetectResult) -> float:
    """Return the share of the reference's sure detections that have a box on them."""
    sure = reference.detections.boxes[reference.detections.scores > 0.5]
    left_top = np.maximum(sure[:, None, :2], boxes[None, :, :2])
    shared = np.prod(np.maximum(np.minimum(sure[:, None, 2:], boxes[None, :, 2:]) - left_top, 0), axis=2)
    areas = np.prod(sure[:, 2:] - sure[:, :2], axis=1)[:, None] + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return float((shared / (areas - shared) > 0.5).any(axis=1).mean())


def test_the_geopackage_is_complete(scene, tmp_path, reference):
    output = tmp_path / "out.gpkg"
    result = run(scene, output=output)
    same(result.detections, reference.detections)
    frame = geopandas.read_file(output, layer="detections")
    assert frame.crs.to_epsg() == 32631
    assert frame["class"].tolist() == [result.classes[i] for i in result.detections.labels]
    assert frame.score.is_monotonic_decreasing
    np.testing.assert_allclose(
        frame.geometry.bounds.to_numpy(),
        np.column_stack([500_000 + result.detections.boxes[:, [0]] / 2, 5e6 - result.detections.boxes[:, [3]] / 2,
                         500_000 + result.detections.boxes[:, [2]] / 2, 5e6 - result.detections.boxes[:, [1]] / 2]),
        atol=1e-6,
    )  # fmt: skip
    (row,) = geopackage.read_runs(output)
    assert row["run_id"] == frame.run_id[0]
    assert "non-commercial" in row["licence"]
    assert row["scores"] == {"plane": 0.3, "ship": 0.3}
    assert row["counts"] == {"plane": 0, "ship": 0} | result.counts
    with closing(sqlite3.connect(output)) as database:
        (style,) = database.execute("SELECT styleQML FROM layer_styles WHERE f_table_name='detections'").fetchone()
        assert database.execute("PRAGMA user_version").fetchone() == (10200,)
    assert "plane" in style
    assert 'attr="class"' in style
    assert [path.name for path in tmp_path.iterdir() if path.name != "scene.tif"] == ["out.gpkg"]


@pytest.mark.parametrize("ending", [".geojson", ".fgb", ".parquet"])
def test_vector_formats_hold_the_same(scene, tmp_path, reference, ending):
    output = tmp_path / f"out{ending}"
    run(scene, output=output)
    frame = geopandas.read_parquet(output) if ending == ".parquet" else geopandas.read_file(output)
    assert len(frame) == len(reference.detections)
    here = frame.to_crs(32631).sort_values("id", ignore_index=True)
    expected = reference.to_geodataframe().geometry.centroid
    assert here.geometry.centroid.distance(expected, align=False).max() < 0.02
    assert (frame.crs.to_epsg() == 4326) == (ending == ".geojson")


def test_csv_and_coco_hold_pixel_boxes(scene, tmp_path, reference):
    import csv
    import json

    run(scene, output=tmp_path / "out.csv")
    run(scene, output=tmp_path / "out.json")
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    coco = json.loads((tmp_path / "out.json").read_text())
    boxes = reference.detections.boxes
    csv_boxes = [[float(row[key]) for key in ("xmin_px", "ymin_px", "xmax_px", "ymax_px")] for row in rows]
    np.testing.assert_allclose(csv_boxes, boxes, atol=2e-3)
    coco_boxes = np.array([a["bbox"] for a in coco["annotations"]])
    np.testing.assert_allclose(coco_boxes[:, :2] + coco_boxes[:, 2:], boxes[:, 2:], atol=1e-3)
    assert coco["categories"] == [{"id": 1, "name": "plane"}, {"id": 2, "name": "ship"}]


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


@pytest.mark.parametrize(
    "options", [{"tile": 768}, {"overlap": 0.5}, {"overlap": 200}, {"batch_size": 1}, {"threads": 1}]
)
def test_tiles_and_threads_do_not_change_what_is_found(scene, reference, options):
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


def test_the_preview_shows_the_boxes(scene, tmp_path, reference, pixels):
    result = run(scene, preview=tmp_path / "preview.png")
    picture = np.asarray(Image.open(tmp_path / "preview.png")).astype(int)
    assert picture.shape == (SIDE, SIDE, 3)
    colours = np.array([[230, 25, 75], [67, 99, 216]])  # of the model card: plane, ship
    for (x1, y1, x2, _), label in zip(result.detections.boxes, result.detections.labels, strict=True):
        middle = int((x1 + x2) / 2)
        edge = picture[max(0, int(y1) - 2) : int(y1) + 3, middle]
        assert (np.abs(edge - colours[label]).max(axis=1) < 3).any()


def test_output_and_preview_appear_together_or_not_at_all(scene, tmp_path):
    (tmp_path / "locked").mkdir()
    picture = tmp_path / "preview.png"

    class Lock(Reporter):
        def progress(self, stage, done, total, found=0):
            if stage == "write":
                (tmp_path / "locked").rmdir()

    with pytest.raises(OutputError, match=r"out\.gpkg could not be written"):
        run(scene, output=tmp_path / "locked" / "out.gpkg", preview=picture, reporter=Lock())
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]


def test_a_result_that_another_program_has_open_is_not_replaced(scene, tmp_path):
    output = tmp_path / "out.gpkg"
    run(scene, output=output)
    with closing(sqlite3.connect(output)) as other:
        other.execute("PRAGMA journal_mode=wal")
        other.execute("UPDATE geodetect_runs SET scene = 'x'")
        other.commit()
        with pytest.raises(OutputError, match="open in another program"):
            run(scene, output=output, overwrite=True)
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    run(scene, output=output, overwrite=True)


def test_brackets_in_a_name_leave_nothing_behind(scene, tmp_path):
    class Stop(Reporter):
        def progress(self, stage, done, total, found=0):
            if stage == "write":
                (tmp_path / "a[1].gpkg").mkdir()  # so that the rename fails

    with pytest.raises(OutputError):
        run(scene, output=tmp_path / "a[1].gpkg", reporter=Stop())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a[1].gpkg", "scene.tif"]


def test_a_geojson_beyond_the_antimeridian_keeps_its_shapes(write_raster, pixels, tmp_path):
    path = write_raster(pixels, crs="EPSG:4326", transform=Affine(4.5e-6, 0, 359.999, 0, -4.5e-6, 10))
    result = run(path, output=tmp_path / "out.geojson", gsd="native")
    frame = geopandas.read_file(tmp_path / "out.geojson")
    assert len(frame) == len(result.detections) > 0
    assert not frame.geometry.is_empty.any()
    assert frame.total_bounds[0] > -1
    assert frame.total_bounds[2] < 1


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


def test_nothing_is_written_when_the_run_is_cancelled(scene, tmp_path):
    class Stop(Reporter):
        def progress(self, stage, done, total, found=0):
            if done:
                raise Cancelled("enough")

    with pytest.raises(Cancelled):
        geodetect.detect(scene, model=MODEL, output=tmp_path / "out.gpkg", reporter=Stop())
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]


def refused(tmp_path, kind) -> tuple[dict, type[InputError], str]:
    (tmp_path / "old.gpkg").write_text("precious")
    return {
        "exists": ({"output": tmp_path / "old.gpkg"}, OutputError, "exists; give another name, or --overwrite"),
        "ending": ({"output": tmp_path / "out.xyz"}, OutputError, "no known ending; give one of .gpkg"),
        "scene": ({"output": tmp_path / "scene.tif", "overwrite": True}, OutputError, "no known ending"),
        "picture": ({"preview": tmp_path / "look.gif"}, OutputError, "give .png or .jpg"),
        "folder": ({"output": tmp_path / "no" / "out.gpkg"}, OutputError, "does not exist; create it"),
        "device": ({"output": "/proc/out.gpkg"}, OutputError, "cannot be written"),
        "score": ({"score": 2}, ConfigError, "score is 2"),
        "class": ({"classes": ("tank",)}, ConfigError, "no class"),
        "bands": ({"bands": ("1", "2", "9")}, SceneError, "no band 9"),
        "overlap": ({"overlap": 5000}, ConfigError, "overlap is 5000"),
        "engine": ({"engine": "abacus"}, ConfigError, "engine is 'abacus'"),
    }[kind]


@pytest.mark.parametrize(
    "kind", ["exists", "ending", "scene", "picture", "folder", "device", "score", "class", "bands", "overlap", "engine"]
)
def test_bad_input_is_refused_and_nothing_is_lost(scene, tmp_path, kind):
    options, error, message = refused(tmp_path, kind)
    with pytest.raises(error, match=message):
        geodetect.detect(scene, model=MODEL, **options)
    assert {path.name for path in tmp_path.iterdir()} == {"scene.tif", "old.gpkg"}
    assert (tmp_path / "old.gpkg").read_text() == "precious"


def test_a_damaged_scene_ends_in_one_sentence(write_raster, pixels, tmp_path):
    path = write_raster(pixels, tiled=True, compress="deflate")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SceneError, match=r"cannot be (read|opened)"):
        run(path, output=tmp_path / "out.gpkg")
    assert [p.name for p in tmp_path.iterdir()] == ["scene.tif"]


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


def test_the_odd_rasters_work_or_end_in_one_sentence(shared, tmp_path):
    worked = 0
    for path in sorted((shared / "data" / "rasters").glob("*.tif")):
        output = tmp_path / f"{path.stem}.gpkg"
        try:
            run(path, output=output, threads=1)
        except SceneError as error:
            assert str(path) in str(error)
            assert "\n" not in str(error)
            assert not output.exists()
            if "has 1 band" not in str(error):
                continue
            run(path, output=output, threads=1, bands=("1", "1", "1"))
        worked += 1
        assert pyogrio.read_info(output, layer="detections")["geometry_type"] == "Polygon"
    assert worked >= 16


def test_the_scene_is_never_its_own_output(tmp_path, pixels):
    raster = tmp_path / "raster.gpkg"
    with rasterio.open(raster, "w", driver="GPKG", width=SIDE, height=SIDE, count=3, dtype="uint8", crs=3857,
                       transform=Affine(2, 0, 0, 0, -2, 0)) as file:  # fmt: skip
        file.write(pixels)
    before = raster.read_bytes()
    with pytest.raises(OutputError, match="is the scene itself"):
        geodetect.detect(raster, model=MODEL, output=raster, overwrite=True)
    assert raster.read_bytes() == before
