"""Geometry of many boxes: arrays (N, 4) of x1, y1, x2, y2, half-open, in any one frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

Pairs = tuple[np.ndarray, np.ndarray]

_LEVEL_RATIO = 16.0  # sides within one level differ by this at most
_FEW = 16  # a level that has this many times fewer boxes than the next larger one is put to it
_STRIP_HEIGHT = 3.0  # of the tallest box: lower copies more queries, higher tests more candidates
_SHIFTS = 32  # neighbours tried one by one before the rest is searched
_BLOCK = 1 << 20  # candidates tested at once: bounds the memory
_SLACK = 1 + 1e-9  # searches reach a little further than needed, so that rounding loses no pair


def area(boxes: np.ndarray) -> np.ndarray:
    """Return the areas (N,), px²; an inverted box has none."""
    return np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)


def intersection(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return what a[k] and b[k] share (N,), px²."""
    width = np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0])
    height = np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1])
    return np.maximum(width, 0) * np.maximum(height, 0)


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the intersection over the union of a[k] and b[k] (N,), 0 where both are empty."""
    shared = intersection(a, b)
    return _ratio(shared, area(a) + area(b) - shared)


def ios(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the intersection over the smaller of a[k] and b[k] (N,), 0 where one is empty."""
    return _ratio(intersection(a, b), np.minimum(area(a), area(b)))


