"""Comparing detections with the truth, and the result of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from geodetect.evaluation.matching import COVER, Pairs, average_precision, best_f1, match, touching

THRESHOLDS = np.linspace(0.5, 0.95, 10)  # of IoU, over which COCO averages


class Outcome(IntEnum):
    """What became of a detection or of a true object."""

    HIT = 0  # a detection that found an object
    FALSE_ALARM = 1  # a detection with no object
    DUPLICATE = 2  # a further detection of an object that another detection found
    IGNORED = 3  # a detection of an object flagged difficult: counted nowhere
    FOUND = 4  # a true object that was found
    MISS = 5  # a true object that was not
    DIFFICULT = 6  # a true object flagged difficult: counted nowhere


@dataclass(frozen=True, slots=True)
class ClassResult:
    """How well one class was found. `truths` counts the objects that are not difficult; a duplicate is no hit."""

    name: str
    truths: int
    hits: int
    false_alarms: int
    duplicates: int
    ap50: float = float("nan")  # average precision at IoU 0.5, NaN without true objects
    ap: float = float("nan")  # mean over IoU 0.50, 0.55 … 0.95, as COCO's AP
    best_f1: float = float("nan")  # the best that a higher least score could give
    best_score: float = float("nan")  # that least score

    @property
    def misses(self) -> int:
        """True objects without a detection."""
        return self.truths - self.hits

    @property
    def detections(self) -> int:
        """Detections that count: all but those of difficult objects."""
        return self.hits + self.false_alarms + self.duplicates

    @property
    def precision(self) -> float:
        """Hits over detections, NaN without detections."""
        return self.hits / self.detections if self.detections else float("nan")

    @property
    def recall(self) -> float:
        """Hits over true objects, NaN without true objects."""
        return self.hits / self.truths if self.truths else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, NaN with neither detections nor true objects."""
        both = self.detections + self.truths
        return 2 * self.hits / both if both else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Detections compared with the truth.

    Attributes:
        iou: the least IoU of a hit.
        classes: one result a class, sorted by name.
        outcomes: (N,) int8, the Outcome of each detection.
        matches: (N,) int64, the true object that a detection hit, doubled or was ignored for, -1 for none.
        overlaps: (N,) float64, its IoU with that object, 0 for none.
        truth_outcomes: (M,) int8, the Outcome of each true object.
        notes: what the reader of the figures should know, one sentence each.
    """

    iou: float
    classes: tuple[ClassResult, ...]
    outcomes: np.ndarray
    matches: np.ndarray
    overlaps: np.ndarray
    truth_outcomes: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> ClassResult:
        """All classes together: sums of counts, means of average precisions over classes that have true objects."""
        scored = [result for result in self.classes if result.truths]
        means = {name: float(np.mean([getattr(r, name) for r in scored] or [np.nan])) for name in ("ap50", "ap")}
        return ClassResult(
            "all",
            truths=sum(r.truths for r in self.classes),
            hits=sum(r.hits for r in self.classes),
            false_alarms=sum(r.false_alarms for r in self.classes),
            duplicates=sum(r.duplicates for r in self.classes),
            **means,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return numbers ready for JSON; what is not defined is None."""
        columns = (
            "truths", "detections", "hits", "misses", "false_alarms", "duplicates",
            "precision", "recall", "f1", "ap50", "ap", "best_f1", "best_score",
        )  # fmt: skip
        rows = {r.name: {name: _number(getattr(r, name)) for name in columns} for r in (*self.classes, self.total)}
        return {"iou": self.iou, "all": rows.pop("all"), "classes": rows, "notes": list(self.notes)}


