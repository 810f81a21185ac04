"""Many detections as columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """N detections, one array a column; row i of every column is detection i.

    Attributes:
        boxes: (N, 4) float64, x1, y1, x2, y2 in px, scene frame unless said otherwise; x2 > x1, y2 > y1.
        scores: (N,) float32, objectness times class probability, 0..1.
        labels: (N,) int32, index into the model's classes.
        tiles: (N,) int32, index of the tile that saw the detection, into the run's list of windows;
            all -1 once the tiles are merged.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    tiles: np.ndarray

    @classmethod
    def of(cls, boxes, scores, labels, tiles=None) -> Detections:
        """Return detections from anything array-like, with the columns' types; raises ValueError on unlike lengths."""
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        scores = np.asarray(scores, np.float32).reshape(-1)
        labels = np.asarray(labels, np.int32).reshape(-1)
        tiles = np.full(len(boxes), -1, np.int32) if tiles is None else np.asarray(tiles, np.int32).reshape(-1)
        if not len(boxes) == len(scores) == len(labels) == len(tiles):
            raise ValueError("boxes, scores, labels and tiles need one length")
        return cls(boxes, scores, labels, tiles)

    @classmethod
    def empty(cls) -> Detections:
        """Return no detections."""
        return cls.of([], [], [])

    @classmethod
    def concatenate(cls, parts: Iterable[Detections]) -> Detections:
        """Return all parts' detections in their order."""
        parts = [cls.empty(), *parts]
        return cls(
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.tiles for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index) -> Detections:
        """Return the rows that a mask, a slice or an index array selects."""
        return Detections(self.boxes[index], self.scores[index], self.labels[index], self.tiles[index])
