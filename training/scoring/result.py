"""The figures of a model on labelled images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from geodetect.evaluation.matching import best_f1, curve
from training.scoring.coco import ClassMatches, CocoFigures, names


@dataclass(frozen=True, slots=True, eq=False)
class ClassScores:
    """How well one class is found; what is not defined without objects is NaN.

    Attributes:
        name: of the class.
        truths: objects that count, ignored ones left out.
        detections: those that count.
        ap: average precision, mean over IoU 0.50 to 0.95.
        ap50: at IoU 0.5, as everything below.
        recall: of all detections.
        least: the least score of what a user would be shown.
        f1, shown_precision, shown_recall: of the detections that reach it.
        best_f1, best_score: the best F1 that a least score gives, and that score; NaN where nothing is found.
        curve: (K, 3) precision, recall and score after the first 1..K detections.
    """

    name: str
    truths: int
    detections: int
    ap: float
    ap50: float
    recall: float
    least: float
    f1: float
    shown_precision: float
    shown_recall: float
    best_f1: float
    best_score: float
    curve: np.ndarray

    @classmethod
    def of(cls, name: str, matches: ClassMatches, least: float) -> ClassScores:
        """Return the scores that COCO's matches give."""
        nan = float("nan")
        precision, recall = curve(matches.hits, matches.truths)
        points = np.stack([precision, recall, matches.scores], axis=1)
        if not matches.truths:
            return cls(name, 0, len(matches.hits), nan, nan, nan, least, nan, nan, nan, nan, nan, points)
        f1, score = best_f1(matches.hits, matches.scores, matches.truths) if matches.hits.any() else (nan, nan)
        found = float(recall[-1]) if len(recall) else 0.0
        ap, ap50 = float(matches.precision.mean()), float(matches.precision[0].mean())
        return cls(
            name, matches.truths, len(matches.hits), ap, ap50, found, least, *_shown(points, least), f1, score, points
        )


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """How good a model is on a set of images.

    Attributes:
        coco: COCO's twelve figures, -1 where there is no object to find.
        lines: the same, as pycocotools prints them, and what -1 is where it occurs.
        per_class: one entry a class that model and data share, in the data's order.
        confusion: (C + 1, C + 1) int64, rows the true class, columns the found one, the last of each background; of
            detections that reach their class's least score.
        images: how many.
        max_detections: an image and class.
        notes: what the reader of the figures should know.
    """

    coco: tuple[float, ...]
    lines: tuple[str, ...]
    per_class: tuple[ClassScores, ...]
    confusion: np.ndarray
    images: int
    max_detections: tuple[int, int, int] = (1, 10, 100)
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, figures: CocoFigures, classes: tuple[str, ...], least: tuple[float, ...], **rest: Any) -> Scores:
        """Return the scores that COCO's figures give for the classes scored, with the least score of each."""
        per_class = tuple(ClassScores.of(*row) for row in zip(classes, figures.classes, least, strict=True))
        return cls(figures.values, figures.lines, per_class, **rest)

    @property
    def ap(self) -> float:
        """COCO's AP: mean over classes and IoU 0.50 to 0.95."""
        return self.coco[0]

    @property
    def ap50(self) -> float:
        """COCO's AP at IoU 0.5: mean over classes."""
        return self.coco[1]

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes scored."""
        return tuple(row.name for row in self.per_class)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, without the curves; what is not defined is None."""
        columns = [name for name in ClassScores.__slots__ if name not in ("name", "curve")]
        figures = zip(names(self.max_detections), self.coco, strict=True)
        return {
            "images": self.images,
            "max_detections": list(self.max_detections),
            "coco": {name: None if value == -1 else value for name, value in figures},
            "classes": {row.name: {key: _number(getattr(row, key)) for key in columns} for row in self.per_class},
            "confusion": {
                "classes": [*self.classes, "background"],
                "scores": [row.least for row in self.per_class],
                "rows_true_columns_found": self.confusion.tolist(),
            },
            "notes": list(self.notes),
        }


def _shown(points: np.ndarray, least: float) -> tuple[float, float, float]:
    """Return F1, precision and recall of the detections from a least score on, of a curve (K, 3)."""
    count = int((points[:, 2] >= least).sum())
    if not count:
        return 0.0, float("nan"), 0.0
    precision, recall = points[count - 1, :2].tolist()
    return 2 * precision * recall / max(precision + recall, 1e-12), precision, recall


def _number(value: float) -> float | int | None:
    return None if value != value else value