def compare(
    boxes: np.ndarray,
    scores: np.ndarray,
    names: Sequence[str],
    truth: np.ndarray,
    truth_names: Sequence[str],
    *,
    difficult: np.ndarray | None = None,
    images: np.ndarray | None = None,
    truth_images: np.ndarray | None = None,
    iou: float = 0.5,
) -> Evaluation:
    """Return the comparison of boxes (N, 4) with true boxes (M, 4), both in one planar frame, x1, y1, x2, y2.

    A true box without extent is a point, which a box that holds it has found. Neither the order of the detections
    nor that of the objects matters, unless scores are equal.

    Args:
        boxes, scores, names: the detections; scores 0..1.
        truth, truth_names: the true objects.
        difficult: (M,) bool, objects that count neither when found nor when missed.
        images, truth_images: (N,) and (M,), only objects of one image match; None: all are in one.
        iou: the least IoU of a hit.
    """
    scores, kinds, truth_kinds = np.asarray(scores, np.float64), np.asarray(names, str), np.asarray(truth_names, str)
    difficult = np.zeros(len(truth_kinds), bool) if difficult is None else np.asarray(difficult, bool)
    pairs = touching(boxes, truth)
    same = kinds[pairs.detection] == truth_kinds[pairs.truth]
    if images is not None and truth_images is not None:
        same &= np.asarray(images)[pairs.detection] == np.asarray(truth_images)[pairs.truth]
    pairs = pairs[same]
    outcomes = np.full(len(kinds), Outcome.FALSE_ALARM, np.int8)
    matches = np.full(len(kinds), -1, np.int64)
    results = []
    for name in sorted({*kinds.tolist(), *truth_kinds.tolist()}):
        own = np.flatnonzero(kinds == name)
        order = own[np.argsort(-scores[own], kind="stable")]
        truths = int((~difficult & (truth_kinds == name)).sum())
        of_class = pairs[kinds[pairs.detection] == name]
        outcomes[own], matches[own] = _outcomes(of_class, order, difficult, iou, len(kinds), own)
        results.append(_class_result(name, of_class, order, scores, difficult, truths, outcomes))
    truth_outcomes = np.full(len(truth_kinds), Outcome.MISS, np.int8)
    truth_outcomes[matches[outcomes == Outcome.HIT]] = Outcome.FOUND
    truth_outcomes[difficult] = Outcome.DIFFICULT
    return Evaluation(iou, tuple(results), outcomes, matches, _overlaps(pairs, matches), truth_outcomes)


def _outcomes(
    pairs: Pairs, order: np.ndarray, difficult: np.ndarray, iou: float, count: int, own: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the outcome and the true object of each detection of one class."""
    found = np.full(count, -1, np.int64)
    matched = match(pairs, order, difficult, iou)
    found[: len(matched)] = matched
    outcomes = np.full(count, Outcome.FALSE_ALARM, np.int8)
    hit = found >= 0
    outcomes[hit] = np.where(difficult[found[hit]], Outcome.IGNORED, Outcome.HIT)
    taken = np.zeros(len(difficult), bool)
    taken[found[outcomes == Outcome.HIT]] = True
    near = (pairs.iou >= iou) | (pairs.cover >= COVER)
    candidates = np.flatnonzero(near & ~hit[pairs.detection] & taken[pairs.truth])
    candidates = candidates[np.argsort(pairs.iou[candidates], kind="stable")]  # the last one written is the best
    outcomes[pairs.detection[candidates]] = Outcome.DUPLICATE
    found[pairs.detection[candidates]] = pairs.truth[candidates]
    return outcomes[own], found[own]


def _class_result(
    name: str,
    pairs: Pairs,
    order: np.ndarray,
    scores: np.ndarray,
    difficult: np.ndarray,
    truths: int,
    outcomes: np.ndarray,
) -> ClassResult:
    def precision_at(threshold: float) -> float:
        found = match(pairs, order, difficult, threshold)[order]
        counted = (found < 0) | ~difficult[found] if len(difficult) else np.ones(len(found), bool)
        return average_precision(found[counted] >= 0, truths)

    counted = order[outcomes[order] != Outcome.IGNORED]
    f1, score = best_f1(outcomes[counted] == Outcome.HIT, scores[counted], truths)
    precisions = [precision_at(float(threshold)) for threshold in THRESHOLDS]
    hits, alarms, doubles = (
        int((outcomes[order] == o).sum()) for o in (Outcome.HIT, Outcome.FALSE_ALARM, Outcome.DUPLICATE)
    )
    return ClassResult(name, truths, hits, alarms, doubles, precisions[0], float(np.mean(precisions)), f1, score)


def _overlaps(pairs: Pairs, matches: np.ndarray) -> np.ndarray:
    """Return the IoU of each detection with its match, 0 for none."""
    overlaps = np.zeros(len(matches))
    own = matches[pairs.detection] == pairs.truth
    overlaps[pairs.detection[own]] = pairs.iou[own]
    return overlaps


def _number(value: float) -> float | int | None:
    return value if isinstance(value, int) else None if np.isnan(value) else round(float(value), 4)
