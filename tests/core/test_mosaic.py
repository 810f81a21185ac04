"""Laws of merging results: each object once, whatever scenes, borders and CRSs it was seen in."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mosaics import (
    CLASSES,
    MERCATOR,
    NEXT_ZONE,
    NORTH_UP,
    SIDE,
    TURNED,
    UTM,
    WGS84,
    bounds_in,
    check_each_once,
    grid_of,
    quarters,
    rows,
    scattered,
    seen,
    write,
)
from rasterio.crs import CRS
from running import Telling
from running import run as detect

from geodetect import boxes as geometry
from geodetect import geopackage
from geodetect.detections import Detections
from geodetect.errors import InputError
from geodetect.features import Features, from_detections
from geodetect.grid import GeoGrid
from geodetect.mosaic import merge_results
from geodetect.progress import Caution
from geodetect.schema import RUNS


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


def beside(row: float, overlap: float, degrees: float, crs: CRS = UTM) -> tuple[GeoGrid, GeoGrid]:
    """Return a scene of the raster's west, and one beyond that lies askew and overlaps by that many px in that row."""
    xy = NORTH_UP @ (1000 - overlap, row)
    x, y = pyproj.Transformer.from_crs(UTM, crs, always_xy=True).transform(*xy)
    turned = Affine.translation(x, y) @ Affine.rotation(degrees) @ Affine.scale(0.5, -0.5)
    return grid_of((0, 0, 1000, SIDE)), GeoGrid(1400, 2600, turned @ Affine.translation(0, -1300), crs)


@st.composite
def halves(draw):
    """An object that lies in two scenes, to some part in each, which are turned against each other."""
    share, overlap = draw(st.floats(0.3, 0.7)), draw(st.floats(10, 60))
    width, height = draw(st.sampled_from([(40, 40), (70, 50), (160, 30), (30, 160)]))
    left, top = 1000 - overlap / 2 - share * width, 1000 - height / 2
    degrees, crs = draw(st.tuples(st.floats(-10, 10), st.just(UTM)) | st.just((0.0, NEXT_ZONE)))
    ship = Detections.of([[left, top, left + width, top + height]], [0.9], [1])
    return ship, beside(1000, overlap, degrees, crs)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(halves())
def test_halves_in_scenes_that_lie_askew_are_one_object(tmp_path, example):
    ship, grids = example
    raster = grid_of((0, 0, SIDE, SIDE))
    paths = [write(tmp_path / f"{k}.gpkg", seen(ship, raster, grid, 1.0), grid) for k, grid in enumerate(grids)]
    merged = merge_results(paths, None)
    assert (merged.seen, len(merged.features)) == (2, 1)
    assert geometry.iou(bounds_in(merged, raster), ship.boxes)[0] > 0.5  # boxes along other axes are wider


@pytest.mark.parametrize("degrees", [-4.0, 1.0, 4.0])
@pytest.mark.parametrize(("width", "height", "gap"), [(90, 16, 6), (40, 40, 8), (20, 60, 6)])
def test_neighbours_at_a_border_that_lies_askew_stay_apart(tmp_path, degrees, width, height, gap):
    raster, count = grid_of((0, 0, SIDE, SIDE)), 5
    top = 1000 + (np.arange(count) - count / 2) * (height + gap)
    left = 985 - np.random.default_rng(0).uniform(0.4, 0.6, count) * width
    ships = Detections.of(np.stack([left, top, left + width, top + height], 1), np.linspace(0.9, 0.6, count), [1] * 5)
    paths = [
        write(tmp_path / f"{k}.gpkg", seen(ships, raster, grid), grid)
        for k, grid in enumerate(beside(1000, 30, degrees))
    ]
    assert len(merge_results(paths, None).features) == count


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


def test_outlines_that_are_not_told_are_noted(tmp_path):
    objects, raster = scattered(120, 90), grid_of((0, 0, SIDE, SIDE))
    paths = [
        write(tmp_path / f"{k}.gpkg", seen(objects, raster, grid), grid, footprint="")
        for k, grid in enumerate(quarters(400))
    ]
    notes = Telling()
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
            notes = Telling()
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


@pytest.mark.parametrize("turned", [(), (1, 3), (0, 2)], ids=["counting on", "east", "west"])
@pytest.mark.parametrize("target", [None, "EPSG:32760"])
def test_scenes_on_both_sides_of_the_antimeridian_are_merged_as_elsewhere(tmp_path, turned, target):
    """Each may count its longitudes from -180 on or up to more than 180."""
    middle = Affine(5e-6, 0, 180 - SIDE / 2 * 5e-6, 0, -5e-6, -17)
    raster, grids = grid_of((0, 0, SIDE, SIDE), middle, WGS84), quarters(100, middle, WGS84)
    objects, paths = scattered(120, 170), []  # some longer than the overlap
    for k, grid in enumerate(grids):
        there = Affine.translation(-360 * (k in turned), 0) @ grid.transform
        told = GeoGrid(grid.width, grid.height, there, WGS84)
        paths.append(write(tmp_path / f"{k}.gpkg", seen(objects, raster, grid), told))
    merged = merge_results(paths, None, crs=target)
    assert len(merged.features) == len(objects) < merged.seen


def test_what_has_no_place_in_the_crs_is_an_error(tmp_path):
    path = write(tmp_path / "a.gpkg", scattered(3, 60), GeoGrid(SIDE, SIDE, Affine(5e-6, 0, 5, 0, -5e-6, 90), WGS84))
    with pytest.raises(InputError, match=r"a.gpkg does not lie within the CRS EPSG:3857"):
        merge_results([path], None, crs="EPSG:3857")
    torn = GeoGrid(SIDE, SIDE, Affine(5e-6, 0, 179.999, 0, -5e-6, -17), WGS84)
    ship = Detections.of([[100, 100, 300, 130]], [0.9], [1])
    path = write(tmp_path / "b.gpkg", ship, torn)
    with pytest.raises(InputError, match=r"b.gpkg does not lie within the CRS EPSG:3857"):
        merge_results([path], None, crs="EPSG:3857")


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
