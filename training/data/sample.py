"""One training image with its objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geodetect.boxes import area, clip


@dataclass(frozen=True, eq=False)
class Sample:
    """An image and its objects.

    Attributes:
        image: (h, w, 3) uint8.
        boxes: (N, 4) float64 x1, y1, x2, y2, px of the image, half-open.
        labels: (N,) index of the class.
        ignored: (N,) bool, neither object nor background.
        shown: (N,) float64, share of the object's labelled box that is left after all cuts, 0..1.
    """

    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    ignored: np.ndarray
    shown: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, boxes: np.ndarray, labels: np.ndarray, ignored: np.ndarray) -> Sample:
        """Return the sample as it is labelled, nothing cut."""
        return cls(image, np.asarray(boxes, np.float64).reshape(-1, 4), labels, ignored, np.ones(len(labels)))

    def rows(self, rows: np.ndarray) -> Sample:
        """Return the sample with these objects only, by index or mask."""
        return Sample(self.image, self.boxes[rows], self.labels[rows], self.ignored[rows], self.shown[rows])


def cut(sample: Sample, bounds: np.ndarray) -> Sample:
    """Return the sample with its boxes cut to bounds (4,); what lies outside is left out, `shown` falls."""
    whole, boxes = area(sample.boxes), clip(sample.boxes, bounds)
    left = area(boxes)
    keep = left > 0
    shown = sample.shown[keep] * left[keep] / whole[keep]
    return Sample(sample.image, boxes[keep], sample.labels[keep], sample.ignored[keep], shown)
