"""COCO's own evaluation of detections, by its reference code, from columns."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geodetect.detections import Detections
from geodetect.errors import TrainingError

if TYPE_CHECKING:
    from training.data.index import Index

_AREAS = ("all", "small", "medium", "large")  # below 32², below 96², and above, px²
_UNDEFINED = " (-1: no object of that area is labelled)"


@dataclass(frozen=True, slots=True, eq=False)
class ClassMatches:
    """One class's detections at IoU 0.5 that count, best score first.

    Attributes:
        hits: (K,) bool, whether each found an object.
        scores: (K,) float64.
        truths: how many objects count.
        precision: (10, 101) at IoU 0.50 to 0.95 and recall 0 to 1; -1 without truth.
    """

    hits: np.ndarray
    scores: np.ndarray
    truths: int
    precision: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class CocoFigures:
    """What COCO's evaluation gives.

    Attributes:
        values: the twelve figures in COCO's order, -1 where there is no object to find.
        lines: the same as pycocotools prints them, and what -1 is where it occurs.
        classes: one entry a label asked for.
    """

    values: tuple[float, ...]
    lines: tuple[str, ...]
    classes: tuple[ClassMatches, ...]


def evaluate(
    index: Index, found: Detections, labels: np.ndarray, max_detections: tuple[int, int, int] = (1, 10, 100)
) -> CocoFigures:
    """Return COCO's figures of detections on an index.

    Ignored objects are crowds: a detection that lies in one counts neither as hit nor as false alarm.

    Args:
        index: the images and their objects.
        found: detections in image px, the index's labels, `tiles` the number of the image.
        labels: those to score, rising; the average is over these.
        max_detections: an image and class, for the average recalls; the last holds for all else.

    Raises:
        TrainingError: pycocotools is not installed.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        raise TrainingError('the figures need pycocotools: pip install "geodetect[train]"') from None
    with contextlib.redirect_stdout(io.StringIO()):  # it tells what it does
        truth, detections = COCO(), COCO()
        truth.dataset = _dataset(index, _truth(index))
        detections.dataset = _dataset(index, _detections(found))
        truth.createIndex()
        detections.createIndex()
        run = COCOeval(truth, detections, "bbox")
        run.params.catIds = [int(label) + 1 for label in labels]
        run.params.maxDets = list(max_detections)
        run.evaluate()
        run.accumulate()
    figures = [_figure(run, *row) for row in _rows(max_detections)]
    classes = tuple(_matches(run, place, len(index)) for place in range(len(labels)))
    values, lines = (tuple(column) for column in zip(*figures, strict=True))
    return CocoFigures(values, (*lines, _UNDEFINED) if -1 in values else lines, classes)


def names(max_detections: tuple[int, int, int]) -> tuple[str, ...]:
    """Return short names of the twelve figures, such as AP, AP50, AP_small, AR_100."""
    short = []
    for kind, iou, area, most in _rows(max_detections):
        ending = f"{round(iou * 100)}" if iou else f"_{area}" if area != "all" else f"_{most}" if kind == "AR" else ""
        short.append(kind + ending)
    return tuple(short)


def _rows(most: tuple[int, int, int]) -> list[tuple[str, float | None, str, int]]:
    """Return (AP or AR, IoU or None for the mean over all, area, detections) of the twelve figures."""
    precisions = [("AP", iou, "all", most[2]) for iou in (None, 0.5, 0.75)]
    recalls = [("AR", None, "all", number) for number in most]
    by_area: dict[str, list[Any]] = {
        kind: [(kind, None, area, most[2]) for area in _AREAS[1:]] for kind in ("AP", "AR")
    }
    return [*precisions, *by_area["AP"], *recalls, *by_area["AR"]]


def _figure(run: Any, kind: str, iou: float | None, area: str, most: int) -> tuple[float, str]:
    """Return one figure and its line, as `COCOeval.summarize` prints it (that one takes 100 detections alone)."""
    place, number = _AREAS.index(area), run.params.maxDets.index(most)
    table = run.eval["precision"][..., place, number] if kind == "AP" else run.eval["recall"][..., place, number]
    if iou is not None:
        table = table[np.isclose(run.params.iouThrs, iou)]
    defined = table[table > -1]
    value = float(defined.mean()) if defined.size else -1.0
    thresholds = run.params.iouThrs
    over = f"{thresholds[0]:.2f}:{thresholds[-1]:.2f}" if iou is None else f"{iou:.2f}"
    title = "Average Precision" if kind == "AP" else "Average Recall"
    return value, f" {title:<18} ({kind}) @[ IoU={over:<9} | area={area:>6s} | maxDets={most:>3d} ] = {value:0.3f}"


def _matches(run: Any, place: int, images: int) -> ClassMatches:
    """Return the matches of the class at `place` of those scored, all areas, IoU 0.5."""
    start = place * len(_AREAS) * images
    parts = [part for part in run.evalImgs[start : start + images] if part is not None]
    none = np.zeros(0)
    scores = np.concatenate([none, *(np.asarray(part["dtScores"], float) for part in parts)])
    hits = np.concatenate([none, *(part["dtMatches"][0] > 0 for part in parts)]).astype(bool)
    ignored = np.concatenate([none, *(part["dtIgnore"][0] for part in parts)]).astype(bool)
    truths = int(sum(np.count_nonzero(np.asarray(part["gtIgnore"]) == 0) for part in parts))
    order = np.argsort(-scores, kind="stable")
    order = order[~ignored[order]]
    return ClassMatches(hits[order], scores[order], truths, run.eval["precision"][:, :, place, 0, -1])


def _dataset(index: Index, annotations: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "images": [{"id": number + 1} for number in range(len(index))],
        "categories": [{"id": label + 1, "name": name} for label, name in enumerate(index.classes)],
        "annotations": annotations,
    }


def _truth(index: Index) -> list[dict[str, Any]]:
    images = np.repeat(np.arange(len(index)), np.diff(index.offsets))
    return _annotations(images, index.boxes, index.labels, index.areas, iscrowd=index.ignored.astype(int))


def _detections(found: Detections) -> list[dict[str, Any]]:
    scores = found.scores.astype(np.float64)
    return _annotations(found.tiles, found.boxes, found.labels, None, iscrowd=np.zeros(len(found), int), score=scores)


def _annotations(images, boxes, labels, areas, **columns: np.ndarray) -> list[dict[str, Any]]:
    """Return COCO's annotations from columns; ids start at 1, since 0 means no match to its code."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    sides = boxes[:, 2:] - boxes[:, :2]
    areas = sides.prod(axis=1) if areas is None else areas
    values = {
        "id": np.arange(1, len(boxes) + 1),
        "image_id": np.asarray(images) + 1,
        "category_id": np.asarray(labels) + 1,
        "bbox": np.concatenate([boxes[:, :2], sides], axis=1),
        "area": np.asarray(areas, np.float64),
        **columns,
    }
    rows = zip(*(column.tolist() for column in values.values()), strict=True)
    return [dict(zip(values, row, strict=True)) for row in rows]
