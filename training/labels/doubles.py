"""Objects that are labelled twice."""

from __future__ import annotations

import dataclasses

import numpy as np
import shapely

from geodetect.errors import LabelError
from training.labels.labelled import LabelledImage, LabelSet

DOUBLES = ("keep", "drop")
_MOST_PAIRS = 10_000_000  # that meet, in one image
MOST_IOU = 0.5  # of two objects of one class; above it no model that suppresses doubles can find both


def find_doubles(image: LabelledImage) -> np.ndarray:
    """Return which objects (N,) lie on an earlier one of their class that is no double itself.

    Shapes are the corners' convex hulls, whose IoU is above `MOST_IOU`. Ignored objects neither are doubles nor make
    others so.
    """
    doubles = np.zeros(len(image), bool)
    shapes = np.asarray(shapely.convex_hull(shapely.polygons(image.corners)), object).reshape(-1)
    later, earlier = _pairs(image, shapes)
    common = shapely.area(shapely.intersection(shapes[later], shapes[earlier]))
    whole = shapely.area(shapes[later]) + shapely.area(shapes[earlier]) - common
    near = common > MOST_IOU * whole
    for one, other in sorted(zip(later[near].tolist(), earlier[near].tolist(), strict=True)):
        doubles[one] |= not doubles[other]
    return doubles


def _pairs(image: LabelledImage, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the objects whose bounds meet those of an earlier one of their class, and that one; no ignored ones.

    In steps, since of N objects in one place N² pairs meet.

    Raises:
        LabelError: more pairs meet than any image could have.
    """
    tree, step, count = shapely.STRtree(shapes), max(1, _MOST_PAIRS // max(1, len(shapes))), 0
    found = [np.empty((2, 0), np.int64)]
    for first in range(0, len(shapes), step):
        later, earlier = tree.query(shapes[first : first + step])
        if (count := count + len(later)) > _MOST_PAIRS:
            raise LabelError(
                f"{image.origin}: more than {_MOST_PAIRS:,} pairs of its {len(shapes):,} objects overlap in "
                f"{image.name}; its coordinates are wrong"
            )
        later = later + first
        alike = (earlier < later) & (image.names[earlier] == image.names[later])
        alike &= ~(image.ignored[earlier] | image.ignored[later])
        found.append(np.stack([later[alike], earlier[alike]]))
    later, earlier = np.concatenate(found, axis=1)
    return later, earlier


def without_doubles(found: LabelSet, doubles: str) -> LabelSet:
    """Return labels that count an object labelled twice once by "drop", as they are by "keep"; a note tells of them."""
    images, count, affected = [], 0, 0
    for image in found.images:
        twice = find_doubles(image)
        count, affected = count + int(twice.sum()), affected + bool(twice.any())
        columns = {name: getattr(image, name)[~twice] for name in ("corners", "names", "ignored", "lines")}
        images.append(dataclasses.replace(image, **columns) if twice.any() else image)
    if not count:
        return found
    where = f"in {affected:,} image{'s' if affected > 1 else ''}"
    note = f"{count:,} object{'s' if count > 1 else ''} {where} on another of the same class (IoU above {MOST_IOU:g})"
    if doubles == "drop":
        return dataclasses.replace(found, images=tuple(images), notes=(*found.notes, f"{note}: left out"))
    note += ": labelled twice? --doubles drop counts such once"
    return dataclasses.replace(found, notes=(*found.notes, note))
