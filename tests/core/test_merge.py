"""Laws of merging: one detection an object, whatever the tiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geodetect import boxes as geometry
from geodetect.detections import Detections
from geodetect.merge import merge, nms
from geodetect.tiling import tile_windows
from geodetect.window import Window

SEEDS = st.integers(0, 2**32)
IOUS = st.sampled_from([0.2, 0.45, 0.7])
SCENE = Window(0, 0, 100, 180)
LEFT, RIGHT = Window(0, 0, 100, 100), Window(0, 80, 100, 100)  # 20 px of overlap


def law(examples: int) -> settings:
    return settings(
        max_examples=examples, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
    )


def views_of(objects: Detections, windows: list[Window], faded: float | np.ndarray = 0.8) -> Detections:
    """Return what every tile reports: each object it sees, clipped to the tile, with a lower score where it is cut."""
    parts = [Detections.empty()]
    for number, window in enumerate(windows):
        boxes = geometry.clip(objects.boxes, np.array(window.bounds, np.float64))
        cut = (boxes != objects.boxes).any(axis=1)
        scores = np.where(cut, objects.scores * faded, objects.scores)
        views = Detections.of(boxes, scores, objects.labels, np.full(len(boxes), number))
        parts.append(views[geometry.area(boxes) > 0])
    return Detections.concatenate(parts)


def rows(detections: Detections) -> list[tuple]:
    columns = (detections.boxes.tolist(), detections.scores.tolist(), detections.labels.tolist())
    return [(*box, score, label) for box, score, label in zip(*columns, strict=True)]


def boxes_near_borders(rng: np.random.Generator, windows: list[Window], longest: int, count: int) -> np.ndarray:
    """Return boxes of up to `longest` px inside the tiles' scene, many as long, at tile borders and on each other."""
    bounds = np.array([window.bounds for window in windows])
    sides = rng.integers(1, longest + 1, (count, 2))
    sides = np.where(
        rng.random((count, 2)) < 0.4, longest - rng.integers(0, 5, (count, 2)).clip(max=longest - 1), sides
    )
    extent = bounds[:, 2:].max(axis=0)
    corner = rng.uniform(0, 1, (count, 2)) * (extent - sides)
    borders = np.stack([rng.choice(bounds[:, axis::2].ravel(), count) for axis in (0, 1)], axis=1)
    beside = borders + rng.integers(-5, 6, (count, 2)) - np.where(rng.random((count, 2)) < 0.5, sides, 0)
    corner = np.where(rng.random((count, 2)) < 0.6, beside, corner)
    crowd = rng.random(count) < rng.choice([0.0, 0.7])
    corner[crowd] = corner[0] + rng.integers(-8, 9, (crowd.sum(), 2)) if count else 0
    corner = np.clip(np.round(corner * 4) / 4 if rng.random() < 0.5 else np.round(corner), 0, extent - sides)
    return np.concatenate([corner, corner + sides], axis=1)


@st.composite
def scenes(draw):
    """Objects no longer than the overlap of a tile grid, its windows, its scene and how much cut views fade."""
    rng = np.random.default_rng(draw(SEEDS))
    overlap = draw(st.integers(16, 60))  # four times the seam's tolerance
    tile = overlap + draw(st.integers(10, 90))
    scene = Window(0, 0, *rng.integers(tile, 3 * tile, 2).tolist())
    windows = tile_windows(scene, (tile, tile), (overlap, overlap))
    count = draw(st.integers(0, 14))
    boxes = boxes_near_borders(rng, windows, overlap, count)
    scores = rng.choice(np.linspace(0.1, 1, 5), count) if draw(st.booleans()) else rng.uniform(0.1, 1, count)
    objects = Detections.of(boxes, scores, rng.integers(0, draw(st.integers(1, 3)), count))
    return objects, windows, scene, rng.uniform(0.3, 0.95, count)


@st.composite
def noisy_views(draw):
    """What a network might report, unsuppressed: several jittered views of each object a tile, and stray boxes."""
    rng = np.random.default_rng(draw(SEEDS))
    scene = Window(0, 0, 150, 230)
    windows = tile_windows(scene, (100, 100), (30, 30))
    count = draw(st.integers(0, 10))
    boxes = boxes_near_borders(rng, windows, draw(st.sampled_from([20, 90])), count)
    views = views_of(Detections.of(boxes, rng.uniform(0.2, 1, count), rng.integers(0, 2, count)), windows)
    views = Detections.concatenate([views] * draw(st.integers(1, 4)))
    jitter = rng.normal(0, draw(st.sampled_from([0.0, 1.0, 3.0])), (len(views), 4))
    boxes = np.sort((views.boxes + jitter).reshape(-1, 2, 2), axis=1).reshape(-1, 4) + np.array([0, 0, 1, 1])
    scores = (views.scores * rng.uniform(0.5, 1, len(views))).round(draw(st.sampled_from([1, 6])))
    return Detections.of(boxes, scores, views.labels, views.tiles), windows, scene


