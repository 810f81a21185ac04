"""Merged results tell where they come from, whatever they are merged with and however they are written."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mosaics import (
    NORTH_UP,
    SIDE,
    TURNED,
    UTM,
    WGS84,
    check_each_once,
    grid_of,
    quarters,
    rows,
    runs,
    scattered,
    seen,
    write,
)
from running import Telling

from geodetect import geopackage
from geodetect.detections import Detections
from geodetect.errors import Cancelled, ConfigError, InputError, OutputError
from geodetect.grid import GeoGrid
from geodetect.mosaic import merge_results
from geodetect.progress import Reporter
from geodetect.schema import COLUMNS, LAYER

noisy = st.tuples(st.integers(0, 2**32), st.sampled_from([NORTH_UP, TURNED]), st.sampled_from([UTM, WGS84, None]))


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(noisy)
def test_one_result_alone_stays_as_it_is(tmp_path, example):
    """Even where its own features overlap, as another threshold left them."""
    seed, transform, crs = example
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 300, (60, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(2, 200, (60, 2))], axis=1)
    boxes[:, 2:] = np.minimum(boxes[:, 2:], 320)
    found = Detections.of(boxes, np.sort(rng.permutation(60) / 60)[::-1], rng.integers(0, 2, 60))
    grid = grid_of((0, 0, 320, 320), transform)
    if crs != UTM:
        grid = GeoGrid(320, 320, Affine(5e-6, 0, 5, 0, -5e-6, 45) if crs else transform, crs)
    path = write(tmp_path / "a.gpkg", found, grid, georeference="pixels")
    merged = merge_results([path], tmp_path / "merged.gpkg", overwrite=True)
    assert rows(merged) == rows(path)
    assert runs(tmp_path / "merged.gpkg") == runs(path)
    twin = shutil.copy(path, tmp_path / "twin.gpkg")
    assert rows(merge_results([path, twin], None)) == rows(path)
    assert rows(merge_results([path, twin], None, iou=1.0)) == rows(path)
    again = merge_results([tmp_path / "merged.gpkg", path], tmp_path / "again.gpkg", overwrite=True)
    assert rows(again) == rows(path)
    assert runs(tmp_path / "again.gpkg") == runs(path)


def test_the_order_of_the_results_changes_nothing(tmp_path, quartered):
    there, back = tmp_path / "there.gpkg", tmp_path / "back.gpkg"
    merge_results(quartered, there)
    merge_results(quartered[::-1] + quartered[:1], back)
    assert rows(there) == rows(back)
    assert geopackage.read_runs(there) == geopackage.read_runs(back)


def test_a_merged_result_can_be_merged_again(tmp_path, quartered):
    step, steps, once = tmp_path / "step.gpkg", tmp_path / "steps.gpkg", tmp_path / "once.gpkg"
    merge_results(quartered[:2], step)
    merge_results([step, *quartered[2:]], steps)
    merge_results(quartered, once)
    assert rows(steps) == rows(once)
    assert runs(steps) == runs(once) == sorted((runs(path)[0] for path in quartered), key=lambda run: run["run_id"])
    merge_results([once, *quartered], tmp_path / "again.gpkg")
    assert rows(tmp_path / "again.gpkg") == rows(once)
    assert runs(tmp_path / "again.gpkg") == runs(once)


def test_provenance_is_kept(tmp_path, quartered):
    merge_results(quartered, tmp_path / "merged.gpkg")
    meta, _, _, values = pyogrio.raw.read(tmp_path / "merged.gpkg", layer=LAYER)
    columns = dict(zip(meta["fields"], values, strict=True))
    assert columns["id"].tolist() == list(range(1, len(columns["id"]) + 1))
    assert (np.diff(columns["score"]) <= 0).all()
    told = geopackage.read_runs(tmp_path / "merged.gpkg")
    assert {run["run_id"]: run["scene"] for run in told} == dict(zip(columns["run_id"], columns["scene"], strict=True))
    assert {run["crs"] for run in told} == {"EPSG:32631"}
    assert [run["licence"] for run in told] == ["MIT"] * 4
    for run in told:
        mine = columns["run_id"] == run["run_id"]
        assert set(columns["model"][mine]) == {run["model"]}


def test_two_runs_of_one_id_are_two_runs(tmp_path):
    grids = quarters(100)
    objects, raster = scattered(50, 90), grid_of((0, 0, SIDE, SIDE))
    paths = [
        write(tmp_path / f"{k}.gpkg", seen(objects, raster, grid), grid, run_id="same") for k, grid in enumerate(grids)
    ]
    check_each_once(merge_results(paths, tmp_path / "merged.gpkg"), objects, raster, px=1e-3)
    assert len(geopackage.read_runs(tmp_path / "merged.gpkg")) == 4


def test_models_with_other_classes_share_one_list(tmp_path):
    grid = grid_of((0, 0, SIDE, SIDE))
    objects = scattered(30, 60)
    first = write(tmp_path / "a.gpkg", objects, grid)
    second = write(tmp_path / "b.gpkg", objects, grid, ("tank", "plane"), scores={"tank": 0.1, "plane": 0.1}, ious={})
    merged = merge_results([second, first], tmp_path / "merged.gpkg")
    assert merged.classes == ("plane", "ship", "tank")
    columns = merged.features.columns
    assert (np.array(merged.classes, object)[columns["class_id"]] == columns["class"]).all()
    planes_of_one = (objects.labels == 0).sum()
    assert merged.counts == {"plane": 30, "ship": 30 - planes_of_one, "tank": planes_of_one}
    with closing(sqlite3.connect(tmp_path / "merged.gpkg")) as database:
        ((style,),) = database.execute("SELECT styleQML FROM layer_styles").fetchall()
    assert [f'value="{name}"' in style for name in merged.classes] == [True] * 3


def test_a_bundled_model_keeps_its_colours(tmp_path):
    ship = Detections.of([[10, 10, 50, 50]], [0.9], [1])
    path = write(
        tmp_path / "a.gpkg", ship, grid_of((0, 0, 99, 99)), model="planes-ships-yolov3-tiny", scores={"ship": 0.1}
    )
    merged = merge_results([path], tmp_path / "merged.gpkg")
    assert merged.features.columns["class_id"].tolist() == [1]
    with closing(sqlite3.connect(tmp_path / "merged.gpkg")) as database:
        ((style,),) = database.execute("SELECT styleQML FROM layer_styles").fetchall()
    assert "67,99,216" in style  # #4363d8, the ships' colour


@pytest.mark.parametrize(
    ("told", "asked", "left"),
    [(0.45, None, 1), (0.7, None, 2), (0.7, 0.5, 1), (0.45, {"ship": 0.7}, 2), (None, None, 1)],
)
def test_the_threshold_is_the_runs_unless_it_is_given(tmp_path, told, asked, left):
    grid, ious = grid_of((0, 0, SIDE, SIDE)), {} if told is None else {"ship": told}
    boxes = [[500, 500, 600, 600]], [[525, 500, 625, 600]]  # IoU 0.6
    paths = [
        write(tmp_path / f"{k}.gpkg", Detections.of(box, [0.9], [1]), grid, ious=ious if k else {"ship": 0.1})
        for k, box in enumerate(boxes)
    ]
    assert len(merge_results(paths, None, iou=asked).features) == left


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iou": 1.5}, "iou is 1.5"),
        ({"iou": {"tank": 0.5}}, "names 'tank', which no result has; the classes are plane, ship"),
        ({"crs": "EPSG:99999999"}, "crs is 'EPSG:99999999', which is none"),
        ({"crs": "[0]"}, "which is none"),
        ({"crs": "[" * 9999}, "which is none"),
        ({"crs": b"x"}, "which is none"),
    ],
)
def test_settings_that_cannot_be_are_refused(quartered, options, message):
    with pytest.raises(ConfigError, match=message):
        merge_results(quartered, None, **options)


@pytest.mark.parametrize("ending", [".geojson", ".fgb", ".parquet", ".csv"])
def test_other_formats_hold_the_same(tmp_path, quartered, ending):
    merged = merge_results(quartered, tmp_path / f"merged{ending}")
    if ending == ".csv":
        lines = (tmp_path / "merged.csv").read_text().splitlines()
        assert len(lines) == 1 + len(merged.features)
        assert lines[0].startswith("id,class,class_id,score")
    else:
        import geopandas

        read = geopandas.read_parquet if ending == ".parquet" else geopandas.read_file
        frame = read(tmp_path / f"merged{ending}").sort_values("id")
        assert frame["run_id"].tolist() == merged.features.columns["run_id"].tolist()


def test_a_folder_stands_for_the_results_in_it(tmp_path, quartered):
    """A batch lays its map beside its results, and whoever merges them may lay the merged one there."""
    folder = tmp_path
    outline = np.array([shapely.box(0, 0, 1, 1)])
    geopackage.write_layer(folder / "summary.gpkg", "scenes", outline, {"scene": np.array(["a"], object)}, "EPSG:4326")
    (folder / ".hidden.gpkg").touch()
    notes = Telling()
    once = merge_results([folder], folder / "merged.gpkg", reporter=notes)
    assert rows(once) == rows(merge_results(quartered, None))
    assert not notes.notes
    assert rows(merge_results([folder], folder / "merged.gpkg", overwrite=True)) == rows(once)
    (folder / "merged.gpkg").unlink()
    assert rows(merge_results(sorted(folder.glob("[!.]*.gpkg")), None, reporter=notes)) == rows(once)
    assert notes.notes == [f"{folder / 'summary.gpkg'} is the map of a batch and no result, so it is left out"]
    with pytest.raises(InputError, match="nothing to merge"):
        merge_results([folder / "summary.gpkg"], None)
    (folder / "none").mkdir()
    with pytest.raises(InputError, match=r"the folder .*none holds no results"):
        merge_results([folder / "none", *quartered], None)
    (folder / "none" / "summary.gpkg").touch()
    with pytest.raises(InputError, match=r"summary.gpkg is no result to read \(it is no GeoPackage\)"):
        merge_results([folder / "none"], None)


def test_what_runs_do_not_share_is_told(tmp_path):
    grid = grid_of((0, 0, SIDE, SIDE))
    scores = {"plane": 0.1, "ship": 0.3}, {"plane": 0.1, "ship": 0.05, "tank": 0.2}
    paths = [
        write(tmp_path / f"{k}.gpkg", scattered(5 + k, 60), grid, crs=crs, scores=told)
        for k, (crs, told) in enumerate(zip((None, None), scores, strict=True))
    ]
    far = write(tmp_path / "far.gpkg", scattered(2, 60), GeoGrid(SIDE, SIDE, Affine(5e-6, 0, 5, 0, -5e-6, 45), WGS84))
    notes = Telling()
    merge_results(paths, None, reporter=notes)
    assert notes.notes == [
        "the runs had different least scores (ship 0.05 to 0.3): filter by score for the same everywhere"
    ]
    notes = Telling()
    merge_results([paths[0], far], None, reporter=notes)
    assert notes.notes[0] == "the results are in 2 CRSs, and merged in EPSG:32631, which most features are in"
    notes = Telling()
    merge_results([paths[0], far], None, crs="EPSG:4326", reporter=notes)
    assert "CRSs" not in " ".join(notes.notes)


def test_outputs_that_cannot_be_are_refused_first(tmp_path, quartered):
    before = [path.read_bytes() for path in quartered]
    linked = tmp_path / "linked.gpkg"
    linked.hardlink_to(quartered[2])
    for name, message in [
        ("merged.json", "knows boxes in one scene's px"),
        ("merged.shp", "no known ending"),
        ("none/merged.gpkg", "does not exist"),
        ("0.gpkg", "is also .*0.gpkg, which would be lost"),
        ("linked.gpkg", "is also .*2.gpkg, which would be lost"),
    ]:
        with pytest.raises(OutputError, match=message):
            merge_results([*quartered, tmp_path / "missing.gpkg"], tmp_path / name, overwrite=True)
    (tmp_path / "there.gpkg").touch()
    with pytest.raises(OutputError, match="exists"):
        merge_results(quartered, tmp_path / "there.gpkg")
    assert [path.read_bytes() for path in quartered] == before


def test_a_run_that_is_cancelled_leaves_nothing(tmp_path, quartered):
    class Stop(Reporter):
        def progress(self, stage: str, done: int, total: int, found: int = 0) -> None:
            if stage == "write":
                raise Cancelled

    with pytest.raises(Cancelled):
        merge_results(quartered, tmp_path / "merged.gpkg", reporter=Stop())
    assert sorted(tmp_path.iterdir()) == quartered


def test_nothing_found_merges_with_all(tmp_path, quartered):
    empty = write(tmp_path / "empty.gpkg", Detections.empty(), quarters(100)[0])
    assert len(merge_results([empty], tmp_path / "none.gpkg").features) == 0
    assert pyogrio.read_info(tmp_path / "none.gpkg", layer=LAYER)["fields"].tolist() == list(COLUMNS)
    merge_results([empty, *quartered], tmp_path / "merged.gpkg")
    assert rows(tmp_path / "merged.gpkg") == rows(merge_results(quartered, None))
    assert len(geopackage.read_runs(tmp_path / "merged.gpkg")) == 5
    with pytest.raises(InputError, match="nothing to merge"):
        merge_results([], None)
