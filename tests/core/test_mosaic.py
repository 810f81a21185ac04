"""Laws of merging results: each object once, whatever scenes, borders and CRSs it was seen in."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pyogrio
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from running import run as detect

from geodetect import boxes as geometry
from geodetect import geopackage
from geodetect.detections import Detections
from geodetect.errors import Cancelled, ConfigError, InputError, OutputError
from geodetect.features import Features, from_detections
from geodetect.grid import GeoGrid
from geodetect.mosaic import MergeResult, merge_results
from geodetect.progress import Caution, Reporter
from geodetect.schema import COLUMNS, LAYER, RUNS

UTM, NEXT_ZONE, MERCATOR, WGS84 = (CRS.from_epsg(code) for code in (32631, 32632, 3857, 4326))
CLASSES = ("plane", "ship")
NORTH_UP = Affine(0.5, 0, 700_000, 0, -0.5, 5_000_000)
TURNED = Affine.translation(700_000, 5e6) @ Affine.rotation(33) @ Affine.scale(0.5, -0.5)
SIDE = 2000  # px of the raster that scenes are cut from


def grid_of(window: tuple[int, int, int, int], transform: Affine = NORTH_UP, crs: CRS | None = UTM) -> GeoGrid:
    """Return the grid of a window (left, top, right, bottom) of the raster."""
    left, top, right, bottom = window
    x, y = transform @ (left, top)
    moved = Affine(transform.a, transform.b, x, transform.d, transform.e, y)
    return GeoGrid(right - left, bottom - top, moved, crs)


def quarters(overlap: int, transform: Affine = NORTH_UP, crs: CRS | None = UTM) -> list[GeoGrid]:
    """Return 2 x 2 scenes that cover the raster."""
    spans = (0, (SIDE + overlap) // 2), ((SIDE - overlap) // 2, SIDE)
    return [grid_of((left, top, right, bottom), transform, crs) for top, bottom in spans for left, right in spans]


def run_of(grid: GeoGrid, name: str, **changes) -> dict:
    gsd = None if grid.crs is None else float(np.sqrt(np.prod(grid.gsd)))
    row = {"run_id": f"run-{name}", "created": "2026-01-01", "scene": f"{name}.tif", "model": "made", "licence": "MIT",
           "scores": dict.fromkeys(CLASSES, 0.1), "ious": dict.fromkeys(CLASSES, 0.45), "gsd": gsd, "area": None,
           "georeference": "geotransform", "footprint": grid.footprint.wkt, "notes": []}  # fmt: skip
    return row | changes


def write(path: Path, detections: Detections, grid: GeoGrid, classes=CLASSES, **changes) -> Path:
    run = run_of(grid, path.stem, **changes)
    features = from_detections(detections, grid, classes, run["scene"], run["model"], run["run_id"])
    geopackage.write(path, features, run, classes, ["#e6194b", "#4363d8", "#3cb44b", "#ffe119"][: len(classes)])
    return path


def seen(objects: Detections, raster: GeoGrid, grid: GeoGrid, faded: float = 0.8) -> Detections:
    """Return what a scene shows of objects of the raster: their boxes in its px, cut and weaker at its borders."""
    rings = raster.rings(objects.boxes)
    if raster.crs != grid.crs:
        x, y = pyproj.Transformer.from_crs(raster.crs, grid.crs, always_xy=True).transform(rings[..., 0], rings[..., 1])
        rings = np.stack([x, y], axis=-1)
    pixels = np.stack(grid.to_scene(rings[..., 0], rings[..., 1]), axis=-1)
    whole = np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)
    boxes = geometry.clip(whole, np.array([0.0, 0, grid.width, grid.height]))
    cut = np.abs(boxes - whole).max(axis=1) > 1e-6
    views = Detections.of(boxes, np.where(cut, objects.scores * faded, objects.scores), objects.labels)
    views = views[(boxes[:, 2:] - boxes[:, :2] > 1).all(axis=1)]
    return views[np.argsort(-views.scores, kind="stable")]


def scattered(count: int, longest: float, seed: int = 0, margin: float = 0) -> Detections:
    """Return objects that lie apart from each other in the raster."""
    rng = np.random.default_rng(seed)
    cells = int(np.ceil(np.sqrt(count)))
    cell = (SIDE - 2 * margin) / cells
    assert longest < cell - 4
    row, column = np.divmod(rng.permutation(cells**2)[:count], cells)
    sides = rng.uniform(6, longest, (count, 2))
    corner = margin + np.stack([column, row], axis=1) * cell + rng.uniform(2, cell - 2 - sides)
    scores = np.sort(rng.uniform(0.3, 1, count))[::-1]
    return Detections.of(np.concatenate([corner, corner + sides], axis=1), scores, rng.integers(0, 2, count))


def bounds_in(result: MergeResult, raster: GeoGrid) -> np.ndarray:
    """Return the features' boxes in px of the raster."""
    shapes = result.features.geometry
    xy = shapely.get_coordinates(shapes)
    if raster.crs != result.features.crs:
        moved = pyproj.Transformer.from_crs(result.features.crs, raster.crs, always_xy=True)
        xy = np.stack(moved.transform(*xy.T), axis=1)
    return shapely.bounds(shapely.set_coordinates(shapes.copy(), np.stack(raster.to_scene(*xy.T), axis=1)))


