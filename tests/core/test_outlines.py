"""Where scenes end, and what their borders cut, in one frame."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from geodetect.grid import GeoGrid
from geodetect.outlines import Outline, look, one_turn, reproject

UTM, NEXT_ZONE, MERCATOR, WGS84 = (CRS.from_epsg(code) for code in (32631, 32632, 3857, 4326))
GRID = GeoGrid(2000, 1000, Affine(0.5, 0, 700_000, 0, -0.5, 5_000_000), UTM)
MIDDLE = GRID.transform @ Affine.translation(1000, 500)


def outline(grid: GeoGrid, **changes) -> Outline | None:
    gsd = None if grid.crs is None else float(np.sqrt(np.prod(grid.gsd)))
    return Outline.of({"footprint": grid.footprint.wkt, "gsd": gsd} | changes, grid.crs)


def beside(quarter_turns: int, mirrored: bool) -> GeoGrid:
    """Return a grid of 1000 x 1000 px beyond the right border of GRID, overlapping by 100 px, its rows turned."""
    turned = MIDDLE @ Affine.translation(1400, 0) @ Affine.rotation(90 * quarter_turns)
    return GeoGrid(1000, 1000, turned @ Affine.scale(1, -1 if mirrored else 1) @ Affine.translation(-500, -500), UTM)


@pytest.mark.parametrize("grid", [
    GRID,
    GeoGrid(2000, 1000, Affine(0.5, 0.1, 7e5, 0.1, -0.5, 5e6), UTM),
    GeoGrid(2000, 1000, Affine(5e-6, 0, 15, 0, -5e-6, 10), WGS84),
    GeoGrid(2000, 1000, Affine(0.8, 0, 1e6, 0, -0.8, 6e6), MERCATOR),
], ids=["UTM", "turned", "degrees", "3857"])  # fmt: skip
def test_pixels_are_those_of_the_scene(grid):
    told = outline(grid)
    assert (told.width, told.height) == pytest.approx((2000, 1000), rel=0.01)
    corners = [(0, 0), (told.width, 0), (told.width, told.height), (0, told.height)]
    expected = shapely.get_coordinates(grid.footprint)[:4]
    np.testing.assert_allclose([told.transform @ corner for corner in corners], expected, rtol=1e-12)


@pytest.mark.parametrize("changes", [
    {"footprint": None}, {"footprint": ""}, {"footprint": "POINT (1 2)"}, {"footprint": "nonsense"}, {"footprint": 5},
    {"footprint": "POLYGON ((0 0, 1 0, 1 1, 0 0))"}, {"footprint": "POLYGON ((0 0, 1 0, 2 0, 3 0, 0 0))"},
    {"footprint": "LINESTRING (0 0, 1 0, 1 1, 0 1, 0 0)"}, {"footprint": "POLYGON ((0 0, 9 0, inf 9, 0 9, 0 0))"},
    {"footprint": f"POLYGON (({', '.join(['1 1'] * 900)}))"},
    {"gsd": None}, {"gsd": 0}, {"gsd": -1.0}, {"gsd": float("nan")}, {"gsd": float("inf")}, {"gsd": "1"}, {"gsd": 1e9},
    {"gsd": 1e-300},
])  # fmt: skip
def test_what_tells_no_outline_gives_none(changes):
    assert outline(GRID) is not None
    assert outline(GRID, **changes) is None


def test_without_crs_nothing_is_known():
    assert outline(GeoGrid(20, 10, Affine.identity())) is None


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarter_turns", range(4))
def test_the_side_that_faces_the_neighbour_is_cut(quarter_turns, mirrored):
    """Whatever way its rows run: the frame is that of the scene with more polygons."""
    other = beside(quarter_turns, mirrored)
    boxes = np.array([[1950, 400, 1999, 430], [1000, 400, 1100, 430], [1500, 0, 1600, 40], [1901, 500, 1950, 520.0]])
    shapes = shapely.polygons(GRID.rings(boxes))
    sight = look(shapes, np.array([0, 0, 0, 1]), [outline(GRID), outline(other)], UTM)
    right, left = [False, False, True, False], [True, False, False, False]
    assert sight.sides.tolist() == [right, [False] * 4, [False] * 4, left]
    assert sight.scenes.tolist() == [0, 0, 0, 1]
    x, y = sight.frame.to_map(sight.boxes[:, 0], sight.boxes[:, 1])
    np.testing.assert_allclose(np.stack(GRID.to_scene(x, y), axis=1), boxes[:, :2], atol=1e-3)
    ends = sight.windows - sight.boxes[1, [0, 1, 0, 1]]
    np.testing.assert_allclose(ends, [[-1000, -400, 1000, 600]] * 3 + [[900, -400, 1900, 600]], atol=1)


def test_what_reaches_out_of_its_scene_is_of_none():
    other = beside(0, False)
    shapes = shapely.polygons(GRID.rings(np.array([[1950.0, 400, 2300, 430], [1950, 400, 2005, 430]])))
    sight = look(shapes, np.zeros(2, int), [outline(GRID), outline(other)], UTM)
    assert sight.scenes.tolist() == [2, 0]
    assert sight.sides.any(axis=1).tolist() == [False, True]
    assert np.isfinite(sight.windows).all(axis=1).tolist() == [False, True]


def test_a_scene_that_lies_askew_ends_where_it_cuts():
    grid = GeoGrid(1000, 1000, MIDDLE @ Affine.translation(900, -500) @ Affine.rotation(5), UTM)
    shapes = shapely.polygons(grid.rings(np.array([[0.0, 400, 60, 430]])))
    many = shapely.polygons(GRID.rings(np.array([[10.0, 10, 20, 20], [30, 10, 40, 20]])))
    sight = look(np.append(shapes, many), np.array([1, 0, 0]), [outline(GRID), outline(grid)], UTM)
    assert np.isfinite(sight.windows[1:]).all()
    x, y = grid.to_map(0.0, 415.0)
    border = GRID.to_scene(x, y)[0] - GRID.to_scene(*sight.frame.to_map(0.0, 0.0))[0]
    assert sight.windows[0].tolist() == pytest.approx([border, -np.inf, np.inf, np.inf], abs=0.01)
    assert sight.sides[0].tolist() == [True, False, False, False]
    x1, y1, x2, y2 = sight.boxes[0]
    assert (x2 - x1, y2 - y1) == pytest.approx((60, 30), rel=1e-2)  # upright, of the same sides


def test_polygons_of_other_shapes_have_their_bounds():
    shapes = shapely.from_wkt(
        ["POLYGON ((0 0, 4 0, 0 3, 0 0))", "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 9, 5 5)))"]
    )
    sight = look(shapes, np.array([-1, -1]), [], None)
    assert sight.boxes.tolist() == [[0, 0, 4, 3], [0, 0, 6, 9]]
    assert sight.scenes.tolist() == [0, 0]
    assert not sight.sides.any()


def test_points_without_a_place_are_nan():
    points = np.array([[0.0, 0.0], [0.0, 91.0], [10.0, 45.0]])
    assert np.isnan(reproject(points, WGS84, MERCATOR)).any(axis=1).tolist() == [False, True, False]
    local = CRS.from_wkt('LOCAL_CS["a yard",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]')
    assert np.isnan(reproject(points, local, UTM)).all()
    assert reproject(points, None, UTM) is points


def test_longitudes_turn_to_where_they_are_wanted():
    points = np.array([[-179.5, 1.0], [179.5, 2.0], [500.0, 3.0], [np.nan, 4.0]])
    np.testing.assert_allclose(one_turn(points, WGS84, 180.0)[:, 0], [180.5, 179.5, 140, np.nan])
    np.testing.assert_allclose(one_turn(points, WGS84, np.array([-180.0, -180, 0, 0]))[:3, 0], [-179.5, -180.5, 140])
    assert one_turn(points, UTM, 0.0) is points
    assert one_turn(points, None, 0.0) is points
