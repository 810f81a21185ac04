"""Scenes seen from one frame: where their detections lie in it, and which of these a scene's border cuts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from affine import Affine

from geodetect.grid import GeoGrid
from geodetect.seams import FARTHEST, TOLERANCE, cut_sides

if TYPE_CHECKING:
    from rasterio.crs import CRS

_STEPS = 16  # points a side of an outline: a straight border is a curve in another CRS
_STRAIGHT = 1.0  # px: an outline that is that near its bounds is one of the frame's windows
_NOWHERE = np.array([-np.inf, -np.inf, np.inf, np.inf])


@dataclass(frozen=True, slots=True)
class Outline:
    """The pixels of a scene on the map, as far as a result tells of them.

    Attributes:
        transform: px of the size that the network saw to map units.
        width, height: px.
        crs: of the map units, or None.
    """

    transform: Affine
    width: float
    height: float
    crs: CRS | None

    @classmethod
    def of(cls, run: Mapping[str, Any], crs: CRS | None) -> Outline | None:
        """Return the outline that a row of `geodetect_runs` tells of, None where it tells of none.

        Args:
            run: with `footprint`, WKT from `GeoGrid.footprint`, and `gsd`, m/px.
            crs: of the footprint.
        """
        text, gsd = run.get("footprint"), run.get("gsd")
        if not isinstance(text, str) or len(text) > 2000 or not isinstance(gsd, float | int) or not 0 < gsd < math.inf:
            return None
        shape = shapely.from_wkt(text, on_invalid="ignore")
        ring = shapely.get_coordinates(shape)
        if shapely.get_type_id(shape) != shapely.GeometryType.POLYGON or len(ring) != 5 or not np.isfinite(ring).all():
            return None
        (x, y), across, down = ring[0], ring[1] - ring[0], ring[3] - ring[0]
        whole = Affine(across[0], down[0], x, across[1], down[1], y)
        metres = GeoGrid(1, 1, whole, crs).gsd if whole.determinant else None  # of the scene's sides
        if metres is None or not 1 <= min(metres) / gsd <= max(metres) / gsd < 1e9:
            return None
        width, height = metres[0] / gsd, metres[1] / gsd
        across, down = across / width, down / height
        return cls(Affine(across[0], down[0], x, across[1], down[1], y), width, height, crs)


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """N polygons and the outlines of R scenes in one frame.

    Attributes:
        frame: the pixel grid of one of the scenes, over all polygons; without outlines one of map units.
        boxes: (N, 4) the polygons in frame px, upright.
        windows: (N, 4) how far the polygon's scene reaches, frame px. One that lies askew ends only where its border
            cuts the polygon, at the place where it does; no scene ends nowhere.
        scenes: (N,) the scene that a polygon was seen in and does not reach out of, R for none.
        sides: (N, 4) which sides of the box its scene's border cuts, left, top, right, bottom.
    """

    frame: GeoGrid
    boxes: np.ndarray
    windows: np.ndarray
    scenes: np.ndarray
    sides: np.ndarray


def look(geometry: np.ndarray, scenes: np.ndarray, outlines: Sequence[Outline | None], crs: CRS | None) -> Sight:
    """Return polygons and outlines in one frame: that of the scene with the most polygons.

    Args:
        geometry: (N,) polygons, map units.
        scenes: (N,) index into `outlines`, -1 for none.
        outlines: of R scenes, None where it is not known.
        crs: of the geometry.
    """
    known = np.array([outline is not None for outline in outlines], bool)
    scenes = np.where((scenes >= 0) & np.append(known, False)[scenes], scenes, len(outlines))
    xy, counts = shapely.get_coordinates(geometry), shapely.get_num_coordinates(geometry)
    grids = _Grids(outlines, crs, (xy[:, 0].min() + xy[:, 0].max()) / 2 if len(xy) else 0.0)
    frame = _frame(grids, scenes, xy)
    boxes = _upright(np.stack(frame.to_scene(*xy.T), axis=1), counts)
    own = _bounds(grids.to_pixels(xy, np.repeat(scenes, counts)), counts)  # NaN without an outline
    reach = grids.bounds + np.array([-FARTHEST, -FARTHEST, FARTHEST, FARTHEST])
    inside = ((own - reach[scenes]) * [1, 1, -1, -1] >= 0).all(axis=1)
    scenes = np.where(inside, scenes, len(outlines))  # what reaches out was joined of several scenes' views
    lines = grids.lines(frame)
    borders = np.where(np.isfinite(grids.bounds), grids.bounds, 0)
    sides = cut_sides(own, np.where(inside, scenes, -1), borders, _NOWHERE)
    sides &= _continued(grids, frame, lines, own, scenes, sides)
    rows, side = np.nonzero(sides)
    to = grids.turns(frame)[scenes[rows], side]
    places = _at_border(grids, frame, own, scenes, (rows, side))[np.arange(len(rows)), to % 2]
    windows, turned = _windows(lines)[scenes], np.zeros_like(sides)
    turned[rows, to] = True
    windows[rows, to] = np.where(np.isfinite(windows[rows, to]), windows[rows, to], places)
    return Sight(frame, boxes, windows, scenes, turned)


class _Grids:
    """The pixel grids of R scenes and of no scene, as columns.

    Longitudes may count on beyond 180: on the map they lie around `middle`, in a scene's CRS around its own.
    """

    def __init__(self, outlines: Sequence[Outline | None], crs: CRS | None, middle: float) -> None:
        self.crs, self.middle = crs, middle
        count = len(outlines) + 1
        self.forth, self.back = np.full((count, 6), np.nan), np.full((count, 6), np.nan)
        self.bounds, self.middles = np.tile(_NOWHERE, (count, 1)), np.full(count, np.nan)
        self.groups: dict[str, tuple[CRS | None, list[int]]] = {}  # scenes by CRS
        for number, outline in enumerate(outlines):
            if outline is None:
                continue
            self.forth[number], self.back[number] = outline.transform[:6], (~outline.transform)[:6]
            self.bounds[number] = 0, 0, outline.width, outline.height
            self.middles[number] = (outline.transform @ (outline.width / 2, outline.height / 2))[0]
            name = "" if outline.crs is None else outline.crs.to_wkt()
            self.groups.setdefault(name, (outline.crs, []))[1].append(number)

    def to_pixels(self, xy: np.ndarray, scenes: np.ndarray) -> np.ndarray:
        """Return the px (M, 2), each of its own scene, of points on the map."""
        result = np.full(xy.shape, np.nan)
        for crs, some in self._by_crs(scenes):
            there = one_turn(reproject(xy[some], self.crs, crs), crs, self.middles[scenes[some]])
            result[some] = _apply(self.back[scenes[some]], there)
        return result

    def to_map(self, pixels: np.ndarray, scenes: np.ndarray) -> np.ndarray:
        """Return the points on the map (M, 2) of px, each of its own scene."""
        result = np.full(pixels.shape, np.nan)
        for crs, some in self._by_crs(scenes):
            result[some] = reproject(_apply(self.forth[scenes[some]], pixels[some]), crs, self.crs)
        return one_turn(result, self.crs, self.middle)

    def lines(self, frame: GeoGrid) -> np.ndarray:
        """Return the outlines (R + 1, 4 * _STEPS, 2), frame px, NaN where there is none."""
        along = np.linspace(0, 1, _STEPS, endpoint=False)
        zero, one = np.zeros(_STEPS), np.ones(_STEPS)
        shares = np.concatenate([
            np.stack([along, zero], 1), np.stack([one, along], 1),
            np.stack([1 - along, one], 1), np.stack([zero, 1 - along], 1),
        ])  # fmt: skip
        sizes = np.where(np.isfinite(self.bounds[:, 2:]), self.bounds[:, 2:], np.nan)
        pixels = (shares[None] * sizes[:, None]).reshape(-1, 2)
        points = self.to_map(pixels, np.repeat(np.arange(len(sizes)), len(shares)))
        return np.stack(frame.to_scene(*points.T), axis=1).reshape(len(sizes), len(shares), 2)

    def turns(self, frame: GeoGrid) -> np.ndarray:
        """Return which side of the frame each side of a scene looks to (R + 1, 4)."""
        numbers = np.arange(len(self.bounds))
        middle = np.where(np.isfinite(self.bounds[:, 2:]), self.bounds[:, 2:], np.nan) / 2
        start, right, below = (
            np.stack(frame.to_scene(*self.to_map(middle + step, numbers).T), axis=1)
            for step in ([0, 0], [1, 0], [0, 1])
        )
        across, down = np.nan_to_num(right - start), np.nan_to_num(below - start)
        swapped = np.abs(across[:, 0] * down[:, 1]) < np.abs(across[:, 1] * down[:, 0])
        x = np.where(swapped, 1 + 2 * (across[:, 1] > 0), 2 * (across[:, 0] > 0))  # where the right side looks to
        y = np.where(swapped, 2 * (down[:, 0] > 0), 1 + 2 * (down[:, 1] > 0))
        return np.stack([(x + 2) % 4, (y + 2) % 4, x, y], axis=1)

    def _by_crs(self, scenes: np.ndarray):
        for crs, members in self.groups.values():
            some = np.flatnonzero(np.isin(scenes, members))
            if len(some):
                yield crs, some


def reproject(xy: np.ndarray, source: CRS | None, target: CRS | None) -> np.ndarray:
    """Return points (M, 2) in another CRS, NaN where they have no place in it."""
    if source is None or target is None or source == target:
        return xy
    import pyproj

    try:
        to_target = pyproj.Transformer.from_crs(source.to_wkt(), target.to_wkt(), always_xy=True)
        moved = np.stack(to_target.transform(xy[:, 0], xy[:, 1]), axis=1)
    except pyproj.exceptions.ProjError:
        return np.full(xy.shape, np.nan)
    return np.where(np.isfinite(moved), moved, np.nan)


def one_turn(xy: np.ndarray, crs: CRS | None, middle: float | np.ndarray) -> np.ndarray:
    """Return points (M, 2), in a geographic CRS with longitudes within half a turn of the middle, one or one each."""
    if crs is None or not crs.is_geographic:
        return xy
    return np.stack([xy[:, 0] - 360 * np.rint((xy[:, 0] - middle) / 360), xy[:, 1]], axis=1)


def _apply(rows: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Return points (M, 2) under affine maps, one each (M, 6)."""
    a, b, c, d, e, f = rows.T
    return np.stack([a * xy[:, 0] + b * xy[:, 1] + c, d * xy[:, 0] + e * xy[:, 1] + f], axis=1)


