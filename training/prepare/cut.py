"""What of an image's objects lies in a tile."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import shapely

from geodetect.window import Window
from training.prepare.objects import Objects

CUT, SMALL, FLAGGED = "cut by a border", "smaller than the least size", "difficult or crowd"
_SLACK = 1e-9  # a box of 10 px with 7 inside is 70 % whatever the rounding


@dataclass(frozen=True, eq=False)
class Cut:
    """M objects in a tile.

    Attributes:
        boxes: (M, 4) float64, tile px, within the tile.
        labels: (M,) int32.
        ignored: (M,) bool.
        index: (M,) which of the image's objects each is.
        reasons: why boxes are ignored, with their number.
    """

    boxes: np.ndarray
    labels: np.ndarray
    ignored: np.ndarray
    index: np.ndarray
    reasons: Counter[str]


@dataclass(frozen=True)
class Rules:
    """When an object in a tile is still an object."""

    min_inside: float = 0.7  # share of the area of the object's polygon that lies in the tile, 0..1
    min_size: float = 2.0  # tile px, the shorter side


def cut(objects: Objects, window: Window, reduction: int, rules: Rules, near: np.ndarray | None = None) -> Cut:
    """Return the objects in a tile.

    An object of which enough lies in the tile stays an object, with the box around the part that is seen; one with
    less, or too small a one, becomes ignored. A part of less than 1 px is left out.

    Args:
        objects: of the image, image px.
        window: the tile, in px of the reduced image.
        reduction: image px a tile px.
        rules: what is enough.
        near: indices of the objects that may meet the tile; None: all.
    """
    bounds = np.array(window.bounds, np.float64) * reduction
    near = np.arange(len(objects)) if near is None else near
    seen = objects.boxes[near]
    meets = (seen[:, :2] < bounds[2:]).all(1) & (seen[:, 2:] > bounds[:2]).all(1)
    near, seen = near[meets], seen[meets]
    whole = (seen[:, :2] >= bounds[:2]).all(1) & (seen[:, 2:] <= bounds[2:]).all(1)
    inside = np.ones(len(near))
    parts = shapely.clip_by_rect(objects.shapes[near[~whole]], *bounds)
    inside[~whole] = shapely.area(parts) / objects.areas[near[~whole]]
    seen[~whole] = shapely.bounds(parts).reshape(-1, 4)  # NaN where only the box around the object reaches the tile
    seen = seen / reduction - np.array([window.col, window.row] * 2)
    sides = (seen[:, 2:] - seen[:, :2]).min(1)
    there = whole | (sides >= 1)
    near, seen, inside, sides = near[there], seen[there], inside[there], sides[there]
    flagged = objects.ignored[near]
    is_cut = ~flagged & (inside < rules.min_inside - _SLACK)
    small = ~flagged & ~is_cut & (sides < rules.min_size)
    reasons = Counter({FLAGGED: int(flagged.sum()), CUT: int(is_cut.sum()), SMALL: int(small.sum())})
    return Cut(seen, objects.labels[near], flagged | is_cut | small, near, +reasons)
