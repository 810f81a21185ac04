"""From the network's raw heads to detections: one function for all engines and families.

Sources: YOLOv3 (Redmon & Farhadi 2018, section 2.1) and YOLOv4's grid sensitivity (Bochkovskiy et al. 2020,
section 3.4), as the ancestors' decoders compute them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geodetect.card import Heads
from geodetect.detections import Detections
from geodetect.errors import ModelError
from geodetect.letterbox import Letterbox
from geodetect.window import Window

LARGEST_EXPONENT = 20.0  # exp(20) px is beyond any canvas; keeps wild weights from overflowing


def predictions(heads: Sequence[np.ndarray], spec: Heads) -> np.ndarray:
    """Return every anchor's prediction, dense.

    Args:
        heads: raw heads, big stride to small, each (B, A * (5 + C), S / stride, S / stride).
        spec: the model card's `heads`.

    Returns:
        (B, sum of A * cells, 5 + C) float32: cx, cy, w, h in canvas px, objectness, class probabilities; ordered by
        head, anchor, row, column.
    """
    parts = []
    for level, raw in enumerate(heads):
        grid = _by_anchor(raw, len(spec.anchors[level]))
        _, anchor, row, column = (index.ravel() for index in np.indices(grid.shape[:2] + grid.shape[3:]))
        values = grid.transpose(0, 1, 3, 4, 2).reshape(-1, grid.shape[2])
        parts.append(_activate(values, spec, level, anchor, row, column).reshape(len(raw), -1, grid.shape[2]))
    return np.concatenate(parts, axis=1)


def decode(
    heads: Sequence[np.ndarray], spec: Heads, floor: float, letterbox: Letterbox, tiles: Sequence[tuple[int, Window]]
) -> Detections:
    """Return the detections of a batch of tiles in the scene frame, clipped to their tiles.

    A detection takes its most probable class; its score is objectness times that class's probability.

    Args:
        heads: raw heads, big stride to small, each (B, A * (5 + C), S / stride, S / stride).
        spec: the model card's `heads`.
        floor: the least score kept, 0..1.
        letterbox: how each tile lies on its canvas.
        tiles: (index, window) of the batch's tiles.
    """
    left_top = np.array([[window.col, window.row] * 2 for _, window in tiles], np.float64).reshape(-1, 4)
    sides = np.array([[window.width, window.height] for _, window in tiles], np.float64).reshape(-1, 2)
    numbers = np.array([number for number, _ in tiles], np.int32)
    # score <= objectness, so this alone drops nearly every cell; the margin covers rounding.
    least_logit = np.log(max(floor, 1e-7) / max(1 - floor, 1e-7)) - 1e-4
    parts = []
    for level, raw in enumerate(heads):
        grid = _by_anchor(raw[: len(tiles)], len(spec.anchors[level]))
        batch, anchor, row, column = np.nonzero(grid[:, :, 4] >= least_logit)
        values = _activate(grid[batch, anchor, :, row, column], spec, level, anchor, row, column)
        labels = values[:, 5:].argmax(axis=1)
        scores = values[:, 4] * values[np.arange(len(values)), 5 + labels]
        half = values[:, 2:4] / 2
        boxes = np.concatenate([values[:, :2] - half, values[:, :2] + half], axis=1)
        boxes = letterbox.to_tile(boxes.astype(np.float64))
        boxes = np.clip(boxes, 0, np.tile(sides[batch], 2))
        keep = (scores >= floor) & (boxes[:, 2] - boxes[:, 0] >= 1) & (boxes[:, 3] - boxes[:, 1] >= 1)
        parts.append(Detections.of(boxes + left_top[batch], scores, labels, numbers[batch])[keep])
    return Detections.concatenate(parts)


def check_heads(heads: Sequence[np.ndarray], spec: Heads, n_classes: int, canvas: int) -> None:
    """Raise ModelError unless raw heads have the shapes that the card promises: else nothing would be found, unsaid."""
    wanted = [
        (len(anchors) * (5 + n_classes), canvas // stride, canvas // stride)
        for anchors, stride in zip(spec.anchors, spec.strides, strict=True)
    ]
    given = [head.shape[1:] for head in heads]
    if given != wanted:
        shapes = [" and ".join("x".join(map(str, shape)) for shape in part) for part in (given, wanted)]
        raise ModelError(f"the network gives heads of {shapes[0]}, its card needs {shapes[1]}; correct the card")


def _by_anchor(raw: np.ndarray, anchors: int) -> np.ndarray:
    """(B, A * (5 + C), H, W) -> (B, A, 5 + C, H, W)."""
    batch, channels, height, width = raw.shape
    return raw.reshape(batch, anchors, channels // anchors, height, width)


def _activate(values: np.ndarray, spec: Heads, level: int, anchor, row, column) -> np.ndarray:
    """Turn raw values (K, 5 + C) of the cells (anchor, row, column) into predictions in canvas px."""
    scale, stride = spec.scale_xy[level], spec.strides[level]
    sizes = np.asarray(spec.anchors[level], np.float32)[anchor]
    out = np.empty_like(values, dtype=np.float32)
    cells = np.stack([column, row], axis=1)
    out[:, 0:2] = (scale * _sigmoid(values[:, 0:2]) - (scale - 1) / 2 + cells) * stride
    out[:, 2:4] = np.exp(np.minimum(values[:, 2:4], LARGEST_EXPONENT)) * sizes
    out[:, 4:] = _sigmoid(values[:, 4:])
    return out


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))  # no overflow at either end
