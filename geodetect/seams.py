"""What tiles that look at one object together know of it: partial views dropped, halves joined.

Two views are of one object when they *agree*: clipped to what both tiles look at, they are nearly the same box. A view
is *cut* on a side where it ends at a border of its tile beyond which the scene goes on. A cut view that agrees best
with a whole one is a part of that object and falls to it. Cut views that agree best with each other, tile by tile, are
joined, which makes objects whole that are longer than the overlap. A cut view that is still left falls where a more
complete view, clipped to its tile, explains it. Whatever falls passes its score on, so that no object is lost by a
later filter on the score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geodetect import boxes as geometry
from geodetect.boxes import Pairs
from geodetect.detections import Detections
from geodetect.nms import ranking, strongest_first

TOLERANCE = 4.0  # px: networks end the box of a cut object within a few px of the tile's border
AGREEMENT = 0.5  # least IoU of two views of one object
_BLUR = 2.0  # px: no side of a box is known better; without it, views of thin slivers never agree
_SIGNS = np.array([1.0, 1.0, -1.0, -1.0])  # towards the inside, one a side
_SINGLE, _OPEN, _JOINED, _WHOLE = range(4)  # how complete: a cut view, joined but still cut, joined, seen as a whole


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """Who stands for each of N detections once the views of one object have found each other.

    Attributes:
        boxes: (N, 4) float64, scene px; joined where several cut views are one object.
        scores: (N,) float32, the highest of the views that a box stands for.
        owner: (N,) the row that stands for each detection, itself for most; -1 where it fell to another object's view.
        cut: (N,) whether the row is still a part of an object.
    """

    boxes: np.ndarray
    scores: np.ndarray
    owner: np.ndarray
    cut: np.ndarray


def cut_sides(boxes: np.ndarray, tiles: np.ndarray, windows: np.ndarray, scene: np.ndarray) -> np.ndarray:
    """Return which sides of each box are cut (N, 4): left, top, right, bottom.

    A side is cut when it lies within TOLERANCE of a border of its tile, or beyond, that is not the scene's border.

    Args:
        boxes: (N, 4) scene px.
        tiles: (N,) index into windows, -1 for no tile, where nothing is cut.
        windows: (T, 4) bounds of the tiles.
        scene: (4,) bounds of the scene.
    """
    limits = np.where((windows - scene) * _SIGNS > 0, windows * _SIGNS + TOLERANCE, -np.inf)
    return boxes * _SIGNS <= np.append(limits, [[-np.inf] * 4], axis=0).take(tiles, axis=0)


def join_views(detections: Detections, sides: np.ndarray, windows: np.ndarray, pairs: Pairs) -> Views:
    """Return who stands for each detection.

    Args:
        detections: N views of all tiles.
        sides: (N, 4) from `cut_sides`.
        windows: (T, 4) bounds of the tiles.
        pairs: all pairs of one label that overlap and of which at least one is cut.
    """
    work = _Work(detections, sides, np.append(windows, [[-np.inf, -np.inf, np.inf, np.inf]], axis=0))
    agreeing, agreement = work.agreeing(pairs)
    rest = work.drop_parts(agreeing, agreement)
    work.join(agreeing[0][rest], agreeing[1][rest], agreement[rest])
    for grade in (_SINGLE, _OPEN, _JOINED):
        work.drop_explained(grade, pairs)
    return Views(work.boxes, work.scores, work.owner, work.grade <= _OPEN)


class _Work:
    """The state of `join_views`."""

    def __init__(self, detections: Detections, sides: np.ndarray, windows: np.ndarray) -> None:
        self.views, self.sides, self.windows = detections, sides, windows
        self.boxes, self.scores = detections.boxes.copy(), detections.scores.copy()
        self.cut = sides.any(axis=1)
        self.owner = np.arange(len(detections))
        self.grade = np.where(self.cut, _SINGLE, _WHOLE)  # of the owner's row

    def agreeing(self, pairs: Pairs) -> tuple[Pairs, np.ndarray]:
        """Return the pairs of views from two tiles that agree, and how well: IoU in tenths, as finer is noise.

        10 stands for equality, so that of exact views each finds its own object even between objects that overlap.
        """
        tiles = self.views.tiles
        other = np.flatnonzero(tiles.take(pairs[0]) != tiles.take(pairs[1]))
        i, j = pairs[0].take(other), pairs[1].take(other)
        seen = _common(self.windows.take(tiles.take(i), axis=0), self.windows.take(tiles.take(j), axis=0))
        a = geometry.clip(self.boxes.take(i, axis=0), seen)
        b = geometry.clip(self.boxes.take(j, axis=0), seen)
        iou = _agreement(a, b, self.sides.take(i, axis=0) | self.sides.take(j, axis=0))
        hit = np.flatnonzero(iou >= AGREEMENT)
        return (i.take(hit), j.take(hit)), (iou.take(hit) * 10).astype(np.intp)

    def drop_parts(self, pairs: Pairs, agreement: np.ndarray) -> np.ndarray:
        """Let each cut view fall that agrees best with a whole one; return the pairs of cut views that are left."""
        i, j = pairs
        source, target = np.concatenate([i, j]), np.concatenate([j, i])
        rank = self._rank(target)
        cut = np.flatnonzero(self.cut.take(source))
        source, target, rank = source.take(cut), target.take(cut), rank.take(cut)
        best = _best(source, np.concatenate([agreement, agreement]).take(cut), rank)
        self.owner[source[best & ~self.cut[target]]] = -1
        part = np.flatnonzero((self.owner.take(source) < 0) & ~self.cut.take(target))
        source, target, rank = source.take(part), target.take(part), rank.take(part)
        self._pass_on(source, target, rank)
        return np.flatnonzero(self.cut[i] & self.cut[j] & (self.owner[i] >= 0) & (self.owner[j] >= 0))

    def join(self, i: np.ndarray, j: np.ndarray, agreement: np.ndarray) -> None:
        """Join cut views that are each other's best of their tile, over any number of tiles."""
        if not len(i):
            return
        source, target = np.concatenate([i, j]), np.concatenate([j, i])
        group = source * len(self.windows) + self.views.tiles[target]
        best = _best(group, np.concatenate([agreement, agreement]), self._rank(target))
        mutual = best[: len(i)] & best[len(i) :]
        members, numbers = np.unique(np.concatenate([i[mutual], j[mutual]]), return_inverse=True)
        roots = _components(len(members), numbers[: mutual.sum()], numbers[mutual.sum() :])
        order = np.lexsort([*reversed(ranking(self.boxes[members], self.scores[members], members)), roots])
        members, roots = members[order], roots[order]  # each component together, its strongest view first
        first = np.flatnonzero(np.append(True, roots[1:] != roots[:-1])[: len(roots)])
        self._unite(members, first, np.diff(np.append(first, len(members))))

    def _unite(self, members: np.ndarray, first: np.ndarray, counts: np.ndarray) -> None:
        """Let the first view of each component stand for it, with the strongest view's box that spans it, or with all's.

        A view spans the component when no other reaches further than TOLERANCE beyond it.
        """
        if not len(members):
            return
        boxes = self.boxes[members]
        union = np.where(
            _SIGNS > 0, np.minimum.reduceat(boxes, first, axis=0), np.maximum.reduceat(boxes, first, axis=0)
        )
        near = np.abs(boxes - np.repeat(union, counts, axis=0)) <= TOLERANCE
        closed = np.logical_or.reduceat(near & ~self.sides[members], first, axis=0).all(axis=1)
        spanning = np.where(near.all(axis=1), np.arange(len(members)), len(members))
        chosen = np.minimum.reduceat(spanning, first)
        spanned = chosen < len(members)
        head = members[first]
        self.boxes[head] = np.where(spanned[:, None], boxes[np.minimum(chosen, len(members) - 1)], union)
        self.owner[members] = np.repeat(head, counts)
        self.grade[head] = np.where(closed, np.where(spanned, _WHOLE, _JOINED), _OPEN)

    def drop_explained(self, grade: int, pairs: Pairs) -> None:
        """Let each view of this grade fall that a more complete one, clipped to the view's tile, agrees with.

        A joined box falls when all its views do.
        """
        source, target = np.concatenate(pairs), np.concatenate(pairs[::-1])
        owner = self.owner.take(source)
        some = np.flatnonzero((owner >= 0) & (self.grade.take(owner) == grade) & (self.owner.take(target) >= 0))
        source, target, owner = source.take(some), target.take(some), self.owner.take(target.take(some))
        tiles = self.views.tiles
        apart = (tiles[source] != tiles[target]) | self.cut[target]
        some = np.flatnonzero((self.grade.take(owner) > grade) & apart)
        source, owner = source.take(some), owner.take(some)
        seen = self.windows.take(tiles.take(source), axis=0)
        a, b = geometry.clip(self.views.boxes.take(source, axis=0), seen), geometry.clip(self.boxes[owner], seen)
        hit = np.flatnonzero(_agreement(a, b, self.sides.take(source, axis=0)) >= AGREEMENT)
        source, owner = source.take(hit), owner.take(hit)
        explained = np.unique(source)
        whole = np.bincount(self.owner[self.owner >= 0], minlength=len(self.owner))
        gone = np.bincount(self.owner[explained], minlength=len(self.owner))
        falls = (whole > 0) & (whole == gone)
        falling = falls[self.owner[source]]
        source, owner = source[falling], owner[falling]
        self._pass_on(self.owner[source], owner, self._rank(owner))
        self.owner[source] = -1

    def _rank(self, rows: np.ndarray) -> np.ndarray:
        """Return how strong each row is among all of `rows`, 0 the strongest."""
        used = np.zeros(len(self.owner), bool)
        used[rows] = True
        names = np.flatnonzero(used)
        rank = np.zeros(len(used), np.intp)
        columns = ranking(self.boxes[names], self.scores[names], self.views.tiles[names])
        rank[names[strongest_first(columns)]] = np.arange(len(names))
        return rank.take(rows)

    def _pass_on(self, source: np.ndarray, target: np.ndarray, rank: np.ndarray) -> None:
        """Raise the strongest of each source's targets to the source's score."""
        best = _best(source, np.zeros(len(source), np.intp), rank)
        np.maximum.at(self.scores, target[best], self.scores[source[best]])


