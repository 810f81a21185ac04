"""The losses of YOLOv4 and YOLOv3-Tiny: boxes by generalised IoU.

Source: Rezatofighi et al., "Generalized Intersection over Union", 2019, as the model zoo has it.
"""

from __future__ import annotations

from typing import Any

from geodetect.networks.runtime import ops
from training.losses.head import FamilyLoss, HeadLoss, corners

_EPSILON = 1e-6  # added to areas that are divided by, in squares of the canvas


class _Head(HeadLoss):
    def box_terms(self, raw: tuple[Any, Any], predicted: tuple[Any, ...], truth: Any, there: Any) -> tuple[Any, ...]:
        """Return the sum of 1 - GIoU; small objects count up to twice as much as large ones."""
        there = there[:, :, 0]
        # where no object is, the prediction is its own truth: no division by an area of nothing
        given = tuple(
            there * truth[:, :, i] + (1 - there) * ops.stop_gradient(value) for i, value in enumerate(predicted)
        )
        weight = there * (2 - given[2] * given[3])
        return ((weight * (1 - giou(predicted, given))).sum(),)


class YOLOv4Loss(FamilyLoss):
    """See `training.losses.make_loss`."""

    terms = ("box", "objectness", "class")
    head_loss = _Head
    term_weights = (10.0, 1.0, 1.0)


class YOLOv3TinyLoss(FamilyLoss):
    """See `training.losses.make_loss`."""

    terms = ("box", "objectness", "class")
    head_loss = _Head
    term_weights = (4.0, 1.0, 1.0)
    big_weight = 4.0


def giou(a: tuple[Any, ...], b: tuple[Any, ...]) -> Any:
    """Return the generalised IoU of boxes cx, cy, w, h, from -1 to 1, in the shape of their coordinates.

    As in the model zoo, boxes apart in both directions have a positive "intersection", the product of the gaps.
    """
    ax1, ay1, ax2, ay2 = corners(*a)
    bx1, by1, bx2, by2 = corners(*b)
    shared = (ops.minimum(ax2, bx2) - ops.maximum(ax1, bx1)) * (ops.minimum(ay2, by2) - ops.maximum(ay1, by1))
    union = a[2] * a[3] + b[2] * b[3] - shared + _EPSILON
    hull = (ops.maximum(ax2, bx2) - ops.minimum(ax1, bx1)) * (ops.maximum(ay2, by2) - ops.minimum(ay1, by1)) + _EPSILON
    return ops.clamp(shared / union - (hull - union) / hull, -1.0, 1.0)
