"""Laws of what a tile holds of an image's objects."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geodetect.tiling import tile_windows
from geodetect.window import Window
from training.labels.labelled import box_corners
from training.prepare.cut import CUT, FLAGGED, SMALL, Rules, cut
from training.prepare.objects import Objects
from training.prepare.plan import divide

SIDE = 1000
coordinate = st.floats(-50, SIDE + 50)


@st.composite
def quads(draw, most=60.0):
    """Return corners (N, 4, 2) of turned rectangles with sides of 4 to `most` px."""
    found = []
    for _ in range(draw(st.integers(1, 6))):
        x, y, turn = draw(coordinate), draw(coordinate), draw(st.floats(0, 3.2))
        width, height = draw(st.floats(4, most / 1.5)), draw(st.floats(4, most / 1.5))
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [width / 2, height / 2]
        found.append(corners @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]] + [x, y])
    return np.array(found)


def made(corners, ignored=None) -> Objects:
    return Objects.of(corners, np.arange(len(corners)), np.zeros(len(corners), bool) if ignored is None else ignored)


def of_boxes(*boxes) -> Objects:
    return made(np.array([box_corners(*box) for box in boxes], float).reshape(-1, 4, 2))


@given(quads())
def test_every_object_no_longer_than_the_overlap_is_whole_in_some_tile(corners):
    objects = made(corners)
    inside = ((objects.boxes[:, :2] >= 0) & (objects.boxes[:, 2:] <= SIDE)).all(1)
    seen = np.zeros(len(objects), bool)
    for window in tile_windows(Window(0, 0, SIDE, SIDE), (300, 300), (60, 60)):
        found = cut(objects, window, 1, Rules())
        moved = found.boxes + [window.col, window.row] * 2
        same = np.isclose(moved, objects.boxes[found.index]).all(1)
        seen[found.index[same & ~found.ignored]] = True
    assert seen[inside].all()


@given(quads(most=300), st.sampled_from([1, 2, 4]))
def test_the_share_inside_is_that_of_the_polygon(corners, reduction):
    objects = made(corners)
    window = Window(50 // reduction, 100 // reduction, 400 // reduction, 300 // reduction)
    found = cut(objects, window, reduction, Rules(0.7, 0))
    tile = shapely.box(*(side * reduction for side in window.bounds))
    for k, shape in enumerate(shapely.polygons(corners)):
        part = shape.intersection(tile)
        share = part.area / shape.area
        if k in found.index:
            at = found.index.tolist().index(k)
            expected = (np.array(part.bounds) - [window.col * reduction, window.row * reduction] * 2) / reduction
            assert np.allclose(found.boxes[at], expected, atol=1e-6)
            assert abs(share - 0.7) < 1e-6 or found.ignored[at] == (share < 0.7)
        else:
            assert part.is_empty or min(np.subtract(part.bounds[2:], part.bounds[:2])) <= reduction + 1e-6
    assert (found.boxes >= -1e-9).all()
    assert (found.boxes <= [window.width, window.height] * 2 + np.full(4, 1e-9)).all()


def test_exactly_seventy_percent_is_an_object():
    found = cut(of_boxes((-3, 0, 7, 10), (-3.01, 0, 7, 10)), Window(0, 0, 100, 100), 1, Rules())
    assert found.ignored.tolist() == [False, True]
    assert found.boxes[0].tolist() == [0, 0, 7, 10]
    assert found.reasons == {CUT: 1}


def test_a_sliver_is_left_out_and_a_small_object_ignored():
    objects = of_boxes((99.5, 0, 120, 10), (10, 10, 11, 30), (10, 10, 10.5, 10.5))
    found = cut(objects, Window(0, 0, 100, 100), 1, Rules())
    assert found.index.tolist() == [1, 2]
    assert found.ignored.all()
    assert found.reasons == {SMALL: 2}


def test_a_difficult_object_stays_ignored_however_whole():
    corners = np.array([box_corners(0, 0, 10, 10)]).reshape(-1, 4, 2)
    found = cut(made(corners, np.array([True])), Window(0, 0, 100, 100), 1, Rules())
    assert found.ignored.all()
    assert found.reasons == {FLAGGED: 1}


@pytest.mark.parametrize(
    "corners",
    [
        [[0, 0], [10, 10], [10, 0], [0, 10]],  # a bow tie
        [[0, 0], [10, 0], [2, 2], [0, 10]],  # concave
        [[0, 0], [10, 10], [0, 0], [10, 10]],  # a line
        [[0, 10], [10, 10], [10, 0], [0, 0]],  # anticlockwise
    ],
)
def test_odd_quadrilaterals_keep_their_box(corners):
    found = cut(made(np.array([corners], float)), Window(0, 0, 20, 8), 1, Rules(0.5, 0))
    assert found.boxes.tolist() == [[0, 0, 8, 10]]
    assert not found.ignored.any()


def test_no_object_is_no_trouble():
    assert len(cut(of_boxes(), Window(0, 0, 10, 10), 1, Rules()).index) == 0


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.3, 0.5]), st.booleans())
def test_a_lone_scene_is_cut_where_each_class_has_its_share(seed, val_share, transposed):
    """Planes on one side, ships on the other: only the other axis can give val some of both."""
    rng = np.random.default_rng(seed)
    along, across = rng.uniform(0, 980, 200), np.repeat([100.0, 800.0], 100)
    corners = np.stack([along, across] if transposed else [across, along], axis=1)
    boxes = np.hstack([corners, corners + 20])
    shapes = shapely.box(*boxes.T)
    objects = Objects(boxes, shapes, shapely.area(shapes), np.repeat([0, 1], 100).astype(np.int32), np.zeros(200, bool))
    windows = {region.split: region.window for region in divide((1000, 1000), objects, val_share)}
    assert windows["train"].intersection(windows["val"]) is None
    assert sum(window.width * window.height for window in windows.values()) == 1000 * 1000
    left, top, right, bottom = windows["val"].bounds
    middle = corners + 10
    inside = (middle >= (left, top)).all(axis=1) & (middle < (right, bottom)).all(axis=1)
    for label in (0, 1):
        assert abs(inside[objects.labels == label].mean() - val_share) < 0.2
