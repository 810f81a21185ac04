"""Maps of footprints: one of all, and one of each place where the first is too small to show them."""

from __future__ import annotations

import string
from dataclasses import dataclass

import numpy as np
import shapely

from geodetect.batch.report.footprints import groups, side_by_side

SIZE, PLACE_SIZE = (1000.0, 520.0), (480.0, 340.0)  # widest and highest, of the page's px
PLACES = 9  # maps of places at most
_DOT = 5.0  # px: smaller footprints are drawn as dots of this size
_SEEN = 14.0  # px: where most footprints are smaller, places get maps of their own
_GAIN = 2.5  # a place gets a map where that is so many times larger than on the first one
_STEPS = (60, 30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)  # degrees
_DEGREE = 111.32  # km, along a meridian


@dataclass(frozen=True)
class Mark:
    """A footprint on a map: SVG path, which scene it is, whether it is only a dot, and how many dots it hides."""

    path: str
    index: int
    is_dot: bool
    hidden: int = 0


@dataclass(frozen=True)
class Line:
    """A meridian or parallel with its label: where it cuts the map's edge, px."""

    at: float
    label: str


@dataclass(frozen=True)
class Letter:
    """The name of a place's map, beside the spot where that lies, px."""

    name: str
    x: float
    y: float
    spot_x: float
    spot_y: float


@dataclass(frozen=True)
class Sheet:
    """One map, ready to be drawn.

    Attributes:
        name: its letter, "" for the map of all.
        centre: of it, such as "51.95° N, 4.05° E".
        width, height: px.
        marks: footprints.
        meridians, parallels: the graticule.
        bar: the scale bar's length, px.
        bar_label: what that is on the ground.
        letters: of the maps of places.
    """

    name: str
    centre: str
    width: float
    height: float
    marks: list[Mark]
    meridians: list[Line]
    parallels: list[Line]
    bar: float
    bar_label: str
    letters: tuple[Letter, ...] = ()

    @property
    def count(self) -> int:
        """How many scenes the map shows."""
        return len(self.marks) + sum(mark.hidden for mark in self.marks)


@dataclass(frozen=True)
class View:
    """What part of the globe a map shows: degrees become px, true to scale at the middle latitude."""

    west: float
    north: float
    scale: float  # px a degree of latitude
    narrowing: float  # what a degree of longitude is of one of latitude
    width: float
    height: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) longitude and latitude -> px from the map's upper left."""
        return (points - (self.west, self.north)) * (self.scale * self.narrowing, -self.scale)


def make_atlas(shapes: np.ndarray, weights: np.ndarray, heights: np.ndarray) -> list[Sheet]:
    """Return the map of all footprints, and where they are too small on it those of the places with most weight.

    Args:
        shapes: (N,) footprints, see `read_footprints`; None where a scene has none.
        weights: (N,) how much a scene counts.
        heights: (N,) which scenes lie above others.
    """
    order = np.argsort(heights, kind="stable")
    known = order[~shapely.is_missing(shapes[order])]  # and whatever is taken of it keeps that order
    if not len(known):
        return []
    placed = np.empty(len(shapes), object)
    placed[known] = side_by_side(shapes[known])
    view = _view(shapely.total_bounds(placed[known]), *SIZE)
    places = sorted(_places(view, placed, known), key=lambda members: -weights[members].sum())[:PLACES]
    places.sort(key=lambda members: float(_middles(placed[members])[:, 0].mean()))  # from west to east
    spots = np.array([view.project(_middles(placed[members])).mean(axis=0) for members in places])
    letters = _letters(spots, view.width, view.height)
    sheets = [_sheet(view, _marks(view, placed, known, weights), letters=letters)]
    for letter, members in zip(letters, places, strict=True):
        there = _view(shapely.total_bounds(placed[members]), *PLACE_SIZE)
        sheets.append(_sheet(there, _marks(there, placed, members, weights), letter.name))
    return sheets


def _places(view: View, placed: np.ndarray, members: np.ndarray) -> list[np.ndarray]:
    """Return the places that a view shows too small, each as its scenes; none where its footprints can be seen."""
    west, south, east, north = shapely.bounds(placed[members]).T
    if np.median(np.maximum((east - west) * view.narrowing, north - south)) * view.scale >= _SEEN:
        return []
    group = groups(view.project(_middles(placed[members])), reach=view.width / 25)
    places = []
    for number in np.unique(group):
        some = members[group == number]
        there = _view(shapely.total_bounds(placed[some]), *PLACE_SIZE)
        if there.scale >= _GAIN * view.scale:
            places += _places(there, placed, some) or [some]
    return places


def _letters(spots: np.ndarray, width: float, height: float) -> tuple[Letter, ...]:
    """Return a letter beside each spot, where it can be clear of the others, of their spots and of the map's edges."""
    letters: list[Letter] = []
    taken = [tuple(spot) for spot in spots.tolist()]
    for name, (x, y) in zip(string.ascii_uppercase, spots.tolist(), strict=False):
        tries = [
            (x + reach * np.cos(angle), y - reach * np.sin(angle))
            for reach in (34, 56, 80, 110)
            for angle in np.radians([60, 120, 20, 160, 90, -30, -150, -90])
        ]
        inside = [(a, b) for a, b in tries if 60 < a < width - 20 and 20 < b < height - 60] or tries
        best = max(inside, key=lambda at: min(32.0, *(float(np.hypot(at[0] - a, at[1] - b)) for a, b in taken)))
        taken.append(best)
        letters.append(Letter(name, *(round(float(value), 1) for value in (*best, x, y))))
    return tuple(letters)