def _common(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return what windows a[k] and b[k] both cover (N, 4)."""
    return np.where(_SIGNS > 0, np.maximum(a, b), np.minimum(a, b))


def _agreement(a: np.ndarray, b: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """Return the IoU of blurred boxes (N,); 0 where one of them does not reach a border at which the other is cut."""
    astray = ((np.abs(a - b) > 2 * TOLERANCE) & cut).any(axis=1)
    return np.where(astray, 0.0, geometry.iou(a - _BLUR * _SIGNS, b - _BLUR * _SIGNS))


def _best(group: np.ndarray, agreement: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Return a mask (P,) of one row a group: the best agreement, and of these the strongest."""
    order = np.lexsort((rank, -agreement, group))
    ordered = group.take(order)
    mask = np.zeros(len(group), bool)
    mask[order[np.append(True, ordered[1:] != ordered[:-1])[: len(order)]]] = True
    return mask


def _components(count: int, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Return the component of each of `count` nodes (count,): the least node that pairs (i, j) link it to."""
    root = np.arange(count)
    while len(i):
        a, b = root.take(i), root.take(j)
        apart = a != b
        i, j, a, b = i[apart], j[apart], a[apart], b[apart]
        np.minimum.at(root, np.maximum(a, b), np.minimum(a, b))
        while (root != root.take(root)).any():
            root = root.take(root)
    return root
