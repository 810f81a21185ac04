"""Merging: from what all tiles saw to one detection an object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geodetect import boxes as geometry
from geodetect.boxes import Pairs
from geodetect.detections import Detections
from geodetect.nms import Columns, Thresholds, nms, overlapping, ranking, ranks, strongest_first, suppress, thresholds
from geodetect.seams import Views, cut_sides, join_views
from geodetect.window import Window

__all__ = ["merge", "nms"]


def merge(
    detections: Detections,
    windows: Sequence[Window] | np.ndarray,
    scene: Window | Sequence[float] | np.ndarray,
    iou: Thresholds = 0.45,
    average: bool = False,
) -> Detections:
    """Return one detection an object from what all tiles saw, by falling score.

    Views that the tiles' borders cut are dropped where another tile saw more of the object, and joined where none saw
    all of it (see `seams`); then greedy non-maximum suppression, label by label, settles the rest. A box that is
    still cut never suppresses a whole one.

    Law: where the overlap is at least the longest object, any tile grid gives what one big tile gives, for exact views
    of objects that differ by more than `seams.TOLERANCE` (closer ones of a class may become one at a border). The
    result does not depend on the order of the detections, and merging it again changes nothing.

    Args:
        detections: views of all tiles, scene px, with or without suppression a tile; `tiles` is an index into
            `windows`, or -1 for what is merged already.
        windows: the tiles, as windows or bounds (T, 4).
        scene: what the tiles cover, as window or bounds (4,); nothing is cut at its borders.
        iou: suppress above this, one number or one a label (L,), 0..1.
        average: replace each box by the mean, weighted with the scores, of itself and the whole boxes that it
            suppressed. Tighter boxes where the tiles' detections were not suppressed before.

    Raises:
        ValueError: a tile is not in windows, a threshold is not in 0..1 or missing, or a coordinate is not finite.
    """
    bounds = _bounds(windows)
    if len(detections) and not -1 <= detections.tiles.min() <= detections.tiles.max() < len(bounds):
        raise ValueError(f"detections name tiles up to {detections.tiles.max()}, but there are {len(bounds)} windows")
    sides = cut_sides(detections.boxes, detections.tiles, bounds, _bounds([scene])[0])
    views = np.append(bounds, [[-np.inf, -np.inf, np.inf, np.inf]], axis=0).take(detections.tiles, axis=0)
    rows, boxes, scores = merge_rows(detections, views, sides, iou, average)
    labels = detections.labels[rows]
    # Means may meet where the boxes themselves did not.
    order = nms(boxes, scores, labels, iou) if average else strongest_first(ranking(boxes, scores, labels))
    return Detections.of(boxes[order], scores[order], labels[order])


def merge_rows(
    detections: Detections,
    windows: np.ndarray,
    sides: np.ndarray,
    iou: Thresholds = 0.45,
    average: bool = False,
    sources: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which rows are left of what all tiles saw (K,), in their order, with their boxes (K, 4) and scores (K,).

    Args:
        detections: N views of all tiles, in the frame of `windows`.
        windows: (N, 4) bounds of each view's tile.
        sides: (N, 4) which sides of each box are cut, see `seams.cut_sides`.
        iou, average: as `merge` has them.
        sources: (N,) views of one source are known to be of different objects, and never compared; None: no such
            knowledge.

    Raises:
        ValueError: a threshold is not in 0..1 or missing, or a coordinate is not finite.
    """
    limits = thresholds(iou, detections.labels)
    rivals, cut_pairs = _pairs(detections, limits, sides.any(axis=1), sources)
    views = join_views(detections, sides, windows, cut_pairs)
    rivals = _concatenate([rivals, _between_owners(views, limits, cut_pairs)])
    columns = ranking(views.boxes, views.scores, detections.labels)
    stands = views.owner == np.arange(len(detections))
    kept = stands & suppress((views.cut, *columns) if views.cut.any() else columns, rivals)
    boxes, scores = _settle(views, kept, rivals, columns, average)
    rows = np.flatnonzero(kept)
    return rows, boxes[rows], scores[rows]


