"""Objects that are labelled twice."""

from __future__ import annotations

import dataclasses

import numpy as np
import shapely

from training.labels.labelled import LabelledImage, LabelSet

DOUBLES = ("keep", "drop")
MOST_IOU = 0.5  # of two objects of one class; above it no model that suppresses doubles can find both


def find_doubles(image: LabelledImage) -> np.ndarray:
    """Return which objects (N,) lie on an earlier one of their class that is no double itself.

    Shapes are the corners' convex hulls, whose IoU is above `MOST_IOU`. Ignored objects neither are doubles nor make
    others so.
    """
    doubles = np.zeros(len(image), bool)
    shapes = np.asarray(shapely.convex_hull(shapely.polygons(image.corners)), object).reshape(-1)
    later, earlier = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    alike = (earlier < later) & (image.names[earlier] == image.names[later])
    alike &= ~(image.ignored[earlier] | image.ignored[later])
    later, earlier = later[alike], earlier[alike]
    common = shapely.area(shapely.intersection(shapes[later], shapes[earlier]))
    whole = shapely.area(shapes[later]) + shapely.area(shapes[earlier]) - common
    near = common > MOST_IOU * whole
    for one, other in sorted(zip(later[near].tolist(), earlier[near].tolist(), strict=True)):
        doubles[one] |= not doubles[other]
    return doubles


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
