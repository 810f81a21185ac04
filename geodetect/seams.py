"""What tiles that look at one object together know of it: partial views dropped, halves joined.

Two views are of one object when they *agree*: clipped to what both tiles look at, they are nearly the same box. A view
is *cut* on a side where it ends at a border of its tile beyond which the scene goes on. A cut view that agrees best
with a whole one is a part of that object and falls to it. Cut views that agree best with each other, tile by tile, are
joined, which makes objects whole that are longer than the overlap. A cut view that is still left falls where a more
complete view, clipped to its tile, explains it, if only by covering most of it: of a plane whose tail alone a tile
shows, a network may box half of the tail. Whatever falls passes its score on, so that no object is lost by a
later filter on the score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geodetect import boxes as geometry
from geodetect.boxes import Pairs
from geodetect.detections import Detections
from geodetect.nms import ranking, ranks

TOLERANCE = 4.0  # px: how far the sides of two views of one object may be apart, at least
REACH, FARTHEST = 0.2, 12.0  # networks end the box of a cut object that near its tile's border: of its side, px at most
AGREEMENT = 0.5  # least IoU of two views of one object
COVER = 0.7  # of what is left of a cut view: a network may see much less of an object than its tile shows
_BLUR = 3.0  # px: sides are not known better; without it, views of thin slivers never agree
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

    A side is cut when it lies near a border of its tile (see `REACH`), or beyond, that is not the scene's border.

    Args:
        boxes: (N, 4) scene px.
        tiles: (N,) index into windows, -1 for no tile, where nothing is cut.
        windows: (T, 4) bounds of the tiles.
        scene: (4,) bounds of the scene.
    """
    borders = np.where((windows - scene) * _SIGNS > 0, windows * _SIGNS, -np.inf)
    borders = np.append(borders, [[-np.inf] * 4], axis=0).take(tiles, axis=0)
    reach = np.clip(REACH * (boxes[:, 2:] - boxes[:, :2]), TOLERANCE, FARTHEST)
    return boxes * _SIGNS <= borders + np.tile(reach, 2)


def join_views(detections: Detections, sides: np.ndarray, windows: np.ndarray, pairs: Pairs) -> Views:
    """Return who stands for each detection.

    Args:
        detections: N views of all tiles.
        sides: (N, 4) from `cut_sides`.
        windows: (N, 4) bounds of each view's tile; they matter where the view is cut.
        pairs: all pairs of one label that overlap and of which at least one is cut.
    """
    work = _Work(detections, sides, windows)
    links = work.agreeing(pairs)
    work.drop_parts(links)
    work.join(links)
    for grade, cover in ((_SINGLE, COVER), (_OPEN, COVER), (_JOINED, 2.0)):
        work.drop_explained(grade, pairs, cover)
    return Views(work.boxes, work.scores, work.owner, work.grade <= _OPEN)


@dataclass(frozen=True, slots=True, eq=False)
class _Links:
    """Cut views and who they agree with, one row a direction."""

    source: np.ndarray  # (P,) rows of cut views
    target: np.ndarray  # (P,) rows
    agreement: np.ndarray  # (P,) the higher the better
    rank: np.ndarray  # (P,) how strong the target is, 0 the strongest

    def __getitem__(self, index: np.ndarray) -> _Links:
        return _Links(self.source[index], self.target[index], self.agreement[index], self.rank[index])

    def best(self, group: np.ndarray) -> np.ndarray:
        """Return a mask (P,) of one row a group: the best agreement, and of these the strongest target."""
        return _first(group, self.rank, self.agreement)


