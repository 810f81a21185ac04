from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodetect.tiling import starts, tile_windows
from geodetect.window import Window

axes = st.tuples(st.integers(1, 3000), st.integers(1, 700)).flatmap(
    lambda pair: st.tuples(st.just(pair[0]), st.just(pair[1]), st.integers(0, pair[1] - 1))
)


@given(axes)
def test_tiles_cover_the_axis_and_overlap_enough(axis):
    length, tile, overlap = axis
    begin = starts(length, tile, overlap)
    assert begin[0] == 0
    if length <= tile:
        assert begin == [0]
        return
    assert begin[-1] + tile == length  # flush with the end
    steps = [b - a for a, b in pairwise(begin)]
    assert all(0 < step <= tile - overlap for step in steps)
    assert all(step == tile - overlap for step in steps[:-1])  # only the last tile overlaps more


@given(axes, st.data())
def test_an_object_up_to_the_overlap_is_whole_in_some_tile(axis, data):
    length, tile, overlap = axis
    size = data.draw(st.integers(0, min(overlap, length)))
    at = data.draw(st.integers(0, length - size))
    assert any(begin <= at and at + size <= begin + tile for begin in starts(length, tile, overlap))


def test_windows_run_row_by_row_inside_the_region():
    region = Window(100, 50, 1000, 900)
    windows = tile_windows(region, (400, 300), (80, 60))
    assert windows == sorted(windows)
    assert all(window.intersection(region) == window for window in windows)
    assert windows[0].bounds == (50, 100, 450, 400)
    assert windows[-1].bounds[2:] == region.bounds[2:]


def test_a_small_region_is_one_tile_of_its_own_size():
    assert tile_windows(Window(0, 0, 30, 1000), (640, 640), (128, 128))[0] == Window(0, 0, 30, 640)


def test_overlap_as_large_as_the_tile_is_refused():
    with pytest.raises(ValueError, match="overlap"):
        starts(1000, 100, 100)
