"""The model zoo's own evaluation: how it resizes, decodes, and suppresses.

Written to reproduce its published figures from its checkpoints; geodetect's way differs in the resizing filter, in
boxes at the image's border, in the IoU of its suppression (the model zoo counts a pixel more on each side) and, for
YOLOv4, in the measure that suppression compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from geodetect.card import Heads, Input
from geodetect.decode import predictions
from geodetect.detections import Detections
from geodetect.letterbox import Letterbox
from training.data.images import read_image


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the model zoo does with one family's predictions."""

    iou: float  # suppress above this
    distance: bool = False  # compare DIoU (Zheng et al. 2020) instead of IoU
    least_class: float | None = None  # every class above this probability; None: the most probable class alone


RECIPES = {
    "yolov3": Recipe(0.5),
    "yolov4": Recipe(0.6, distance=True),  # fixed in the model zoo's code, whatever its nms_thresh says
    "yolov3-tiny": Recipe(0.5, least_class=0.15),
}


def read_stretched(path: Path, takes: Input) -> tuple[np.ndarray, Letterbox]:
    """Return an image stretched to the canvas (3, S, S) float32, normalised, and how it lies there.

    Both sides enlarged: bicubic; both made smaller: nearest; else bilinear.

    Raises:
        LabelError: the image cannot be read.
    """
    size = takes.size
    image = Image.fromarray(read_image(path, takes.fill))
    width, height = image.size
    image = image.resize((size, size), _filter(width, height, size))
    mean, std = (np.array(values, np.float32) for values in (takes.mean, takes.std))
    pixels = (np.asarray(image, np.float32) / np.float32(255) - mean) / std
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)), Letterbox.fit(width, height, size, "stretch")


def _filter(width: int, height: int, size: int) -> Image.Resampling:
    if width < size and height < size:
        return Image.Resampling.BICUBIC
    return Image.Resampling.NEAREST if width > size and height > size else Image.Resampling.BILINEAR


def candidates(
    heads: Sequence[np.ndarray], spec: Heads, recipe: Recipe, floor: float, image: tuple[int, int]
) -> Detections:
    """Return the boxes of one image before suppression, in the model zoo's order: head, row, column, anchor, class.

    A box's upper left corner is moved into the image and its sides are cut to the image's, so that it may still reach
    beyond the right and lower border.

    Args:
        heads: raw heads of one image, big stride to small, each (1, A * (5 + C), G, G).
        spec: the model card's `heads`.
        recipe: of the family.
        floor: the least score kept.
        image: (width, height), px.
    """
    parts = []
    for level, head in enumerate(heads):
        one = Heads((spec.anchors[level],), (spec.strides[level],), (spec.scale_xy[level],))
        dense = predictions([head], one)[0]
        by_anchor = dense.reshape(len(spec.anchors[level]), -1, dense.shape[1])
        parts.append(by_anchor.swapaxes(0, 1).reshape(dense.shape))
    values = np.concatenate(parts)
    canvas = np.array([heads[0].shape[3], heads[0].shape[2]]) * spec.strides[0]
    sides = np.array(image, np.float64)
    probabilities = values[:, 5:]
    if recipe.least_class is None:
        rows, labels = np.arange(len(values)), probabilities.argmax(axis=1)
    else:
        rows, labels = np.nonzero(probabilities > recipe.least_class)
    scores = values[rows, 4] * probabilities[rows, labels]
    keep = scores >= floor
    rows, labels, scores = rows[keep], labels[keep], scores[keep]
    size = values[rows, 2:4] / canvas * sides
    corner = np.maximum(values[rows, :2] / canvas * sides - size / 2, 0)
    return Detections.of(np.concatenate([corner, corner + np.minimum(size, sides)], axis=1), scores, labels)


def suppress(found: Detections, iou: float, distance: bool) -> Detections:
    """Return what greedy suppression, class by class, keeps of one image; of equal scores the later box is first."""
    kept = []
    for label in np.unique(found.labels):
        rows = np.flatnonzero(found.labels == label)
        order = rows[np.argsort(found.scores[rows], kind="stable")[::-1]]
        while len(order):
            kept.append(order[0])
            measure = _measure(found.boxes[order[0]], found.boxes[order[1:]], distance)
            order = order[1:][measure <= iou]
    return found[np.array(kept, np.intp)]


def _measure(box: np.ndarray, others: np.ndarray, distance: bool) -> np.ndarray:
    """Return IoU or DIoU of a box (4,) with others (N, 4); corners are pixels that belong to the box."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.maximum(high - low + 1, 0).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2] + 1).prod(axis=1)
    overlap = shared / ((box[2:] - box[:2] + 1).prod() + areas - shared)
    if not distance:
        return overlap
    apart = (box[:2] + box[2:]) / 2 - (others[:, :2] + others[:, 2:]) / 2
    hull = np.maximum(box[2:], others[:, 2:]) - np.minimum(box[:2], others[:, :2])
    diagonal = (hull**2).sum(axis=1)
    share = np.divide((apart**2).sum(axis=1), diagonal, out=np.zeros(len(others)), where=diagonal > 0)
    return np.clip(overlap - share, -1, 1)
