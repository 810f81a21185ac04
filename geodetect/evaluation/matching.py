"""Matching detections with true objects, and what follows from it; pure functions on arrays.

Matching and average precision are those of COCO (Lin et al. 2014, and its reference code `pycocotools`), but on
sparse pairs: a scene with 10 000 objects has 10 000 x 10 000 pairs and only a few that touch. A test holds the two
equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COVER = 0.7  # a detection that lies this much in a true object, or holds this much of it, is about that object
RECALLS = np.linspace(0, 1, 101)  # where COCO reads the precision


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The pairs of a detection and a true object that touch, sorted by detection.

    Attributes:
        detection, truth: (P,) int64, indices.
        iou: (P,) float64, intersection over union; 1 where the truth is a point.
        cover: (P,) float64, intersection over the smaller of the two; 1 where the truth is a point.
    """

    detection: np.ndarray
    truth: np.ndarray
    iou: np.ndarray
    cover: np.ndarray

    def __getitem__(self, index: np.ndarray) -> Pairs:
        """Return the pairs that a mask or an index array selects."""
        return Pairs(self.detection[index], self.truth[index], self.iou[index], self.cover[index])


def touching(boxes: np.ndarray, truth: np.ndarray) -> Pairs:
    """Return the pairs of boxes (N, 4) and true boxes (M, 4) that touch; a true box without extent is a point.

    Both in one planar frame, x1, y1, x2, y2. IoU is the same in every affine frame, so any unit will do.
    """
    import shapely

    boxes, truth = np.asarray(boxes, np.float64).reshape(-1, 4), np.asarray(truth, np.float64).reshape(-1, 4)
    tree = shapely.STRtree(shapely.box(*truth.T))
    rows, columns = tree.query(shapely.box(*boxes.T))
    order = np.lexsort((columns, rows))
    rows, columns = rows[order], columns[order]
    a, b = boxes[rows], truth[columns]
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])
    both = np.clip(high - low, 0, None).prod(1)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1)
    point = (b[:, 2:] == b[:, :2]).all(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        iou = np.where(point, 1.0, both / (area_a + area_b - both))
        cover = np.where(point, 1.0, both / np.minimum(area_a, area_b))
    return Pairs(rows, columns, np.nan_to_num(iou), np.nan_to_num(cover))


def match(pairs: Pairs, order: np.ndarray, ignored: np.ndarray, iou: float) -> np.ndarray:
    """Return the true object of each detection, (N,) int64, -1 for none: greedy by score, each object taken once.

    Args:
        pairs: of one class.
        order: (K,) indices of that class's detections, best score first.
        ignored: (M,) bool, true objects that are taken only when no other is left.
        iou: the least IoU of a match, 0..1.
    """
    least = min(iou, 1 - 1e-10)
    found = np.full(int(order.max(initial=-1)) + 1, -1, np.int64)
    taken = np.zeros(len(ignored), bool)
    starts = np.searchsorted(pairs.detection, order, "left")
    stops = np.searchsorted(pairs.detection, order, "right")
    for index, start, stop in zip(order.tolist(), starts.tolist(), stops.tolist(), strict=True):
        best = (False, least)
        for pair in range(start, stop):
            truth = pairs.truth[pair]
            value = (not ignored[truth], pairs.iou[pair])
            if not taken[truth] and value[1] >= least and value >= best:
                best, found[index] = value, truth
        if found[index] >= 0:
            taken[found[index]] = True
    return found


def average_precision(hits: np.ndarray, truths: int) -> float:
    """Return the average precision of detections sorted by score, best first; NaN where there is no true object.

    Args:
        hits: (K,) bool, which of them found an object; ignored ones are left out.
        truths: how many objects there are.
    """
    if truths == 0:
        return float("nan")
    precision, recall = curve(hits, truths)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, RECALLS, "left")
    return float(np.append(best_from_here, 0.0)[at].mean())


def curve(hits: np.ndarray, truths: int) -> tuple[np.ndarray, np.ndarray]:
    """Return precision and recall (K,) of the first 1..K detections, sorted by score."""
    found = np.cumsum(hits, dtype=np.float64)
    return found / np.arange(1, len(hits) + 1), found / truths if truths else np.zeros(len(hits))


def best_f1(hits: np.ndarray, scores: np.ndarray, truths: int) -> tuple[float, float]:
    """Return the best F1 that any least score gives, and that score; (0, 0) without a hit."""
    found = np.cumsum(hits, dtype=np.float64)
    f1 = 2 * found / (np.arange(1, len(hits) + 1) + truths)
    # A threshold keeps all detections of one score or none of them.
    last = np.append(scores[1:] != scores[:-1], True) if len(scores) else np.zeros(0, bool)
    f1 = np.where(last, f1, -1)
    if not len(f1) or f1.max() <= 0:
        return 0.0, 0.0
    return float(f1.max()), float(scores[f1.argmax()])