def _bounds(windows: Sequence[Window | Sequence[float] | np.ndarray] | np.ndarray) -> np.ndarray:
    """Return bounds (T, 4) of windows or bounds."""
    rows = [window.bounds if isinstance(window, Window) else window for window in windows]
    return np.array(rows, np.float64).reshape(-1, 4)


def _concatenate(pairs: Sequence[Pairs]) -> Pairs:
    none = np.empty(0, np.intp)
    return np.concatenate([none, *(i for i, _ in pairs)]), np.concatenate([none, *(j for _, j in pairs)])


def _pairs(
    detections: Detections, limits: np.ndarray, cut: np.ndarray, sources: np.ndarray | None
) -> tuple[Pairs, Pairs]:
    """Return the pairs of one label: whole boxes above the threshold, and all that overlap where one is cut."""
    rivals, cut_pairs = [], []
    for i, j in geometry.pair_blocks(detections.boxes, detections.labels):
        if sources is not None:
            apart = np.flatnonzero(sources.take(i) != sources.take(j))
            i, j = i.take(apart), j.take(apart)
        some = cut.take(i) | cut.take(j)
        cut_pairs.append((i[some], j[some]))
        rivals.append(overlapping(detections.boxes, limits, (i[~some], j[~some])))
    return _concatenate(rivals), _concatenate(cut_pairs)


def _between_owners(views: Views, limits: np.ndarray, pairs: Pairs) -> Pairs:
    """Return the pairs of rows that stand for the pairs' detections and overlap by more than the threshold."""
    i, j = views.owner.take(pairs[0]), views.owner.take(pairs[1])
    some = np.flatnonzero((i >= 0) & (j >= 0) & (i != j))
    return overlapping(views.boxes, limits, (i.take(some), j.take(some)))


def _settle(views: Views, kept: np.ndarray, rivals: Pairs, columns: Columns, average: bool) -> Pairs:
    """Return boxes and scores of all rows after each kept one has taken over what fell to it.

    A suppressed box belongs to its strongest rival. If it is cut it passes its score on; if it is whole and `average`
    asks for it, it counts in the mean.
    """
    boxes, scores = views.boxes, views.scores.copy()
    if not average:
        some = np.flatnonzero(views.cut.take(rivals[0]) | views.cut.take(rivals[1]))
        rivals = rivals[0].take(some), rivals[1].take(some)
    winner, loser = np.concatenate(rivals), np.concatenate(rivals[::-1])
    some = np.flatnonzero(kept.take(winner) & ~kept.take(loser))
    winner, loser = winner.take(some), loser.take(some)
    rank = ranks(columns, winner)
    best = np.full(len(boxes), len(boxes))
    np.minimum.at(best, loser, rank)
    strongest = best.take(loser) == rank
    winner, loser = winner[strongest], loser[strongest]
    part = views.cut.take(loser)
    np.maximum.at(scores, winner[part], views.scores[loser[part]])
    owner = np.arange(len(boxes))
    owner[loser[~part]] = winner[~part]
    return (_means(views, owner, columns) if average else boxes), scores


def _means(views: Views, owner: np.ndarray, columns: Columns) -> np.ndarray:
    """Return the boxes of all rows, an owner's as mean of itself and what it owns, weighted with the scores."""
    owned = np.flatnonzero(owner != np.arange(len(owner)))
    owned = owned[np.argsort(ranks(columns, owned))]  # one order of summation, whatever the input's
    owners = np.unique(owner[owned])
    rows = np.concatenate([owners, owned])
    weights = np.maximum(views.scores[rows], 1e-6).astype(np.float64)
    total = np.bincount(owner[rows], weights, len(owner))[owners]
    boxes = views.boxes.copy()
    for side in range(4):
        boxes[owners, side] = np.bincount(owner[rows], weights * boxes[rows, side], len(owner))[owners] / total
    return boxes