class _Work:
    """The state of `join_views`."""

    def __init__(self, detections: Detections, sides: np.ndarray, windows: np.ndarray) -> None:
        self.views, self.sides, self.windows = detections, sides, windows
        self.boxes, self.scores = detections.boxes.copy(), detections.scores.copy()
        self.cut = sides.any(axis=1)
        self.owner = np.arange(len(detections))
        self.grade = np.where(self.cut, _SINGLE, _WHOLE)  # of the owner's row

    def agreeing(self, pairs: Pairs) -> _Links:
        """Return which views of two tiles agree.

        The agreement is the IoU where both tiles look, then the part of the source that lies there, both in tenths, as
        finer is noise. All tenths stand for equality, so that of exact views each finds its own object even among
        objects that overlap.
        """
        tiles = self.views.tiles
        other = np.flatnonzero(tiles.take(pairs[0]) != tiles.take(pairs[1]))
        i, j = pairs[0].take(other), pairs[1].take(other)
        seen = _common(self.windows.take(i, axis=0), self.windows.take(j, axis=0))
        whole_a, whole_b = self.boxes.take(i, axis=0), self.boxes.take(j, axis=0)
        a, b = geometry.clip(whole_a, seen), geometry.clip(whole_b, seen)
        iou = _agreement(a, b, self.sides.take(i, axis=0) | self.sides.take(j, axis=0))
        share = np.concatenate([geometry.area(a) / geometry.area(whole_a), geometry.area(b) / geometry.area(whole_b)])
        source, target, iou = np.concatenate([i, j]), np.concatenate([j, i]), np.concatenate([iou, iou])
        hit = np.flatnonzero((iou >= AGREEMENT) & self.cut.take(source))
        source, target = source.take(hit), target.take(hit)
        agreement = (iou.take(hit) * 10).astype(np.intp) * 16 + (share.take(hit) * 10).astype(np.intp)
        return _Links(source, target, agreement, self._rank(target))

    def drop_parts(self, links: _Links) -> None:
        """Let cut views fall that agree best with a whole one, or with a cut one that turns out to be whole."""
        best = links.best(links.source)
        whole = ~self.cut.take(links.target)
        self.owner[links.source[best & whole]] = -1
        part = links[whole & (self.owner.take(links.source) < 0)]
        self._pass_on(part.source, part.target, part.rank)
        near = links[best & ~whole]
        near = near[(self.owner.take(near.source) >= 0) & (self.owner.take(near.target) >= 0)]
        self._unite(near.source, near.target, _WHOLE)

    def join(self, links: _Links) -> None:
        """Join cut views that are each other's best of their tile, over any number of tiles."""
        single = (self.owner == np.arange(len(self.owner))) & (self.grade == _SINGLE)
        links = links[single.take(links.source) & single.take(links.target)]
        tiles, count = self.views.tiles.take(links.target), len(self.owner)
        group = np.unique(links.source * (tiles.max(initial=0) + 1) + tiles, return_inverse=True)[1]
        near = links[links.best(group.reshape(-1))]
        mutual = np.isin(near.source * count + near.target, near.target * count + near.source)
        self._unite(near.source[mutual], near.target[mutual], _OPEN)

    def _unite(self, i: np.ndarray, j: np.ndarray, least: int) -> None:
        """Let one row stand for all views that pairs (i, j) link, where the result is as complete as `least`.

        The strongest view gets the box of the strongest that spans all, or the hull of all. A view spans the others
        when none reaches further than TOLERANCE beyond it.
        """
        if not len(i):
            return
        members, numbers = np.unique(np.concatenate([i, j]), return_inverse=True)
        roots = _components(len(members), numbers[: len(i)], numbers[len(i) :])
        order = np.lexsort((self._rank(members), roots))
        members, roots = members[order], roots[order]  # each component together, its strongest view first
        first = np.flatnonzero(np.append(True, roots[1:] != roots[:-1]))
        component = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(members))))
        boxes = self.boxes[members]
        hull = _SIGNS * np.minimum.reduceat(boxes * _SIGNS, first, axis=0)
        near = np.abs(boxes - hull[component]) <= TOLERANCE
        closed = np.logical_or.reduceat(near & ~self.sides[members], first, axis=0).all(axis=1)
        spanning = np.minimum.reduceat(np.where(near.all(axis=1), np.arange(len(members)), len(members)), first)
        spanned = spanning < len(members)
        grade = np.where(closed, np.where(spanned, _WHOLE, _JOINED), _OPEN)
        good = grade >= least
        head = members[first]
        result = np.where(spanned[:, None], boxes[np.minimum(spanning, len(members) - 1)], hull)
        self.boxes[head[good]], self.grade[head[good]] = result[good], grade[good]
        inside = good[component]
        self.owner[members[inside]] = head[component[inside]]

    def drop_explained(self, grade: int, pairs: Pairs, cover: float = 2.0) -> None:
        """Let each view of this grade fall that a more complete one, clipped to the view's tile, explains.

        It explains a view that it agrees with, or of whose area it covers the share `cover`. A joined box falls when
        all its views do.
        """
        source, target = np.concatenate(pairs), np.concatenate(pairs[::-1])
        owner = self.owner.take(source)
        some = np.flatnonzero((owner >= 0) & (self.grade.take(owner) == grade) & (self.owner.take(target) >= 0))
        source, target, owner = source.take(some), target.take(some), self.owner.take(target.take(some))
        tiles = self.views.tiles
        apart = (tiles.take(source) != tiles.take(target)) | self.cut.take(target)  # else suppression settles it
        some = np.flatnonzero((self.grade.take(owner) > grade) & apart)
        source, owner = source.take(some), owner.take(some)
        seen = self.windows.take(source, axis=0)
        a, b = geometry.clip(self.views.boxes.take(source, axis=0), seen), geometry.clip(self.boxes[owner], seen)
        agrees = _agreement(a, b, self.sides.take(source, axis=0)) >= AGREEMENT
        shared = geometry.intersection(a, b)
        hit = np.flatnonzero(agrees | ((shared > 0) & (shared >= cover * geometry.area(a))))
        source, owner = source.take(hit), owner.take(hit)
        left = self.owner >= 0
        left[source] = False
        stays = np.zeros(len(left), bool)
        stays[self.owner[left]] = True  # some view of it is not explained
        falling = np.flatnonzero(~stays[self.owner.take(source)])
        source, owner = source.take(falling), owner.take(falling)
        self._pass_on(self.owner[source], owner, self._rank(owner))
        self.owner[source] = -1

    def _rank(self, rows: np.ndarray) -> np.ndarray:
        """Return how strong each row is among all of `rows`, 0 the strongest; of equal views the whole one is."""
        score, *rest = ranking(self.boxes, self.scores, self.views.tiles)
        return ranks((score, self.cut, *rest), rows)

    def _pass_on(self, source: np.ndarray, target: np.ndarray, rank: np.ndarray) -> None:
        """Raise the strongest of each source's targets to the source's score."""
        best = _first(source, rank)
        np.maximum.at(self.scores, target[best], self.scores[source[best]])


def _common(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return what windows a[k] and b[k] both cover (N, 4)."""
    return np.where(_SIGNS > 0, np.maximum(a, b), np.minimum(a, b))


def _agreement(a: np.ndarray, b: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """Return the IoU of blurred boxes (N,); 0 where one of them does not reach a border at which the other is cut."""
    astray = ((np.abs(a - b) > 2 * TOLERANCE) & cut).any(axis=1)
    return np.where(astray, 0.0, geometry.iou(a - _BLUR * _SIGNS, b - _BLUR * _SIGNS))


def _first(group: np.ndarray, rank: np.ndarray, agreement: np.ndarray | None = None) -> np.ndarray:
    """Return a mask (P,) of one row a group: the best agreement, and of these the least rank."""
    key = rank.astype(np.int64) if agreement is None else rank - (agreement << 40)
    least = np.full(int(group.max()) + 1 if len(group) else 0, np.iinfo(np.int64).max)
    np.minimum.at(least, group, key)
    return key == least.take(group)


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