def clip(boxes: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Return the boxes cut to bounds, one for all (4,) or one each (N, 4); a box outside collapses onto the border."""
    low, high = bounds[..., [0, 1, 0, 1]], bounds[..., [2, 3, 2, 3]]
    return np.minimum(np.maximum(boxes, low), high)


def overlapping_pairs(boxes: np.ndarray, groups: np.ndarray | None = None) -> Pairs:
    """Return all pairs of boxes that share some area, as two index arrays.

    Each pair comes once, in no particular order. See `pair_blocks`, which this collects.
    """
    blocks = [(np.empty(0, np.intp), np.empty(0, np.intp)), *pair_blocks(boxes, groups)]
    return np.concatenate([block[0] for block in blocks]), np.concatenate([block[1] for block in blocks])


def pair_blocks(boxes: np.ndarray, groups: np.ndarray | None = None) -> Iterator[Pairs]:
    """Yield all pairs of boxes that share some area, in blocks that bound the memory.

    Boxes are put into levels of like size, each level into horizontal strips as high as its tallest boxes, each strip
    in order of x1. Partners then lie in a short run of the same or the next strip, so that the time is near-linear in
    boxes and pairs whatever the mix of sizes. The result is exact: rounding only adds candidates, which are tested.

    Args:
        boxes: (N, 4) finite.
        groups: (N,) integers; only boxes of one group pair up. Without it all do.

    Raises:
        ValueError: a coordinate is not finite.
    """
    boxes = np.asarray(boxes, np.float64)
    if not np.isfinite(boxes).all():
        raise ValueError("boxes need finite coordinates")
    groups = np.zeros(len(boxes), np.int64) if groups is None else _dense(groups)
    done: list[_Strips] = []
    for level in _levels(boxes):
        strips = _Strips.of(boxes, groups, level)
        yield from strips.inner_pairs()
        for other in done:
            few = strips.strips_met(other.heights) <= other.strips_met(strips.heights)  # who asks whom
            asked, asking = (strips, other) if few else (other, strips)
            yield from asked.pairs_with(boxes, groups, asking.index)
        done.append(strips)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _dense(groups: np.ndarray) -> np.ndarray:
    """Return group numbers from 0 on, without gaps where they are wide (strip numbers are multiples of them)."""
    groups = np.asarray(groups, np.int64)
    if len(groups) and int(groups.max()) - int(groups.min()) > 4096:
        return np.unique(groups, return_inverse=True)[1].reshape(-1)
    return groups - (groups.min() if len(groups) else 0)


def _levels(boxes: np.ndarray) -> list[np.ndarray]:
    """Return the indices of boxes of like size, small to large; boxes without area pair with none and are left out."""
    sides = boxes[:, 2:] - boxes[:, :2]
    solid = np.flatnonzero((sides[:, 0] > 0) & (sides[:, 1] > 0))
    if not len(solid):
        return []
    sizes = np.maximum(sides[:, 0], sides[:, 1])[solid]
    middle = np.median(sizes[:: max(1, len(sizes) // 4096)])  # a sample: it steers the speed, not the result
    levels = np.rint(np.log2(sizes / middle) / np.log2(_LEVEL_RATIO)).astype(np.int16)
    levels -= levels.min()
    counts = np.bincount(levels)
    for level in range(len(counts) - 1):  # a few small boxes cost less among larger ones than a level of their own
        if counts[level] * _FEW < counts[level + 1]:
            counts[level + 1] += counts[level]
            counts[level] = 0
            levels[levels == level] = level + 1
    if counts[-1] == len(solid):
        return [solid]
    return [solid[levels == level] for level in np.flatnonzero(counts)]


@dataclass(frozen=True, slots=True, eq=False)
class _Strips:
    """Boxes of one level, ordered by group, strip and x1; columns follow that order."""

    index: np.ndarray  # (M,) into the caller's boxes
    keys: np.ndarray  # (M,) group * strips * span + strip * span + x1, rising
    columns: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # x1, y1, x2, y2
    base: np.ndarray  # (M,) the key of each box's strip
    origin: tuple[float, float]  # least x1, y1 of all boxes
    height: float  # of a strip
    strips: int  # a group
    span: float  # of a strip's keys: no search reaches from one strip into another
    widest: float

    @classmethod
    def of(cls, boxes: np.ndarray, groups: np.ndarray, level: np.ndarray) -> _Strips:
        """Return the strips of boxes[level]."""
        every = len(level) == len(boxes)
        x1, y1, x2, y2 = (np.ascontiguousarray(column) for column in (boxes if every else boxes[level]).T)
        widest = float((x2 - x1).max()) * _SLACK
        height = float((y2 - y1).max()) * _STRIP_HEIGHT
        origin = float(boxes[:, 0].min()), float(boxes[:, 1].min())
        strips = int((float(boxes[:, 3].max()) - origin[1]) / height) + 3  # an empty one below and above each group
        span = 2 * (float(boxes[:, 2].max()) - origin[0] + widest)
        rows = groups[level] * strips + 1 + np.floor((y1 - origin[1]) / height)
        base = rows * span
        keys = base + (x1 - origin[0])
        order = np.argsort(keys)
        columns = x1.take(order), y1.take(order), x2.take(order), y2.take(order)
        index = order if every else level.take(order)
        return cls(index, keys.take(order), columns, base.take(order), origin, height, strips, span, widest)

    def inner_pairs(self) -> Iterator[Pairs]:
        """Yield the pairs within the level."""
        x1, _, x2, y2 = self.columns
        count = len(self.index)
        reach = self.base + (x2 - self.origin[0])
        active = np.arange(count)
        for shift in range(1, _SHIFTS + 1):  # whoever lies `shift` places further on in the same strip
            active = active[: np.searchsorted(active, count - shift)]
            active = active[self.keys.take(active + shift) <= reach.take(active)]
            if not len(active):
                break
            yield self._exact(active, active + shift)
        else:
            yield from self._searched(active, active + _SHIFTS + 1, self._search(reach.take(active), "right"))
        below = np.flatnonzero((y2 - self.origin[1]) / self.height >= np.rint(self.base / self.span) % self.strips)
        base = self.base.take(below) + self.span - self.origin[0]
        first = self._search(base + (x1.take(below) - self.widest), "left")
        yield from self._searched(below, first, self._search(base + x2.take(below), "right"))

    @property
    def heights(self) -> np.ndarray:
        """Of the level's boxes (M,)."""
        return self.columns[3] - self.columns[1]

    def strips_met(self, heights: np.ndarray) -> float:
        """Return about how many strips boxes of these heights have to search."""
        return float(heights.sum()) / self.height + 2 * len(heights)

    def pairs_with(self, boxes: np.ndarray, groups: np.ndarray, others: np.ndarray) -> Iterator[Pairs]:
        """Yield the pairs of boxes[others], of any size but not of this level, with the level's."""
        x1, y1, x2, y2 = (np.ascontiguousarray(column) for column in boxes.take(others, axis=0).T)
        x1, x2, group = x1 - self.origin[0] - self.widest, x2 - self.origin[0], groups.take(others) * self.strips
        top = np.floor((y1 - self.origin[1]) / self.height).astype(np.intp)  # a box of the strip above may reach down
        bottom = np.floor((y2 - self.origin[1]) / self.height).astype(np.intp) + 1
        for query, strip in _ranges(top - 1, bottom):
            base = (group.take(query) + 1 + strip) * self.span
            first = self._search(base + x1.take(query), "left")
            last = self._search(base + x2.take(query), "right")
            for k, found in _ranges(first, last):
                i, j = others.take(query.take(k)), self.index.take(found)
                hit = np.flatnonzero(intersection(boxes.take(i, axis=0), boxes.take(j, axis=0)) > 0)
                yield i.take(hit), j.take(hit)

    def _search(self, keys: np.ndarray, side: Literal["left", "right"]) -> np.ndarray:
        return np.searchsorted(self.keys, keys, side=side)

    def _searched(self, query: np.ndarray, first: np.ndarray, last: np.ndarray) -> Iterator[Pairs]:
        for k, found in _ranges(first, last):
            yield self._exact(query.take(k), found)

    def _exact(self, i: np.ndarray, j: np.ndarray) -> Pairs:
        """Return which candidates share some area, as the caller's indices."""
        x1, y1, x2, y2 = self.columns
        for low, high in ((y1, y2), (x1, x2)):
            hit = np.flatnonzero((low.take(i) < high.take(j)) & (low.take(j) < high.take(i)))
            i, j = i.take(hit), j.take(hit)
        return self.index.take(i), self.index.take(j)


def _ranges(first: np.ndarray, last: np.ndarray) -> Iterator[Pairs]:
    """Yield (k, m) for all m in first[k]..last[k] - 1, in blocks."""
    ends = np.cumsum(np.maximum(last - first, 0))
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.unique(np.searchsorted(ends, np.arange(_BLOCK, total + _BLOCK, _BLOCK), side="right"))
    start = 0
    for stop in np.minimum(np.append(cuts, len(ends)), len(ends)).tolist():
        counts = np.maximum(last[start:stop] - first[start:stop], 0)
        if counts.any():
            k = np.repeat(np.arange(start, stop), counts)
            skipped = np.repeat(first[start:stop] - (np.cumsum(counts) - counts), counts)
            yield k, np.arange(len(k)) + skipped
        start = stop
