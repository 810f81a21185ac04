"""What a run writes, and that it writes nothing where it cannot."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine
from PIL import Image
from running import MODEL, SIDE, run, same

import geodetect
from geodetect import exports, geopackage
from geodetect.errors import Cancelled, ConfigError, InputError, OutputError, SceneError
from geodetect.progress import Reporter


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


def test_no_text_of_a_csv_is_a_formula(tmp_path, reference):
    import csv

    features = reference.features
    count = len(features)
    columns = features.columns | {
        "class": np.array(['=HYPERLINK("http://x")'] * count, object),
        "scene": np.array(["-2+3.tif"] * count, object),
        "length_m": np.linspace(-1, 1, count),
    }
    exports.write(tmp_path / "out.csv", replace(features, columns=columns), {}, (), (), reference.grid)
    rows = list(csv.DictReader((tmp_path / "out.csv").open(newline="", encoding="utf-8")))
    assert {row["class"] for row in rows} == {'\'=HYPERLINK("http://x")'}
    assert {row["scene"] for row in rows} == {"'-2+3.tif"}
    assert [float(row["length_m"]) for row in rows] == columns["length_m"].tolist()  # numbers stay numbers
    assert [row["run_id"] for row in rows] == columns["run_id"].tolist()


def test_the_preview_shows_the_boxes(scene, tmp_path, reference, pixels):
    result = run(scene, preview=tmp_path / "preview.png")
    picture = np.asarray(Image.open(tmp_path / "preview.png")).astype(int)
    assert picture.shape == (SIDE, SIDE, 3)
    colours = np.array([[230, 25, 75], [67, 99, 216]])  # of the model card: plane, ship
    for (x1, y1, x2, y2), label in zip(result.detections.boxes.astype(int), result.detections.labels, strict=True):
        middle, centre = (x1 + x2) // 2, (y1 + y2) // 2
        across = [picture[max(0, y - 2) : y + 3, middle] for y in (y1, y2)]
        along = [picture[centre, max(0, x - 2) : x + 3] for x in (x1, x2)]
        edges = np.concatenate(across + along)  # another box or the legend may lie over some of them
        assert (np.abs(edges - colours[label]).max(axis=1) < 3).any()


def test_output_and_preview_appear_together_or_not_at_all(scene, tmp_path):
    (tmp_path / "locked").mkdir()
    picture = tmp_path / "preview.png"

    class Lock(Reporter):
        def progress(self, stage, done, total, found=0):
            if stage == "write":
                shutil.rmtree(tmp_path / "locked")

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
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a[1].gpkg.journal", "a[1].gpkg", "scene.tif"]


def test_a_geojson_beyond_the_antimeridian_keeps_its_shapes(write_raster, pixels, tmp_path):
    path = write_raster(pixels, crs="EPSG:4326", transform=Affine(4.5e-6, 0, 359.999, 0, -4.5e-6, 10))
    result = run(path, output=tmp_path / "out.geojson", gsd="native")
    frame = geopandas.read_file(tmp_path / "out.geojson")
    assert len(frame) == len(result.detections) > 0
    assert not frame.geometry.is_empty.any()
    assert frame.total_bounds[0] > -1
    assert frame.total_bounds[2] < 1


def test_nothing_is_written_when_the_run_is_cancelled(scene, tmp_path):
    class Stop(Reporter):
        def progress(self, stage, done, total, found=0):
            if done:
                raise Cancelled("enough")

    with pytest.raises(Cancelled):
        geodetect.detect(scene, model=MODEL, output=tmp_path / "out.gpkg", reporter=Stop())
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.gpkg.journal", "scene.tif"]


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
