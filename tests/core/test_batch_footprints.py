"""Footprints on a globe: the antimeridian and the poles change nothing of a scene's shape."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geodetect.batch.report.footprints import groups, read_footprints, side_by_side, within_world


def wrapped(degrees: float) -> float:
    return (degrees + 180) % 360 - 180


def rectangle(longitude: float, latitude: float, width: float, height: float) -> str:
    """A footprint as a raster's corners give it: each longitude in -180..180."""
    corners = [
        (0, 0),
        (width / 3, 0),
        (width * 2 / 3, 0),
        (width, 0),
        (width, height),
        (width / 2, height),
        (0, height),
    ]
    ring = [f"{wrapped(longitude + x)!r} {latitude + y!r}" for x, y in [*corners, (0, 0)]]
    return f"POLYGON(({', '.join(ring)}))"


places = st.tuples(
    st.floats(-180, 180).map(lambda x: round(x, 3)),
    st.floats(-80, 70).map(lambda x: round(x, 3)),
    st.floats(0.01, 120).map(lambda x: round(x, 3)),
    st.floats(0.01, 9).map(lambda x: round(x, 3)),
)


@given(places)
def test_a_footprint_is_one_piece_wherever_it_lies(place):
    longitude, latitude, width, height = place
    (shape,) = read_footprints([rectangle(*place)])
    west, south, east, north = shape.bounds
    assert east - west == pytest.approx(width)
    assert (south, north) == (latitude, pytest.approx(latitude + height))
    assert wrapped(west - longitude) == pytest.approx(0, abs=1e-9) or wrapped(west - longitude) == pytest.approx(-180)
    assert -180 <= (west + east) / 2 <= 180


@given(places)
def test_maps_get_it_cut_at_the_antimeridian_and_nothing_else(place):
    (shape,) = read_footprints([rectangle(*place)])
    cut = within_world(shape)
    west, _, east, _ = cut.bounds
    assert west >= -180
    assert east <= 180
    assert cut.area == pytest.approx(shape.area)
    assert cut.geom_type == ("Polygon" if shape.bounds[0] >= -180 and shape.bounds[2] <= 180 else "MultiPolygon")
    (again,) = read_footprints([cut.wkt])
    assert again.area == pytest.approx(shape.area)
    assert again.bounds[2] - again.bounds[0] == pytest.approx(place[2], abs=1e-6)


@given(st.lists(places, min_size=1, max_size=6))
def test_side_by_side_is_the_narrowest_strip(some):
    shapes = read_footprints([rectangle(*place) for place in some])
    moved = side_by_side(shapes)
    for before, after in zip(shapes, moved, strict=True):
        turns = (after.bounds[0] - before.bounds[0]) / 360
        assert turns == pytest.approx(round(turns))
    west, _, east, _ = shapely.total_bounds(moved)
    bounds = shapely.bounds(shapes)
    strips = []
    for start in bounds[:, 0]:  # the best strip begins with one of them
        begins = start + np.mod(bounds[:, 0] - start + 1e-9, 360)
        strips.append((begins + bounds[:, 2] - bounds[:, 0]).max() - start)
    assert east - west <= min(strips) + 1e-6


def test_the_whole_globe_and_a_pole():
    globe, cap, both = read_footprints(
        [
            "POLYGON((-180 -90, 180 -90, 180 90, -180 90, -180 -90))",
            "POLYGON((-135 80, -45 81, 45 80, 135 81, -135 80))",
            "MULTIPOLYGON(((179 0, 180 0, 180 1, 179 1, 179 0)), ((-180 0, -179 0, -179 1, -180 1, -180 0)))",
        ]
    )
    assert globe.bounds == (-180, -90, 180, 90)
    assert cap.bounds[2] - cap.bounds[0] == 360
    assert cap.bounds[3] == 90
    assert both.bounds[2] - both.bounds[0] == 2


@pytest.mark.parametrize(
    "text",
    ["", "rubbish", "POINT(1 2)", "POLYGON EMPTY", "LINESTRING(0 0, 1 1)", "POLYGON((0 0, 1 95, 2 0, 0 0))",
     "POLYGON((0 0, 1e9 1, 2 0, 0 0))", "POLYGON((nan 0, 1 1, 2 0, nan 0))", "POLYGON((0 0, 1 1", "\0"],
)  # fmt: skip
def test_what_is_no_footprint_is_none(text):
    (shape,) = read_footprints([text])
    assert shape is None
    assert within_world(shape) is None


def test_none_and_many_keep_their_places():
    shapes = read_footprints(["", rectangle(1, 2, 3, 4), ""])
    assert [shape is None for shape in shapes] == [True, False, True]
    assert len(read_footprints([])) == 0


@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=1, max_size=20))
def test_points_nearer_than_the_reach_are_of_one_group(points):
    points = np.array(points)
    group = groups(points, reach=10)
    near = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1)) <= 10
    assert (group[:, None] == group[None])[near].all()
    assert len(set(groups(np.array([[0, 0], [5, 5], [500, 0]]), reach=10).tolist())) == 2