def check_each_once(result: MergeResult, objects: Detections, raster: GeoGrid, px: float) -> None:
    assert len(result.features) == len(objects)
    boxes = bounds_in(result, raster)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    mine = ((objects.boxes[:, :2] + objects.boxes[:, 2:]) / 2)[:, None]
    nearest = np.abs(mine - centres).max(axis=2).argmin(axis=1)
    assert sorted(nearest) == list(range(len(objects)))
    np.testing.assert_allclose(boxes[nearest], objects.boxes, atol=px)
    np.testing.assert_allclose(result.features.columns["score"][nearest], objects.scores, atol=1e-6)
    assert (result.features.columns["class_id"][nearest] == objects.labels).all()


def rows(path: Path | MergeResult) -> list[tuple]:
    """Return all features of a layer but their ids, in their order."""
    if isinstance(path, MergeResult):
        shapes, columns = path.features.geometry, path.features.columns
    else:
        meta, _, wkb, values = pyogrio.raw.read(path, layer=LAYER)
        shapes, columns = shapely.from_wkb(wkb), dict(zip(meta["fields"], values, strict=True))
    kept = [[value if value == value else None for value in columns[name].tolist()] for name in COLUMNS if name != "id"]
    return list(zip(shapely.to_wkt(shapes, rounding_precision=-1), *kept, strict=True))


def runs(path: Path) -> list[dict]:
    told = [
        {key: value for key, value in run.items() if key not in ("fid", "crs")} for run in geopackage.read_runs(path)
    ]
    return sorted(({k: v for k, v in run.items() if v is not None} for run in told), key=lambda run: run["run_id"])


class Notes(Reporter):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture
def quartered(tmp_path) -> list[Path]:
    """The results of 2 x 2 scenes of one raster."""
    objects, raster = scattered(120, 90), grid_of((0, 0, SIDE, SIDE))
    return [write(tmp_path / f"{k}.gpkg", seen(objects, raster, grid), grid) for k, grid in enumerate(quarters(100))]


@pytest.mark.parametrize("overlap", [100, 333, 1200])
@pytest.mark.parametrize("transform", [NORTH_UP, TURNED], ids=["north-up", "turned"])
@pytest.mark.parametrize("seed", range(3))
def test_scenes_of_one_raster_give_what_the_raster_gives(tmp_path, overlap, transform, seed):
    objects, raster = scattered(150, 90, seed), grid_of((0, 0, SIDE, SIDE), transform)
    paths = [
        write(tmp_path / f"{k}.gpkg", seen(objects, raster, grid), grid)
        for k, grid in enumerate(quarters(overlap, transform))
    ]
    merged = merge_results(paths, tmp_path / "merged.gpkg")
    assert merged.seen > len(objects)
    check_each_once(merged, objects, raster, px=1e-3)


