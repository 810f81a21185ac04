"""The losses of the three families once more: float64, a prediction at a time, in the words of their description."""

from __future__ import annotations

import math

import numpy as np

from geodetect.card import Heads

BOX_WEIGHT = {"yolov4": 10, "yolov3-tiny": 4}
BIG_WEIGHT = {"yolov3-tiny": 4}  # of the head of the biggest stride
EPSILON = 1e-6


def loss(
    family: str, heads: Heads, raw: list[np.ndarray], targets: list[np.ndarray], threshold: float
) -> dict[str, float]:
    """Return the terms by name; raw heads (B, 3 * (5 + C), G, G), targets as `Targets` gives them for a batch."""
    total: dict[str, float] = {}
    *arrays, ignored = targets
    for level, values in enumerate(raw):
        truth, listed = arrays[2 * level], arrays[2 * level + 1]
        batch, _, grid, _ = values.shape
        cells = values.reshape(batch, 3, -1, grid, grid).astype(np.float64)
        weight = (BIG_WEIGHT.get(family, 1) if level == 0 else 1) / batch
        for image, anchor, row, column in np.ndindex(batch, 3, grid, grid):
            size = [side / (grid * heads.strides[level]) for side in heads.anchors[level][anchor]]
            t = cells[image, anchor, :, row, column]
            box = decoded(t, size, (column, row), grid, heads.scale_xy[level])
            true = truth[image, anchor, :, row, column].astype(np.float64)
            for name, value in terms(family, t, box, true, size, (column, row), grid).items():
                total[name] = total.get(name, 0.0) + weight * value
            if not true[4] and is_background(box, listed[image], ignored[image], threshold):
                total["objectness"] += weight * entropy(t[4], 0)
    return total


def terms(family, t, box, true, size, cell, grid) -> dict[str, float]:
    """Return what one prediction gives as an object; nothing where there is none."""
    if not true[4]:
        return {"objectness": 0.0}
    weight = 2 - true[2] * true[3]
    found = {"objectness": entropy(t[4], 1), "class": sum(map(entropy, t[5:], true[5:]))}
    if family == "yolov3":
        found["xy"] = weight * sum(entropy(t[i], true[i] * grid - cell[i]) for i in (0, 1))
        found["wh"] = weight * sum(0.5 * (t[2 + i] - math.log(true[2 + i] / size[i])) ** 2 for i in (0, 1))
    else:
        found["box"] = BOX_WEIGHT[family] * weight * (1 - giou(box, true[:4]))
    return found


def decoded(t, size, cell, grid, scale) -> list[float]:
    """Return cx, cy, w, h in fractions of the canvas."""
    centre = [(scale / (1 + math.exp(-t[i])) - (scale - 1) / 2 + cell[i]) / grid for i in (0, 1)]
    return [*centre, math.exp(t[2]) * size[0], math.exp(t[3]) * size[1]]


def is_background(box, listed, ignored, threshold) -> bool:
    """Return whether a prediction must not look like an object."""
    area = box[2] * box[3]
    ious = [(s := shared(box, b)) / (area + b[2] * b[3] - s) for b in listed if b[2] > 0]
    return max(ious, default=0) <= threshold and all(shared(box, b) <= 0.5 * area for b in ignored)


def entropy(logit: float, truth: float) -> float:
    return max(logit, 0) - logit * truth + math.log1p(math.exp(-abs(logit)))


def sides(a, b) -> list[tuple[float, float]]:
    """Return, for both axes, how long two boxes overlap (below 0: lie apart) and how long they are together."""
    ends = [(a[i] - a[i + 2] / 2, a[i] + a[i + 2] / 2, b[i] - b[i + 2] / 2, b[i] + b[i + 2] / 2) for i in (0, 1)]
    return [(min(a2, b2) - max(a1, b1), max(a2, b2) - min(a1, b1)) for a1, a2, b1, b2 in ends]


def shared(a, b) -> float:
    return math.prod(max(overlap, 0) for overlap, _ in sides(a, b))


def giou(a, b) -> float:
    """Return the generalised IoU; the overlap is not kept from being negative, as in the model zoo."""
    overlap, hull = (math.prod(pair) for pair in zip(*sides(a, b), strict=True))
    union = a[2] * a[3] + b[2] * b[3] - overlap + EPSILON
    return min(max(overlap / union - (hull + EPSILON - union) / (hull + EPSILON), -1), 1)
