"""What the loss compares the raw heads with: the boxes of one image, written into the cells that must predict them.

Source: Redmon, Farhadi, "YOLOv3: An Incremental Improvement", 2018, section 2.1; several anchors a box as in
Bochkovskiy et al., "YOLOv4", 2020, section 3.4; details as the model zoo has them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from geodetect.card import Heads
from geodetect.errors import ConfigError

RULES = {"yolov3": "best", "yolov4": "several", "yolov3-tiny": "several"}  # by family


@dataclass(frozen=True)
class Targets:
    """Turns the boxes of an image into arrays of fixed shape.

    An object belongs to the cell that its centre lies in, its centre rounded down to whole pixels as in the model zoo,
    and to the anchor whose size is nearest its own (IoU of both about one centre). By the rule "several" it belongs to
    each other anchor above `several_iou` as well. Where two objects meet in one cell and anchor, the later one's box
    stays and both classes do; with label smoothing the later one's class alone.

    Raises:
        ConfigError: a setting is out of its range.
    """

    heads: Heads
    n_classes: int
    rule: str  # "best" or "several", see RULES
    max_boxes: int  # objects an image; further ones are ignored. Also the boxes a head lists for its ignore mask
    max_ignored: int = 32  # ignored boxes an image; the largest are kept
    label_smooth: float = 0.0  # taken from the true class and shared by the others
    several_iou: float = 0.213
    _anchors: np.ndarray = field(init=False, repr=False, compare=False)  # (A, 2) float64, small to large as in ties

    def __post_init__(self) -> None:
        if self.rule not in ("best", "several"):
            raise ConfigError(f'the rule for anchors is {self.rule!r}, "best" or "several" is needed')
        if not 0 <= self.label_smooth < 1:
            raise ConfigError(f"label_smooth is {self.label_smooth}, a number from 0 to below 1 is needed")
        if self.n_classes < 1 or self.max_boxes < 1 or self.max_ignored < 1:
            raise ConfigError("n_classes, max_boxes and max_ignored need at least 1")
        anchors = np.array([size for head in reversed(self.heads.anchors) for size in head], np.float64)
        object.__setattr__(self, "_anchors", anchors)

    def __call__(self, boxes: np.ndarray, labels: np.ndarray, ignored: np.ndarray, size: int) -> tuple[np.ndarray, ...]:
        """Return the arrays of one image.

        Args:
            boxes: (N, 4) x1, y1, x2, y2, canvas px; those without width or height are left out.
            labels: (N,) index of the class.
            ignored: (N,) True for boxes that are neither object nor background.
            size: side of the canvas, px.

        Returns:
            For each head, big stride to small, truth (3, 5 + C, G, G) = cx, cy, w, h (fractions of the canvas), 1,
            class bits, zero where no object is; and the boxes in it, (max_boxes, 4) cx, cy, w, h, padded with zero
            rows. At the end the ignored boxes, (max_ignored, 4) cx, cy, w, h, padded likewise. All float32.
        """
        boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
        sides = boxes[:, 2:] - boxes[:, :2]
        solid = (sides > 0).all(axis=1)
        objects = np.flatnonzero(solid & ~ignored)
        kept, beyond = objects[: self.max_boxes], objects[self.max_boxes :]
        centres = (boxes[kept, :2] + boxes[kept, 2:]) // 2
        values = np.concatenate([centres / size, sides[kept] / size], axis=1, dtype=np.float32)
        labels = np.asarray(labels)[kept]
        owners, anchors = self._assigned(sides[kept])
        arrays: list[np.ndarray] = []
        per_head = len(self.heads.anchors[0])
        for level, stride in enumerate(self.heads.strides):
            first = (len(self.heads.strides) - 1 - level) * per_head
            mine = (first <= anchors) & (anchors < first + per_head)
            truth = self._truth(values, labels, (owners[mine], anchors[mine] - first), size // stride)
            arrays += [truth, self._listed(truth)]
        return (*arrays, self._ignored(np.concatenate([boxes[solid & ignored], boxes[beyond]]), size))

    def _assigned(self, sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (object, anchor) pairs, anchors counted from the smallest, in the objects' order."""
        shared = np.minimum(sides[:, None], self._anchors).prod(axis=2)
        iou = shared / (sides.prod(axis=1)[:, None] + self._anchors.prod(axis=1) - shared)
        chosen = iou > (self.several_iou if self.rule == "several" else np.inf)
        chosen[np.arange(len(sides)), iou.argmax(axis=1)] = True
        objects, anchors = np.nonzero(chosen)
        return objects, anchors

    def _truth(
        self, values: np.ndarray, labels: np.ndarray, pairs: tuple[np.ndarray, np.ndarray], grid: int
    ) -> np.ndarray:
        objects, anchors = pairs
        truth = np.zeros((len(self.heads.anchors[0]), 5 + self.n_classes, grid, grid), np.float32)
        # a centre on the right or lower edge, which a clipped box cannot have, counts to the last cell
        column, row = np.clip(np.floor(values[objects, :2] * grid).astype(np.intp), 0, grid - 1).T
        truth[anchors, :4, row, column] = values[objects]  # of equal cells the last one stays
        truth[anchors, 4, row, column] = 1
        if self.label_smooth:
            truth[anchors, 5:, row, column] = self._smooth()[labels[objects]]
        else:
            truth[anchors, 5 + labels[objects], row, column] = 1
        return truth

    def _smooth(self) -> np.ndarray:
        """Return the class bits (C, C) of an object of each class."""
        others = self.label_smooth / max(self.n_classes - 1, 1)
        return np.where(np.eye(self.n_classes) > 0, 1 - self.label_smooth, others).astype(np.float32)

    def _listed(self, truth: np.ndarray) -> np.ndarray:
        """Return the boxes in a head's truth, by row, column and anchor."""
        anchor, row, column = np.nonzero(truth[:, 4])
        order = np.lexsort((anchor, column, row))[: self.max_boxes]
        listed = np.zeros((self.max_boxes, 4), np.float32)
        listed[: len(order)] = truth[anchor[order], :4, row[order], column[order]]
        return listed

    def _ignored(self, boxes: np.ndarray, size: int) -> np.ndarray:
        sides = boxes[:, 2:] - boxes[:, :2]
        largest = np.argsort(-sides.prod(axis=1), kind="stable")[: self.max_ignored]
        values = np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, sides], axis=1) / size
        listed = np.zeros((self.max_ignored, 4), np.float32)
        listed[: len(largest)] = values[largest]
        return listed