def _frame(grids: _Grids, scenes: np.ndarray, xy: np.ndarray) -> GeoGrid:
    """Return the pixel grid of the scene that saw most, of those in the polygons' CRS if any is, over all points."""
    counts = np.bincount(scenes, minlength=len(grids.bounds))
    at_home = [number for crs, members in grids.groups.values() if crs == grids.crs for number in members]
    known = at_home or [number for _, members in grids.groups.values() for number in members]
    transform = Affine.identity()
    if known:
        best = max(known, key=lambda number: (counts[number], -number))
        corner, right, below = grids.to_map(np.array([[0.0, 0], [1, 0], [0, 1]]), np.full(3, best))
        transform = Affine(*np.stack([right - corner, below - corner, corner], axis=1).reshape(-1))
    grid = GeoGrid(1, 1, transform, grids.crs)
    pixels = np.stack(grid.to_scene(*xy.T), axis=1) if len(xy) else np.zeros((1, 2))
    low, high = np.floor(pixels.min(axis=0)), np.ceil(pixels.max(axis=0))
    width, height = (int(side) for side in np.clip(high - low, 1, 1 << 50))
    (a, b, _, d, e, _), (x, y) = transform[:6], grid.to_map(low[0], low[1])
    return GeoGrid(width, height, Affine(a, b, float(x), d, e, float(y)), grids.crs)


