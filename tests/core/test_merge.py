"""Laws of merging: one detection an object, whatever the tiles."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geodetect import boxes as geometry
from geodetect.detections import Detections
from geodetect.merge import merge
from geodetect.tiling import tile_windows
from geodetect.window import Window

LAW = settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def naive_nms(boxes, scores, labels, iou) -> list[int]:
    """Greedy non-maximum suppression as the books have it."""
    order = sorted(range(len(boxes)), key=lambda k: (-scores[k], *boxes[k], labels[k]))
    kept: list[int] = []
    for k in order:
        rivals = [m for m in kept if labels[m] == labels[k]]
        if not rivals or geometry.iou(np.repeat(boxes[[k]], len(rivals), axis=0), boxes[rivals]).max() <= iou:
            kept.append(k)
    return kept


def views_of(objects: Detections, windows: list[Window], faded: np.ndarray) -> Detections:
    """Return what every tile reports: each object it sees, clipped to the tile, with a lower score where it is cut."""
    parts = [Detections.empty()]
    for number, window in enumerate(windows):
        bounds = np.array(window.bounds, np.float64)
        boxes = geometry.clip(objects.boxes, bounds)
        seen = geometry.area(boxes) > 0
        cut = (boxes != objects.boxes).any(axis=1)
        scores = np.where(cut, objects.scores * faded, objects.scores)
        parts.append(Detections.of(boxes, scores, objects.labels, np.full(len(boxes), number))[seen])
    return Detections.concatenate(parts)


def rows(detections: Detections) -> list[tuple]:
    return [
        (*box, float(score), int(label))
        for box, score, label in zip(detections.boxes.tolist(), detections.scores, detections.labels, strict=True)
    ]


@st.composite
def scenes(draw, crowded: bool = False):
    """Objects no longer than the overlap of a tile grid, often as long, often at its borders."""
    overlap = draw(st.integers(6, 40))
    tile = overlap + draw(st.integers(10, 60))
    width, height = draw(st.integers(tile, 3 * tile)), draw(st.integers(tile, 3 * tile))
    count = draw(st.integers(0, 12))
    step = draw(st.sampled_from([1.0, 0.25]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    borders = np.array(
        sorted(
            {v for w in tile_windows(Window(0, 0, height, width), (tile, tile), (overlap, overlap)) for v in w.bounds}
        )
    )
    sides = np.where(
        rng.random((count, 2)) < 0.3, overlap - rng.integers(0, 3, (count, 2)), rng.integers(1, overlap + 1, (count, 2))
    )
    corner = rng.uniform(0, 1, (count, 2)) * ([width, height] - sides)
    if draw(st.booleans()) and count:
        corner = corner[rng.integers(0, count)] + rng.integers(-4, 5, (count, 2))
    near = rng.random((count, 2)) < 0.5
    edge = (
        rng.choice(borders, (count, 2))
        + rng.integers(-5, 6, (count, 2))
        - np.where(rng.random((count, 2)) < 0.5, sides, 0)
    )
    corner = np.round(np.where(near, edge, corner) / step) * step
    corner = np.clip(corner, 0, [width, height] - sides)
    boxes = np.concatenate([corner, corner + sides], axis=1)
    scores = rng.choice(np.linspace(0.1, 1, 10), count) if draw(st.booleans()) else rng.uniform(0.1, 1, count)
    objects = Detections.of(boxes, scores, rng.integers(0, draw(st.integers(1, 3)), count))
    windows = tile_windows(Window(0, 0, height, width), (tile, tile), (overlap, overlap))
    return objects, windows, Window(0, 0, height, width), rng


@LAW
@given(scenes(), st.sampled_from([0.2, 0.45, 0.7]))
def test_any_tile_grid_gives_what_one_big_tile_gives(scene, iou):
    objects, windows, whole, rng = scene
    views = views_of(objects, windows, rng.uniform(0.3, 0.95, len(objects)))
    assert rows(merge(views, windows, whole, iou)) == rows(
        merge(views_of(objects, [whole], np.ones(len(objects))), [whole], whole, iou)
    )
