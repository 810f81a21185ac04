"""YOLOv3's loss: cross-entropy of the offset in the cell, squared error of the logarithmic size.

Source: Redmon, Farhadi, "YOLOv3: An Incremental Improvement", 2018, section 2.1, as the model zoo has it.
"""

from __future__ import annotations

from typing import Any

from geodetect.networks.runtime import ops
from training.losses.head import FamilyLoss, HeadLoss, cells


class _Head(HeadLoss):
    def box_terms(self, raw: tuple[Any, Any], predicted: tuple[Any, ...], truth: Any, there: Any) -> tuple[Any, ...]:
        """Return the sums of xy and wh; small objects count up to twice as much as large ones."""
        xy, wh = raw
        rows, columns = xy.shape[3:]
        cx, cy, w, h = (truth[:, :, i] for i in range(4))
        offset = ops.stack((cx * columns - cells(columns), cy * rows - cells(rows).reshape((-1, 1))), axis=2)
        anchors = (self.anchor_width / (columns * self.stride), self.anchor_height / (rows * self.stride))
        size = ops.stack((w / anchors[0], h / anchors[1]), axis=2)
        size = ops.log(size + (1 - there))  # log 1 = 0 where no object is
        weight = there * (2 - w * h).expand_dims(2)
        return (weight * self.entropy(xy, offset)).sum(), (weight * 0.5 * ops.square(wh - size)).sum()


class YOLOv3Loss(FamilyLoss):
    """See `training.losses.make_loss`."""

    terms = ("xy", "wh", "objectness", "class")
    head_loss = _Head
    term_weights = (1.0, 1.0, 1.0, 1.0)