def _bounds(xy: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the bounds (N, 4) of polygons of `counts` vertices each."""
    first = np.cumsum(counts) - counts
    if not len(first):
        return np.empty((0, 4))
    return np.concatenate([np.minimum.reduceat(xy, first), np.maximum.reduceat(xy, first)], axis=1)


def _upright(xy: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the boxes (N, 4) of polygons; one of four corners that lies askew keeps its centre and sides.

    The views that two scenes turned against each other have of one object are more alike so than by their bounds.
    """
    boxes = _bounds(xy, counts)
    plain = np.flatnonzero(counts == 5)
    first = (np.cumsum(counts) - counts)[plain]
    start, across, down = xy[first], xy[first + 1] - xy[first], xy[first + 2] - xy[first + 1]
    askew = np.minimum(np.abs(across).min(axis=1), np.abs(down).min(axis=1)) > 1e-6
    centre = start + (across + down) / 2
    swapped = np.abs(across[:, 0] * down[:, 1]) < np.abs(across[:, 1] * down[:, 0])
    lengths = np.stack([np.hypot(*across.T), np.hypot(*down.T)], axis=1)
    half = np.where(swapped[:, None], lengths[:, ::-1], lengths) / 2
    boxes[plain[askew]] = np.concatenate([centre - half, centre + half], axis=1)[askew]
    return boxes


def _windows(lines: np.ndarray) -> np.ndarray:
    """Return the bounds (R + 1, 4) of outlines that lie upright in the frame, boundless ones for the others."""
    low, high = lines.min(axis=1), lines.max(axis=1)
    away = np.minimum(np.abs(lines - low[:, None]), np.abs(lines - high[:, None])).min(axis=2)
    straight = (away <= _STRAIGHT).all(axis=1)  # NaN is not
    return np.where(straight[:, None], np.concatenate([low, high], axis=1), _NOWHERE)


def _continued(
    grids: _Grids, frame: GeoGrid, lines: np.ndarray, boxes: np.ndarray, scenes: np.ndarray, sides: np.ndarray
) -> np.ndarray:
    """Return at which of the sides in question (N, 4) another scene shows what is beyond the border."""
    result = np.zeros_like(sides)
    rows, side = np.nonzero(sides)
    there = np.flatnonzero(np.isfinite(lines).all(axis=(1, 2)))
    if not len(rows) or len(there) < 2:
        return result
    places = _at_border(grids, frame, boxes, scenes, (rows, side), TOLERANCE)
    tree = shapely.STRtree(shapely.polygons(lines[there]))
    asked, found = tree.query(shapely.points(places), predicate="intersects")
    other = there[found] != scenes[rows[asked]]
    result[rows[asked[other]], side[asked[other]]] = True
    return result


def _at_border(
    grids: _Grids, frame: GeoGrid, boxes: np.ndarray, scenes: np.ndarray, cut: tuple[np.ndarray, np.ndarray],
    beyond: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """Return the points (M, 2), frame px, where the middles of boxes (N, 4), own px, come to their scenes' borders.

    Args:
        grids, frame: of all scenes.
        boxes, scenes: (N, 4) in the px of each one's own scene, (N,).
        cut: row and side (M,) of each point.
        beyond: px that it lies outside the border.
    """
    rows, side = cut
    points = (boxes[rows, :2] + boxes[rows, 2:]) / 2
    borders = grids.bounds[scenes[rows], side] + np.where(side < 2, -beyond, beyond)
    points[np.arange(len(rows)), side % 2] = borders
    return np.stack(frame.to_scene(*grids.to_map(points, scenes[rows]).T), axis=1)
