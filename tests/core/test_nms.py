"""Non-maximum suppression is that of the books, however many boxes there are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodetect import boxes as geometry
from geodetect.nms import nms


def naive_nms(boxes, scores, labels, iou: float) -> list[int]:
    """Greedy non-maximum suppression as the books have it."""
    kept: list[int] = []
    for k in sorted(range(len(boxes)), key=lambda k: (-scores[k], *boxes[k], labels[k])):
        rivals = [m for m in kept if labels[m] == labels[k]]
        if all(geometry.iou(boxes[[k]], boxes[[m]])[0] <= iou for m in rivals):
            kept.append(k)
    return kept


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 40), st.sampled_from([0.0, 0.2, 0.45, 0.7, 1.0]))
def test_it_is_greedy(seed, count, iou):
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, rng.choice([12, 60]), (count, 2))
    boxes = np.concatenate([corner, corner + rng.integers(1, 20, (count, 2))], axis=1).astype(float)
    scores, labels = rng.choice([0.2, 0.5, *rng.uniform(0, 1, 5)], count), rng.integers(0, 2, count)
    assert nms(boxes, scores, labels, iou).tolist() == naive_nms(boxes, scores, labels, iou)


def test_long_chains_are_settled_exactly():
    boxes = np.array([[4.0 * k, 0, 4 * k + 10, 10] for k in range(500)])  # each overlaps the next by an IoU of 0.43
    scores = np.linspace(0.9, 0.1, 500)
    assert nms(boxes, scores, np.zeros(500, int), 0.4).tolist() == list(range(0, 500, 2))


def test_nothing_gives_nothing():
    assert len(nms(np.empty((0, 4)), np.empty(0), np.empty(0, int))) == 0


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="finite"):
        nms([[0, 0, np.nan, 1]], [0.5], [0])
    with pytest.raises(ValueError, match="IoU thresholds lie in"):
        nms([[0, 0, 1, 1]], [0.5], [0], -0.1)