@law(400)
@given(scenes(), IOUS)
def test_any_tile_grid_gives_what_one_big_tile_gives(example, iou):
    objects, windows, scene, faded = example
    tiled = merge(views_of(objects, windows, faded), windows, scene, iou)
    assert rows(tiled) == rows(merge(views_of(objects, [scene]), [scene], scene, iou))


@law(100)
@given(noisy_views(), IOUS, st.booleans(), SEEDS)
def test_order_of_input_changes_nothing(example, iou, average, seed):
    views, windows, scene = example
    shuffled = views[np.random.default_rng(seed).permutation(len(views))]
    assert rows(merge(shuffled, windows, scene, iou, average)) == rows(merge(views, windows, scene, iou, average))


@law(100)
@given(noisy_views(), IOUS, st.booleans())
def test_merging_again_changes_nothing(example, iou, average):
    views, windows, scene = example
    once = merge(views, windows, scene, iou, average)
    assert rows(merge(once, windows, scene, iou)) == rows(once)
    assert (once.tiles == -1).all()
    assert (np.diff(once.scores) <= 0).all()


@law(100)
@given(noisy_views(), IOUS)
def test_one_tile_is_greedy_nms(example, iou):
    views, _, scene = example
    alone = Detections.of(views.boxes, views.scores, views.labels, np.zeros(len(views)))
    kept = nms(alone.boxes, alone.scores, alone.labels, iou)
    assert rows(merge(alone, [scene], scene, iou)) == rows(alone[kept])


@law(100)
@given(noisy_views(), IOUS, st.booleans())
def test_nothing_is_lost(example, iou, average):
    views, windows, scene = example
    merged = merge(views, windows, scene, iou, average)
    both = Detections.concatenate([views, merged])
    cluster = np.arange(len(both))  # views and results that overlap, directly or by way of others, share a number
    i, j = geometry.overlapping_pairs(both.boxes, both.labels)
    for _ in range(40):  # rounds: no cluster is longer
        np.minimum.at(cluster, i, cluster[j])
        np.minimum.at(cluster, j, cluster[i])
    for name in np.unique(cluster):
        of_cluster = cluster == name
        before, left = both.scores[: len(views)][of_cluster[: len(views)]], merged.scores[of_cluster[len(views) :]]
        assert len(left) > 0
        assert left.max() == before.max()


