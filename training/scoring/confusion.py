"""Which class is taken for which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geodetect.detections import Detections
from geodetect.evaluation.matching import Pairs, match, touching

if TYPE_CHECKING:
    from training.data.index import Index

IOU = 0.5  # of a match


def confusion(index: Index, found: Detections, labels: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Return counts (C + 1, C + 1) int64: rows the true class, columns the found one, the last of each background.

    Detections are matched with objects of any class at IoU 0.5, best score first, each object once. What lies in an
    ignored object counts nowhere.

    Args:
        index: the images and their objects.
        found: detections in image px, the index's labels, `tiles` the number of the image.
        labels: (C,) those to count, rising; others are left out, in truth and detections.
        least: (C,) least score of a detection of each.
    """
    place = np.full(len(index.classes), -1)
    place[labels] = np.arange(len(labels))
    kept = place[found.labels] >= 0
    kept &= found.scores >= np.take(np.append(least, np.inf), place[found.labels])  # -1 takes the last
    found = found[kept]
    images = np.repeat(np.arange(len(index)), np.diff(index.offsets))
    known = place[index.labels] >= 0
    images, boxes = images[known], np.asarray(index.boxes, np.float64)[known]
    truth, ignored = place[index.labels[known]], index.ignored[known]

    pairs = _pairs_by_image(found, boxes, images, index)
    order = np.lexsort((-found.scores,))
    matches = np.full(len(found), -1, np.int64)
    matched = match(pairs, order, ignored, IOU)
    matches[: len(matched)] = matched
    inside = pairs.detection[ignored[pairs.truth] & (pairs.cover >= IOU)]
    counted = np.ones(len(found), bool)
    counted[inside[matches[inside] < 0]] = False
    counted[(matches >= 0) & np.append(ignored, False)[matches]] = False

    background = len(labels)
    counts = np.zeros((background + 1, background + 1), np.int64)
    true = np.where(matches >= 0, np.append(truth, background)[matches], background)
    np.add.at(counts, (true[counted], place[found.labels[counted]]), 1)
    missed = ~ignored
    missed[matches[matches >= 0]] = False
    np.add.at(counts, (truth[missed], background), 1)
    return counts


def _pairs_by_image(found: Detections, boxes: np.ndarray, images: np.ndarray, index: Index) -> Pairs:
    """Return the touching pairs of one image each: images are laid side by side, with a gap between them."""
    step = float(index.sizes[:, 0].max(initial=0)) * 4 + 4
    shift = np.array([1.0, 0.0, 1.0, 0.0])
    pairs = touching(found.boxes + found.tiles[:, None] * step * shift, boxes + images[:, None] * step * shift)
    return pairs[found.tiles[pairs.detection] == images[pairs.truth]]