@pytest.mark.parametrize("transform", [NORTH_UP, TURNED], ids=["north-up", "turned"])
def test_what_no_scene_shows_as_a_whole_is_joined(tmp_path, transform):
    raster = grid_of((0, 0, SIDE, SIDE), transform)
    ships = Detections.of(
        [[700, 100, 1300, 150], [300, 800, 350, 1200], [850, 900, 1150, 1100]], [0.9, 0.7, 0.5], [1] * 3
    )
    paths = [
        write(tmp_path / f"{k}.gpkg", seen(ships, raster, grid, 1.0), grid)
        for k, grid in enumerate(quarters(100, transform))
    ]
    merged = merge_results(paths, None)
    assert merged.seen == 8
    check_each_once(merged, ships, raster, px=1e-3)
    whole = from_detections(ships, raster, CLASSES, "", "", "").columns
    for name in ("length_m", "width_m", "area_m2"):
        np.testing.assert_allclose(merged.features.columns[name], whole[name], rtol=1e-3)


@pytest.mark.parametrize("quarter_turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_rows_may_run_in_any_direction(tmp_path, quarter_turns, mirrored):
    raster = grid_of((0, 0, SIDE, SIDE))
    ship = Detections.of([[700, 100, 1300, 150]], [0.9], [1])
    west, east = grid_of((0, 0, 1050, SIDE)), grid_of((950, 0, SIDE, SIDE))
    corner = east.transform @ Affine.translation(525, 1000)
    turned = corner @ Affine.rotation(90 * quarter_turns) @ Affine.scale(1, -1 if mirrored else 1)
    width, height = (1050, 2000) if quarter_turns % 2 == 0 else (2000, 1050)
    east = GeoGrid(width, height, turned @ Affine.translation(-width / 2, -height / 2), UTM)
    paths = [write(tmp_path / f"{k}.gpkg", seen(ship, raster, grid, 1.0), grid) for k, grid in enumerate((west, east))]
    check_each_once(merge_results(paths, None), ship, raster, px=1e-3)


def test_nothing_is_cut_where_no_scene_goes_on(tmp_path):
    """Both halves end at the raster's upper border: there the stronger view counts, not what the two span."""
    west, east = grid_of((0, 0, 1200, SIDE)), grid_of((800, 0, SIDE, SIDE))
    strong = write(tmp_path / "a.gpkg", Detections.of([[900, 0, 1000, 60]], [0.9], [1]), west)
    weak = write(tmp_path / "b.gpkg", Detections.of([[106, 0, 206, 66]], [0.5], [1]), east)
    assert rows(merge_results([strong, weak], None)) == rows(strong)


def other_crs(grid: GeoGrid, crs: CRS, gsd: float) -> GeoGrid:
    """Return a north-up grid in another CRS within a grid's footprint."""
    xy = shapely.get_coordinates(grid.footprint)
    x, y = pyproj.Transformer.from_crs(grid.crs, crs, always_xy=True).transform(*xy.T)
    left, right, bottom, top = x[[0, 3]].max(), x[[1, 2]].min(), y[[2, 3]].max(), y[[0, 1]].min()
    return GeoGrid(int((right - left) / gsd), int((top - bottom) / gsd), Affine(gsd, 0, left, 0, -gsd, top), crs)


@pytest.mark.parametrize(
    ("crs", "gsd"), [(NEXT_ZONE, 0.5), (MERCATOR, 0.7), (WGS84, 5e-6)], ids=["zone", "3857", "4326"]
)
@pytest.mark.parametrize("target", [None, "EPSG:32632", "EPSG:3857", "EPSG:4326"])
def test_scenes_in_two_crs_give_each_object_once(tmp_path, crs, gsd, target):
    """Boxes along the rows of a scene in the next zone are not those of this one, which is what the px are for."""
    raster, objects = grid_of((0, 0, SIDE, SIDE)), scattered(100, 60, margin=200)
    west, east = grid_of((0, 0, 1200, SIDE)), other_crs(grid_of((900, 0, SIDE, SIDE)), crs, gsd)
    paths = [write(tmp_path / f"{k}.gpkg", seen(objects, raster, grid), grid) for k, grid in enumerate((west, east))]
    merged = merge_results(paths, None, crs=target)
    check_each_once(merged, objects, raster, px=14)
    assert merged.features.crs == (CRS.from_user_input(target) if target else merged.features.crs)
    assert merged.seen > 110


def test_most_features_choose_the_crs(tmp_path):
    few = write(tmp_path / "a.gpkg", scattered(3, 60), grid_of((0, 0, SIDE, SIDE)))
    many = write(tmp_path / "b.gpkg", scattered(9, 60), other_crs(grid_of((0, 0, SIDE, SIDE)), MERCATOR, 0.7))
    assert merge_results([few, many], None).features.crs == MERCATOR


def test_a_feature_that_stays_keeps_its_polygon_to_the_last_bit(tmp_path, quartered):
    before = {row[0] for path in quartered for row in rows(path)}
    merged = merge_results(quartered, tmp_path / "merged.gpkg")
    assert {row[0] for row in rows(merged)} <= before
    assert rows(tmp_path / "merged.gpkg") == rows(merged)


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


def test_halves_that_were_joined_take_in_their_halves_again(tmp_path):
    raster = grid_of((0, 0, SIDE, SIDE))
    ship = Detections.of([[700, 100, 1300, 150]], [0.9], [1])
    grids = quarters(100)[:2]
    paths = [write(tmp_path / f"{k}.gpkg", seen(ship, raster, grid), grid) for k, grid in enumerate(grids)]
    merge_results(paths, tmp_path / "merged.gpkg")
    for others in ([], paths[:1], paths):
        check_each_once(merge_results([tmp_path / "merged.gpkg", *others], None), ship_of(ship, 0.72), raster, px=1e-3)


def ship_of(ship: Detections, score: float) -> Detections:
    return Detections.of(ship.boxes, [score] * len(ship), ship.labels)


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


def test_outlines_that_are_not_told_are_noted(tmp_path):
    objects, raster = scattered(120, 90), grid_of((0, 0, SIDE, SIDE))
    paths = [
        write(tmp_path / f"{k}.gpkg", seen(objects, raster, grid), grid, footprint="")
        for k, grid in enumerate(quarters(400))
    ]
    notes = Notes()
    merged = merge_results(paths, None, reporter=notes)
    assert "4 of 4 runs do not tell where their scene ends" in notes.notes[0]
    assert len(objects) <= len(merged.features) < 1.3 * len(objects)  # what is seen whole twice is still one


def test_scenes_without_crs_are_merged_only_where_that_makes_sense(tmp_path):
    objects, raster = scattered(50, 90), grid_of((0, 0, SIDE, SIDE), crs=None)
    told = {"georeference": "geotransform"}
    for kind in ("geotransform", "pixels"):
        told["georeference"] = kind
        paths = [
            write(tmp_path / f"{kind}{k}.gpkg", seen(objects, raster, grid), grid, **told)
            for k, grid in enumerate(quarters(400, crs=None))
        ]
        if kind == "pixels":
            with pytest.raises(InputError, match="pixel coordinates of different scenes cannot be merged"):
                merge_results(paths, None)
            assert len(merge_results(paths[:1] * 2, None).features) == len(rows(paths[0]))
        else:
            notes = Notes()
            merged = merge_results(paths, tmp_path / "merged.gpkg", reporter=notes)
            assert merged.features.crs is None
            assert any("no result has a CRS" in note and isinstance(note, Caution) for note in notes.notes)
    known = write(tmp_path / "known.gpkg", objects, grid_of((0, 0, SIDE, SIDE)))
    with pytest.raises(InputError, match=r"geotransform0\.gpkg has no CRS"):
        merge_results([known, tmp_path / "geotransform0.gpkg"], None)
    with pytest.raises(InputError, match=r"geotransform0\.gpkg has no CRS"):
        merge_results([tmp_path / "geotransform0.gpkg"], None, crs="EPSG:4326")


def test_objects_at_the_antimeridian_stay_in_one_piece(tmp_path):
    east = GeoGrid(4000, 1000, Affine(5e-6, 0, 179.99, 0, -5e-6, -17), WGS84)  # counts on to 180.01
    west = GeoGrid(1000, 1000, Affine(5e-6, 0, -180, 0, -5e-6, -17), WGS84)
    fiji = GeoGrid(4000, 1000, Affine(0.5, 0, *pyproj.Transformer.from_crs(4326, 32760, always_xy=True).transform(
        179.993, -17.0005)[:1], 0, -0.5, 8_117_000), CRS.from_epsg(32760))  # fmt: skip
    ships = Detections.of([[1990, 300, 2050, 340], [2100, 500, 2160, 560]], [0.9, 0.8], [1, 1])
    here = write(tmp_path / "east.gpkg", ships, east)
    there = write(tmp_path / "west.gpkg", Detections.of([[100, 500, 160, 560]], [0.7], [1]), west)
    third = write(tmp_path / "fiji.gpkg", Detections.of([[1400, 100, 1500, 150]], [0.6], [1]), fiji)
    merged = merge_results([here, there, third], None, crs="EPSG:4326")
    left, _, right, _ = shapely.bounds(merged.features.geometry).T
    assert merged.counts == {"ship": 3}
    assert (right - left < 1e-3).all()
    assert left.min() > 179.9


def test_what_has_no_place_in_the_crs_is_an_error(tmp_path):
    path = write(tmp_path / "a.gpkg", scattered(3, 60), GeoGrid(SIDE, SIDE, Affine(5e-6, 0, 5, 0, -5e-6, 90), WGS84))
    with pytest.raises(InputError, match=r"a.gpkg does not lie within the CRS EPSG:3857"):
        merge_results([path], None, crs="EPSG:3857")
    torn = GeoGrid(SIDE, SIDE, Affine(5e-6, 0, 179.999, 0, -5e-6, -17), WGS84)
    ship = Detections.of([[100, 100, 300, 130]], [0.9], [1])
    path = write(tmp_path / "b.gpkg", ship, torn)
    with pytest.raises(InputError, match=r"b.gpkg does not lie within the CRS EPSG:3857"):
        merge_results([path], None, crs="EPSG:3857")


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


def test_polygons_that_people_drew_are_merged_too(tmp_path, quartered):
    features, told = geopackage.read(quartered[0])
    shapes = features.geometry.copy()
    shapes[0] = shapely.MultiPolygon([shapes[0], shapely.affinity.translate(shapes[0], 0, 300)])
    shapes[1] = shapely.buffer(shapely.centroid(shapes[1]), 10)
    geopackage.write(
        quartered[0], Features(shapes, features.columns, features.boxes, features.crs), told, CLASSES, ["#000000"] * 2
    )
    merged = merge_results(quartered, tmp_path / "merged.gpkg")
    assert {shapes[0].wkt, shapes[1].wkt} & set(shapely.to_wkt(merged.features.geometry, rounding_precision=-1))


def test_two_halves_of_a_scene_give_what_the_scene_gives(tmp_path, pixels, reference):
    pytest.importorskip("openvino")
    paths = []
    for number, (first, last) in enumerate([(0, 640), (384, pixels.shape[2])]):
        scene = tmp_path / f"half{number}.tif"
        profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "height": pixels.shape[1], "width": last - first}
        transform = Affine(0.5, 0, 500_000 + first / 2, 0, -0.5, 5_000_000)
        with rasterio.open(scene, "w", crs="EPSG:32631", transform=transform, photometric="RGB", **profile) as file:
            file.write(pixels[:, :, first:last])
        paths.append(detect(scene, output=tmp_path / f"half{number}.gpkg", score=0.05).output)
    merged = merge_results(paths, tmp_path / "merged.gpkg")
    assert merged.seen > len(merged.features)
    boxes, scores = bounds_in(merged, reference.grid), merged.features.columns["score"]
    sure = reference.detections[reference.detections.scores > 0.5]
    left_top = np.maximum(sure.boxes[:, None, :2], boxes[None, :, :2])
    shared = np.prod(np.maximum(np.minimum(sure.boxes[:, None, 2:], boxes[None, :, 2:]) - left_top, 0), axis=2)
    overlap = shared / (geometry.area(sure.boxes)[:, None] + geometry.area(boxes) - shared)
    assert len(sure) >= 5
    assert (((overlap > 0.5) & (scores > 0.3)).sum(axis=1) == 1).all()
    assert json.loads(json.dumps(geopackage.read_runs(tmp_path / "merged.gpkg")))[0]["licence"]
    with closing(sqlite3.connect(tmp_path / "merged.gpkg")) as database:
        assert database.execute(f"SELECT count(*) FROM {RUNS}").fetchone() == (2,)
