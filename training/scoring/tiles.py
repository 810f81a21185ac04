"""Detections on tiles that are named as DOTA's splitter names them, put together to those on whole images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from geodetect.config import SCORE_FLOOR
from geodetect.detections import Detections
from geodetect.merge import merge, nms

_TILE = re.compile(r"(?P<image>.+)__(?P<rate>\d+(\.\d+)?)__(?P<left>\d+)___(?P<top>\d+)")


def merge_tiles(
    files: Sequence[str], sizes: np.ndarray, found: Detections, ious: Sequence[float]
) -> tuple[tuple[str, ...], Detections]:
    """Return the names of whole images and the detections on them, in their px, `tiles` the number of the image.

    A tile is called `<image>__<rate>__<left>___<top>`: its upper left corner lies at (left, top) in the image enlarged
    by rate. A file of another name is an image of its own. Objects that seams cut are settled as in a run on a
    scene, then suppressed class by class.

    Args:
        files: the images' files.
        sizes: (N, 2) width and height of each, px.
        found: detections in px of the files, `tiles` the number of the file.
        ious: suppress above this, one a label.
    """
    groups: dict[str, list[int]] = {}
    corners, rates = np.zeros((len(files), 2)), np.ones(len(files))
    for number, file in enumerate(files):
        name = Path(file).stem
        if (tile := _TILE.fullmatch(name)) is not None and float(tile["rate"]) > 0:
            name, rates[number] = tile["image"], float(tile["rate"])
            corners[number] = int(tile["left"]), int(tile["top"])
        groups.setdefault(name, []).append(number)
    bounds = np.concatenate([corners, corners + sizes], axis=1) / rates[:, None]
    boxes = (found.boxes + np.tile(corners, 2)[found.tiles]) / rates[found.tiles, None]
    parts = []
    for image, numbers in enumerate(groups.values()):
        own = np.isin(found.tiles, numbers)
        places = np.searchsorted(numbers, found.tiles[own])
        finest = rates[numbers].max()  # seams are settled in px of the tiles, which is what their tolerances are in
        views = Detections(boxes[own] * finest, found.scores[own], found.labels[own], places.astype(np.int32))
        merged = _merged(views, bounds[numbers] * finest, np.asarray(ious))
        parts.append(
            Detections(merged.boxes / finest, merged.scores, merged.labels, np.full(len(merged), image, np.int32))
        )
    return tuple(groups), Detections.concatenate(parts)


def _merged(views: Detections, bounds: np.ndarray, ious: np.ndarray) -> Detections:
    """Return one detection an object; weak views can only be suppressed, so that they move no strong box."""
    whole = np.append(bounds[:, :2].min(axis=0), bounds[:, 2:].max(axis=0))
    strong = views.scores >= SCORE_FLOOR
    every = Detections.concatenate([merge(views[strong], bounds, whole, ious), views[~strong]])
    return every[nms(every.boxes, every.scores, every.labels, ious)]
