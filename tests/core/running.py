"""Runs of the bundled model that tests compare."""

import numpy as np

import geodetect
from geodetect.detections import Detections
from geodetect.pipeline import DetectResult

MODEL = "planes-ships-yolov3-tiny"
SIDE = 1024  # px of the drawn scene


def run(scene, **options) -> DetectResult:
    return geodetect.detect(scene, model=MODEL, **({"precision": "float32", "score": 0.3} | options))


def same(a: Detections, b: Detections, px: float = 1e-3) -> None:
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_allclose(a.boxes, b.boxes, atol=px)
    np.testing.assert_allclose(a.scores, b.scores, atol=1e-4)


def refound(boxes: np.ndarray, reference: DetectResult) -> float:
    """Return the share of the reference's sure detections that have a box on them."""
    sure = reference.detections.boxes[reference.detections.scores > 0.5]
    left_top = np.maximum(sure[:, None, :2], boxes[None, :, :2])
    shared = np.prod(np.maximum(np.minimum(sure[:, None, 2:], boxes[None, :, 2:]) - left_top, 0), axis=2)
    areas = np.prod(sure[:, 2:] - sure[:, :2], axis=1)[:, None] + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return float((shared / (areas - shared) > 0.5).any(axis=1).mean())