@pytest.mark.parametrize(("shortest", "longest", "overlap"), [(10, 56, 64), (60, 240, 48)])
def test_noisy_views_give_each_object_once(shortest, longest, overlap):
    rng = np.random.default_rng(8)
    cells, cell = 60, longest + 16
    count = cells**2
    x, y = (axis.ravel() * float(cell) for axis in np.meshgrid(np.arange(cells), np.arange(cells)))
    sides = rng.uniform(shortest, longest, (count, 2))
    corner = np.stack([x, y], axis=1) + rng.uniform(0, 1, (count, 2)) * (cell - 4 - sides)
    truth = np.concatenate([corner, corner + sides], axis=1)
    scene = Window(0, 0, cells * cell, cells * cell)
    windows = tile_windows(scene, (256, 256), (overlap, overlap))
    views = views_of(Detections.of(truth, rng.uniform(0.4, 0.9, count), rng.integers(0, 3, count)), windows)
    views = views[(views.boxes[:, 2:] - views.boxes[:, :2]).min(axis=1) >= 5]  # networks see no slivers
    noise = rng.normal(0, 1, views.boxes.shape)
    scores = views.scores * rng.uniform(0.7, 1, len(views))
    merged = merge(Detections.of(views.boxes + noise, scores, views.labels, views.tiles), windows, scene)
    column, row = ((merged.boxes[:, :2] + merged.boxes[:, 2:]) / 2 // cell).astype(int).T
    found = row * cells + column
    times = np.bincount(found, minlength=count)
    assert times.min() == 1
    assert (times > 1).mean() <= 0.001
    assert (geometry.iou(merged.boxes, truth[found]) >= 0.75).mean() > 0.97


@law(50)
@given(noisy_views(), IOUS)
def test_labels_are_only_names(example, iou):
    views, windows, scene = example
    renamed = Detections.of(views.boxes, views.scores, 7 - 3 * views.labels, views.tiles)
    merged = [(*row[:5], 7 - 3 * row[5]) for row in rows(merge(views, windows, scene, iou))]
    assert sorted(rows(merge(renamed, windows, scene, iou))) == sorted(merged)
    parts = [merge(views[views.labels == label], windows, scene, iou) for label in (0, 1)]
    assert sorted(rows(Detections.concatenate(parts))) == sorted(rows(merge(views, windows, scene, iou)))


@law(50)
@given(noisy_views(), IOUS, st.integers(-(2**20), 2**20), st.integers(-(2**20), 2**20))
def test_moving_the_scene_moves_the_result(example, iou, x, y):
    views, windows, scene = example
    boxes = (views.boxes * 64).round() / 64  # exact under the shift
    shift = np.array([x, y, x, y])
    moved = [Window(w.row + y, w.col + x, w.height, w.width) for w in (*windows, scene)]
    here = merge(Detections.of(boxes, views.scores, views.labels, views.tiles), windows, scene, iou)
    shifted = Detections.of(boxes + shift, views.scores, views.labels, views.tiles)
    there = merge(shifted, moved[:-1], moved[-1], iou)
    assert rows(there) == rows(Detections.of(here.boxes + shift, here.scores, here.labels))


@law(50)
@given(noisy_views())
def test_thresholds_may_differ_by_label(example):
    views, windows, scene = example
    both = merge(views, windows, scene, (0.3, 0.6))
    alone = [merge(views[views.labels == label], windows, scene, iou) for label, iou in enumerate((0.3, 0.6))]
    assert sorted(rows(both)) == sorted(rows(Detections.concatenate(alone)))


def seen(*views, windows=(LEFT, RIGHT), scene=SCENE, **settings) -> list[tuple]:
    """Merge (tile, x1, y1, x2, y2, score, label) and return the rows."""
    table = np.array(views, np.float64)
    return rows(merge(Detections.of(table[:, 1:5], table[:, 5], table[:, 6], table[:, 0]), windows, scene, **settings))


def test_a_cut_view_falls_to_the_whole_one_and_passes_its_score_on():
    assert seen((0, 90, 10, 99, 20, 0.75, 0), (1, 90, 10, 112, 20, 0.5, 0)) == [(90, 10, 112, 20, 0.75, 0)]


def test_halves_of_a_long_object_become_one():
    assert seen((0, 30, 10, 98.5, 20, 0.75, 0), (1, 81, 10.5, 150, 20, 0.5, 0)) == [(30, 10, 150, 20, 0.75, 0)]


def test_quarters_of_an_object_at_a_corner_become_one():
    scene = Window(0, 0, 180, 180)
    windows = tile_windows(scene, (100, 100), (20, 20))
    ship = Detections.of([[30, 40, 150, 160]], [0.9], [0])
    (row,) = rows(merge(views_of(ship, windows), windows, scene))
    assert row[:4] == (30, 40, 150, 160)


def test_an_object_over_many_tiles_becomes_one():
    scene = Window(0, 0, 100, 4100)
    windows = tile_windows(scene, (100, 100), (20, 20))
    runway = Detections.of([[30, 40, 4000, 60]], [0.9], [0])
    (row,) = rows(merge(views_of(runway, windows), windows, scene))
    assert row[:4] == (30, 40, 4000, 60)


def test_parallel_ships_over_a_seam_stay_apart():
    ships = Detections.of([[30, top, 150, top + 8] for top in range(10, 80, 9)], np.linspace(0.9, 0.5, 8), np.zeros(8))
    views = views_of(ships, [LEFT, RIGHT])
    jitter = np.random.default_rng(1).normal(0, 0.7, views.boxes.shape)
    noisy = Detections.of(views.boxes + jitter, views.scores, views.labels, views.tiles)
    assert len(merge(noisy, [LEFT, RIGHT], SCENE)) == 8


@pytest.mark.parametrize("copies", [1, 12])
def test_long_objects_without_suppression_a_tile_become_one(copies):
    ship = Detections.of([[20, 20, 160, 50]], [0.9], [0])
    views = Detections.concatenate([views_of(ship, [LEFT, RIGHT])] * copies)
    rng = np.random.default_rng(5)
    noisy = Detections.of(
        views.boxes + rng.normal(0, 1, views.boxes.shape), rng.uniform(0.3, 0.9, len(views)), views.labels, views.tiles
    )
    merged = merge(noisy, [LEFT, RIGHT], SCENE)
    assert len(merged) == 1
    assert merged.scores[0] == noisy.scores.max()
    assert geometry.iou(merged.boxes, ship.boxes)[0] > 0.85


def test_a_cut_view_never_suppresses_a_whole_one():
    lone = Window(0, 0, 100, 100)  # no other tile looks beyond its right border
    views = (0, 60, 10, 99, 30, 0.9, 0), (0, 58, 10, 90, 30, 0.4, 0)
    assert seen(*views, windows=[lone]) == [(58, 10, 90, 30, pytest.approx(0.9), 0)]


def test_a_whole_view_counts_more_than_an_equal_one_near_a_border():
    scene = Window(0, 0, 213, 101)
    windows = tile_windows(scene, (78, 78), (47, 47))
    ship = Detections.of([[0, 132, 41, 140]], [0.75], [0])
    assert rows(merge(views_of(ship, windows), windows, scene, 0.7)) == rows(ship)


def test_a_small_object_does_not_swallow_a_large_one_that_is_cut():
    assert len(seen((0, 70, 10, 100, 30, 0.9, 0), (1, 81, 11, 91, 29, 0.5, 0))) == 2


def test_a_cut_view_that_nobody_else_saw_is_kept():
    assert seen((0, 90, 10, 99, 20, 0.5, 0), (1, 120, 10, 130, 20, 0.5, 0))[0][:4] == (90, 10, 99, 20)


def test_a_small_object_on_a_large_one_stays():
    large, small = (10, 10, 150, 60, 0.9, 0), (88, 30, 95, 36, 0.6, 0)
    views = views_of(Detections.of([large[:4], small[:4]], [0.9, 0.6], [0, 0]), [LEFT, RIGHT])
    assert {row[:4] for row in rows(merge(views, [LEFT, RIGHT], SCENE))} == {large[:4], small[:4]}


def test_a_ship_in_a_harbour_stays():
    harbour, ship = (82, 10, 98, 60, 0.9, 0), (83, 11, 98, 59, 0.6, 1)
    assert len(seen((0, *harbour), (0, *ship), (1, *harbour), (1, *ship))) == 2


def test_identical_detections_leave_one():
    assert len(seen(*[(0, 10, 10, 20, 20, 0.5, 0)] * 7)) == 1


def test_averages_are_weighted_with_the_scores():
    views = (0, 10, 10, 20, 20, 0.75, 0), (0, 12, 10, 22, 20, 0.25, 0)
    assert seen(*views, average=True) == [(10.5, 10, 20.5, 20, 0.75, 0)]


def test_averages_are_tighter_than_the_strongest_box():
    rng = np.random.default_rng(3)
    x, y = np.meshgrid(np.arange(100) * 60.0, np.arange(20) * 60.0)
    truth = np.stack([x, y, x + 30, y + 24], axis=-1).reshape(-1, 4)
    boxes = np.repeat(truth, 12, axis=0) + rng.normal(0, 2, (len(truth) * 12, 4))
    views = Detections.of(boxes, rng.uniform(0.2, 0.9, len(boxes)), np.zeros(len(boxes)))

    def good(average: bool) -> int:
        merged = merge(views, [], Window(0, 0, 1200, 6000), average=average)
        cell = np.rint(merged.boxes[:, :2] / 60).astype(int)
        close = geometry.iou(merged.boxes, truth[cell[:, 1] * 100 + cell[:, 0]]) >= 0.75
        return len(np.unique(cell[close], axis=0))

    assert good(False) < 0.9 * len(truth)
    assert good(True) > 0.98 * len(truth)


def test_nothing_gives_nothing():
    assert len(merge(Detections.empty(), [LEFT, RIGHT], SCENE)) == 0


def test_windows_may_be_bounds():
    views = views_of(Detections.of([[90, 10, 112, 20]], [0.5], [0]), [LEFT, RIGHT])
    bounds = np.array([LEFT.bounds, RIGHT.bounds])
    assert rows(merge(views, bounds, SCENE.bounds)) == rows(merge(views, [LEFT, RIGHT], SCENE))


def test_wrong_input_is_refused():
    one = Detections.of([[0, 0, 1, 1]], [0.5], [3], [5])
    with pytest.raises(ValueError, match="tiles up to 5"):
        merge(one, [LEFT], SCENE)
    with pytest.raises(ValueError, match="IoU thresholds lie in"):
        merge(one, [LEFT] * 6, SCENE, iou=1.5)
    with pytest.raises(ValueError, match="do not serve"):
        merge(one, [LEFT] * 6, SCENE, iou=[0.5, 0.5])
    with pytest.raises(ValueError, match="finite"):
        merge(Detections.of([[0, 0, np.nan, 1]], [0.5], [0]), [LEFT], SCENE)
