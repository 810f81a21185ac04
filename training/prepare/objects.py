"""From the names and quadrilaterals of labels to the objects that are taught."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely

from geodetect.errors import ConfigError, LabelError
from training.labels import LabelledImage, LabelSet
from training.labels.dota import CLASSES as DOTA
from training.prepare.settings import PrepareSettings

NOT_CHOSEN, NO_SIZE, OUTSIDE, DIFFICULT = "class not chosen", "no size", "outside the image", "difficult"


@dataclass(frozen=True, eq=False)
class Objects:
    """N objects of one image.

    Attributes:
        boxes: (N, 4) float64, image px; may reach beyond the image.
        shapes: (N,) shapely polygons, convex, image px.
        areas: (N,) float64, px², of the shapes.
        labels: (N,) int32, index into the classes.
        ignored: (N,) bool, neither objects nor background.
    """

    boxes: np.ndarray
    shapes: np.ndarray
    areas: np.ndarray
    labels: np.ndarray
    ignored: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: np.ndarray) -> Objects:
        """Return the rows that a mask or an index array selects."""
        columns = (self.boxes, self.shapes, self.areas, self.labels, self.ignored)
        return Objects(*(column[index] for column in columns))

    @classmethod
    def of(cls, corners: np.ndarray, labels: np.ndarray, ignored: np.ndarray) -> Objects:
        """Return objects from corners (N, 4, 2) in px.

        The shape is the corners' convex hull, whatever their order; where that is a line, the box around it.
        """
        boxes = np.concatenate([corners.min(1), corners.max(1)], 1) if len(corners) else np.zeros((0, 4))
        shapes = np.asarray(shapely.convex_hull(shapely.polygons(corners)), object).reshape(-1)
        flat = shapely.area(shapes) <= 1e-6 * (boxes[:, 2:] - boxes[:, :2]).prod(1)
        shapes[flat] = shapely.box(*boxes[flat].T)
        return cls(boxes, shapes, shapely.area(shapes), labels.astype(np.int32), ignored.astype(bool))


def choose_classes(found: LabelSet, settings: PrepareSettings) -> tuple[tuple[str, ...], Mapping[str, int]]:
    """Return the data set's classes, and the label of each name that the labels have and that is kept.

    The order is that of `settings.classes`, else of the class list that comes with the labels, else DOTA's own with
    other names behind, in alphabetical order.

    Raises:
        ConfigError: a chosen or mapped class is not in the labels.
        LabelError: no class is left.
    """
    seen = sorted({str(name) for image in found.images for name in np.unique(image.names)})
    known = [*found.classes, *(name for name in seen if name not in found.classes)]
    _check_names(settings.class_map, known, "class_map")
    renamed = {name: settings.class_map.get(name, name) for name in known}
    _check_names(settings.classes, list(renamed.values()), "classes")
    if settings.classes:
        classes = settings.classes
    elif found.classes:
        classes = tuple(dict.fromkeys(renamed.values()))
    else:
        rank = {name: i for i, name in enumerate(DOTA)}
        classes = tuple(sorted(set(renamed.values()), key=lambda name: (rank.get(name, len(rank)), name)))
    if not classes:
        raise LabelError(f"{found.images[0].origin} and all other labels have no object; label some first")
    return classes, {name: classes.index(new) for name, new in renamed.items() if new in classes}


def read_objects(
    image: LabelledImage, size: tuple[int, int], labels: Mapping[str, int], difficult: str
) -> tuple[Objects, Counter[str]]:
    """Return an image's objects in px, and how many were dropped by reason.

    Args:
        image: with its labels.
        size: (width, height) of the image, px.
        labels: by the name that the labels have.
        difficult: what becomes of difficult objects: ignore, keep or drop.
    """
    corners = image.corners * (np.array(size) if image.relative else 1.0)
    chosen = np.array([labels.get(str(name), -1) for name in image.names], np.int32)
    low, high = corners.min(1) if len(image) else np.zeros((0, 2)), corners.max(1) if len(image) else np.zeros((0, 2))
    reasons = (
        (NOT_CHOSEN, chosen < 0),
        (NO_SIZE, (high <= low).any(1)),
        (OUTSIDE, (high <= 0).any(1) | (low >= size).any(1)),
        (DIFFICULT, image.ignored & (difficult == "drop")),
    )
    dropped: Counter[str] = Counter()
    kept = np.full(len(image), True)
    for reason, applies in reasons:
        dropped[reason] += int((kept & applies).sum())
        kept &= ~applies
    ignored = image.ignored & (difficult == "ignore")
    return Objects.of(corners[kept], chosen[kept], ignored[kept]), +dropped


def _check_names(names, known: list[str], option: str) -> None:
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"they have {', '.join(known[:20]) or 'none'}"
            raise ConfigError(f"{option} names {name!r}, which is no class of the labels; {hint}")
