"""Footprints: scenes' outlines in longitude and latitude, on a globe that has an antimeridian and poles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

_TURN = 360.0  # degrees


def read_footprints(texts: Sequence[str]) -> np.ndarray:
    """Return WKT polygons as continuous shapes, (N,) of shapely's, longitude and latitude, None where there is none.

    A shape that crosses the antimeridian goes on beyond 180 instead of jumping to -180; its middle lies in -180..180.
    Two corners more than 180 degrees apart are taken for such a jump.
    """
    with np.errstate(invalid="ignore"):  # corners that are no numbers, which GEOS tells of in this way
        read = shapely.from_wkt(np.asarray(texts, object), on_invalid="ignore") if len(texts) else []
    return np.array([*map(_continuous, read), None], object)[:-1]  # the None keeps numpy from looking inside shapes


def within_world(shape: BaseGeometry | None) -> BaseGeometry | None:
    """Return the shape cut at the antimeridian, as map programs want it: all of it in -180..180."""
    if shape is None:
        return None
    west, _, east, _ = shape.bounds
    if west >= -180 and east <= 180:
        return shape
    turns = range(int((west + 180) // _TURN), int((east + 180) // _TURN) + 1)
    shape = shapely.make_valid(shape)
    parts = [
        _moved(shapely.intersection(shape, shapely.box(-180 + turn * _TURN, -90, 180 + turn * _TURN, 90)), -turn)
        for turn in turns
    ]
    polygons = [part for part in shapely.get_parts(shapely.get_parts(parts)) if part.geom_type == "Polygon"]
    return shapely.multipolygons(polygons) if len(polygons) > 1 else polygons[0]


def side_by_side(shapes: np.ndarray) -> np.ndarray:
    """Return shapes moved by whole turns so that all lie in the narrowest strip of longitudes that holds them."""
    if not len(shapes):
        return shapes
    west, _, east, _ = shapely.bounds(shapes).T
    places = np.mod(west, _TURN)
    order = np.argsort(places, kind="stable")
    ends = np.maximum.accumulate((places + (east - west))[order])
    before = np.maximum(np.concatenate([[-_TURN], ends[:-1]]), ends[-1] - _TURN)  # where what lies west of each ends
    start = places[order][np.argmax(places[order] - before)]
    turns = (start + np.mod(west - start, _TURN) - west) / _TURN
    middle = float(np.median((west + east) / 2 + turns * _TURN))
    turns -= np.floor((middle + 180) / _TURN)  # most of them in -180..180
    moved = [_moved(shape, turn) for shape, turn in zip(shapes, np.rint(turns), strict=True)]
    return np.array([*moved, None], object)[:-1]


def groups(middles: np.ndarray, reach: float) -> np.ndarray:
    """Return a group's number for each of (N, 2) points: points nearer than about `reach` are of one group."""
    cells, member = np.unique(np.floor(middles / reach).astype(np.int64), axis=0, return_inverse=True)
    numbers = {(column, row): number for number, (column, row) in enumerate(cells.tolist())}
    group = np.full(len(cells), -1)
    for first in range(len(cells)):
        reached = [first] if group[first] < 0 else []
        while reached:
            cell = reached.pop()
            group[cell] = first
            column, row = cells[cell].tolist()
            around = [numbers.get((column + x, row + y), -1) for x in (-1, 0, 1) for y in (-1, 0, 1)]
            reached += [other for other in around if other >= 0 and group[other] < 0]
    return group[member.reshape(-1)]


def _continuous(shape: BaseGeometry | None) -> BaseGeometry | None:
    """Return the shape unwound and moved, None where it is no polygon on the globe."""
    if shape is None or shape.is_empty or shape.geom_type not in ("Polygon", "MultiPolygon"):
        return None
    points = shapely.get_coordinates(shape)
    if not (np.isfinite(points).all() and (np.abs(points) <= (2 * _TURN, 90.001)).all()):
        return None
    if shape.geom_type == "Polygon" and np.ptp(points[:, 0]) <= 180 and abs(_middle(shape)) < 180:
        return shape  # as nearly all are
    parts = [_unwound(part) for part in shapely.get_parts(shape)]
    first = _middle(parts[0])
    parts = [_moved(part, np.rint((first - _middle(part)) / _TURN)) for part in parts]
    whole = parts[0] if len(parts) == 1 else shapely.union_all([shapely.make_valid(part) for part in parts])
    return _moved(whole, -np.floor((_middle(whole) + 180) / _TURN))


def _unwound(polygon: BaseGeometry) -> BaseGeometry:
    """Return a polygon without holes, its longitudes continuous; one around a pole reaches up to it."""
    ring = shapely.get_coordinates(shapely.get_exterior_ring(polygon))
    around = np.column_stack([np.unwrap(ring[:, 0], period=_TURN), ring[:, 1]])
    if np.ptp(around[:, 0]) < 1e-9 < np.ptp(ring[:, 0]):  # the whole globe: its two edges are one meridian
        return polygon
    if abs(around[-1, 0] - around[0, 0]) > 180:
        pole = 90.0 if around[:, 1].mean() > 0 else -90.0
        around = np.vstack([around, [around[-1, 0], pole], [around[0, 0], pole], around[0]])
    return shapely.polygons(around)


def _middle(shape: BaseGeometry) -> float:
    west, _, east, _ = shape.bounds
    return (west + east) / 2


def _moved(shape: BaseGeometry, turns: float) -> BaseGeometry:
    return shapely.transform(shape, lambda points: points + np.array([turns * _TURN, 0])) if turns else shape