def _view(bounds: np.ndarray, width: float, highest: float) -> View:
    west, south, east, north = bounds
    middle = (south + north) / 2
    narrowing = max(0.05, float(np.cos(np.radians(middle))))
    least = 0.004  # degrees, about 400 m: one small scene is not blown up to fill the map
    across, along = max((east - west) * narrowing, least), max(north - south, least)
    scale = min(0.84 * width / across, 0.8 * highest / along)
    height = min(highest, max(0.7 * highest, along * scale / 0.8))
    left = (west + east) / 2 - width / 2 / (scale * narrowing)
    return View(left, middle + height / 2 / scale, scale, narrowing, width, round(height, 1))


def _sheet(view: View, marks: list[Mark], name: str = "", letters: tuple[Letter, ...] = ()) -> Sheet:
    longitude = view.west + view.width / 2 / (view.scale * view.narrowing)
    latitude = view.north - view.height / 2 / view.scale
    step = next((step for step in reversed(_STEPS) if step * view.scale >= 60), _STEPS[0])
    places = max(2, -int(np.floor(np.log10(step))))
    bar, bar_label = _bar(view)
    return Sheet(
        name=name,
        centre=f"{_latitude(latitude, places)}, {_longitude(longitude, places)}",
        width=view.width,
        height=view.height,
        marks=marks,
        meridians=_lines(view, horizontal=True),
        parallels=_lines(view, horizontal=False),
        bar=bar,
        bar_label=bar_label,
        letters=letters,
    )


def _marks(view: View, placed: np.ndarray, members: np.ndarray, weights: np.ndarray) -> list[Mark]:
    shapes = shapely.simplify(shapely.transform(placed[members], view.project), 0.3)
    left, top, right, bottom = shapely.bounds(shapes).T
    middles = np.column_stack([(left + right) / 2, (top + bottom) / 2]).round(1)
    dots = np.flatnonzero(np.maximum(right - left, bottom - top) < _DOT)
    # Of dots that lie on one another the one with most weight is seen: thousands of them stay a few.
    cells, cell = np.unique(np.floor(middles[dots] / _DOT * 2), axis=0, return_inverse=True)
    order, cell = np.argsort(weights[members[dots]], kind="stable"), cell.reshape(-1)
    best = np.empty(len(cells), np.int64)
    best[cell[order]] = dots[order]  # the last one assigned stays
    hidden = dict(zip(best.tolist(), (np.bincount(cell, minlength=len(cells)) - 1).tolist(), strict=True))
    marks = [
        Mark("M{:g} {:g}h0".format(*middles[place].tolist()), int(members[place]), True, hidden[place])
        for place in sorted(hidden)
    ]
    seen = np.setdiff1d(np.arange(len(members)), dots)
    return [Mark(_path(shapes[place]), int(members[place]), False) for place in seen] + marks


def _path(shape: shapely.Geometry) -> str:
    rings = [shapely.get_coordinates(shapely.get_exterior_ring(part))[:-1] for part in shapely.get_parts(shape)]
    return "".join("M" + " ".join(f"{x:g} {y:g}" for x, y in ring.round(1).tolist()) + "z" for ring in rings)


def _lines(view: View, horizontal: bool) -> list[Line]:
    """Return meridians or parallels at round degrees, far enough apart for their labels."""
    scale, length = (view.scale * view.narrowing, view.width) if horizontal else (view.scale, view.height)
    apart = 130 if horizontal else 80  # px
    step = next((step for step in reversed(_STEPS) if step * scale >= apart), _STEPS[0])
    places = max(0, -int(np.floor(np.log10(step))))
    low = view.west if horizontal else max(-90.0, view.north - length / scale)
    high = view.west + length / scale if horizontal else min(90.0, view.north)
    lines = []
    for number in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1):
        degrees = number * step
        at = (degrees - view.west) * scale if horizontal else (view.north - degrees) * scale
        label = _longitude(degrees, places) if horizontal else _latitude(degrees, places)
        if 30 <= at <= length - 30:  # a label at the very edge would be cut
            lines.append(Line(round(at, 1), label))
    return lines


def _bar(view: View) -> tuple[float, str]:
    """Return the longest round length under a fifth of the map's width: px and label."""
    most = view.width / 5 / view.scale * _DEGREE  # km
    power = 10.0 ** np.floor(np.log10(most))
    km = float(max(digit for digit in (1, 2, 5) if digit * power <= most) * power)
    return round(km / _DEGREE * view.scale, 1), f"{km:,.0f} km" if km >= 1 else f"{1000 * km:,.0f} m"


def _middles(shapes: np.ndarray) -> np.ndarray:
    west, south, east, north = shapely.bounds(shapes).T
    return np.column_stack([(west + east) / 2, (south + north) / 2])


def _longitude(degrees: float, places: int) -> str:
    degrees = round((degrees + 180) % 360 - 180, places)
    if abs(degrees) in (0, 180):
        return f"{abs(degrees):.0f}°"
    return f"{abs(degrees):.{places}f}° {'E' if degrees > 0 else 'W'}"


def _latitude(degrees: float, places: int) -> str:
    degrees = round(degrees, places)
    return f"{abs(degrees):.{places}f}° {'N' if degrees > 0 else 'S'}" if degrees else "0°"
