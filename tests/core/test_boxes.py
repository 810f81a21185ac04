"""Boxes: pairwise geometry and the exactness of the search for pairs."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodetect.boxes import area, clip, intersection, ios, iou, overlapping_pairs


def naive_pairs(boxes: np.ndarray, groups: np.ndarray) -> set[tuple[int, int]]:
    i, j = np.triu_indices(len(boxes), 1)
    hit = (intersection(boxes[i], boxes[j]) > 0) & (groups[i] == groups[j])
    return set(zip(i[hit].tolist(), j[hit].tolist(), strict=True))


def found_pairs(boxes: np.ndarray, groups: np.ndarray | None = None) -> set[tuple[int, int]]:
    i, j = overlapping_pairs(boxes, groups)
    pairs = list(zip(np.minimum(i, j).tolist(), np.maximum(i, j).tolist(), strict=True))
    assert len(pairs) == len(set(pairs)), "a pair came twice"
    return set(pairs)


@st.composite
def crowds(draw):
    """Boxes of one size or of very unlike sizes, dense or sparse, on whole pixels or not, and their groups."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(0, 120))
    sizes = draw(st.sampled_from([[10], [1, 3, 10, 100, 3000], [0, 5], [0.001, 1000]]))
    sides = rng.choice(sizes, (count, 2)) * rng.uniform(0.3, 1, (count, 2))
    corner = rng.uniform(-50, draw(st.sampled_from([10, 200, 5000])), (count, 2)) + draw(st.sampled_from([0, 1e7]))
    boxes = np.concatenate([corner, corner + sides], axis=1)
    boxes = np.ceil(boxes) if draw(st.booleans()) else boxes
    return boxes, rng.integers(-3, draw(st.sampled_from([-2, 3, 100_000])), count)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(crowds())
def test_pairs_are_exactly_those_that_share_area(crowd):
    boxes, groups = crowd
    assert found_pairs(boxes, groups) == naive_pairs(boxes, groups)
    assert found_pairs(boxes) == naive_pairs(boxes, np.zeros(len(boxes), int))


def test_many_neighbours_in_one_strip():
    boxes = np.array([[k * 0.1, 0, k * 0.1 + 10, 10] for k in range(300)])
    assert found_pairs(boxes) == naive_pairs(boxes, np.zeros(300, int))


def test_a_few_huge_boxes_do_not_make_it_quadratic():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 20_000, (100_000, 2))
    small = np.concatenate([corner, corner + 10], axis=1)
    huge = np.array([[5000.0, 5000, 10_000, 10_000], [0, 9000, 20_000, 9100], [9000, 0, 9100, 20_000]])
    both = np.concatenate([small, huge])
    seconds = []
    for boxes in (small, both, small, both):
        start = time.perf_counter()
        overlapping_pairs(boxes)
        seconds.append(time.perf_counter() - start)
    assert min(seconds[1::2]) < 5 * min(seconds[::2])


def test_touching_boxes_share_nothing():
    assert not found_pairs(np.array([[0.0, 0, 10, 10], [10, 0, 20, 10], [0, 10, 10, 20]]))


def test_coordinates_must_be_finite():
    with pytest.raises(ValueError, match="finite"):
        overlapping_pairs(np.array([[0, 0, np.inf, 1]]))


def test_measures():
    a = np.array([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 0, 0]])
    b = np.array([[5.0, 0, 15, 10], [2, 2, 4, 4], [0, 0, 0, 0]])
    assert area(b).tolist() == [100, 4, 0]
    assert intersection(a, b).tolist() == [50, 4, 0]
    assert iou(a, b).tolist() == [50 / 150, 0.04, 0]
    assert ios(a, b).tolist() == [0.5, 1, 0]
    assert iou(a[:2], a[:2]).tolist() == [1, 1]


def test_clip_collapses_what_lies_outside():
    bounds = np.array([0.0, 0, 10, 10])
    assert clip(np.array([[-5.0, 2, 5, 12], [20, 20, 30, 30]]), bounds).tolist() == [[0, 2, 5, 10], [10, 10, 10, 10]]
    assert clip(np.array([[-5.0, 2, 5, 12]]), bounds[None] + 1).tolist() == [[1, 2, 5, 11]]
