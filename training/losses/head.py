"""What the losses of all families share: a head's raw values, the boxes they mean, and which of them are background.

Boxes are tuples of arrays, coordinate by coordinate, in fractions of the canvas. The heads keep their layout.
"""

from __future__ import annotations

from typing import Any

from geodetect.card import ANCHORS, Heads
from geodetect.decode import LARGEST_EXPONENT
from geodetect.networks.runtime import mindspore, nn, ops

_BLOCK = 64  # boxes that predictions are compared with at once; bounds the memory


class HeadLoss(nn.Cell):
    """The loss of one head, term by term; a family fills in `box_terms`.

    Args:
        heads: the model card's `heads`.
        level: which of them.
        n_classes: number of classes.
        ignore_threshold: see `training.losses.make_loss`.
    """

    def __init__(self, heads: Heads, level: int, n_classes: int, ignore_threshold: float) -> None:
        super().__init__()
        self.stride, self.scale = heads.strides[level], heads.scale_xy[level]
        self.n_classes, self.threshold = n_classes, ignore_threshold
        sizes = [[[[size[side]]] for size in heads.anchors[level]] for side in (0, 1)]
        self.anchor_width, self.anchor_height = (mindspore.Tensor([side], mindspore.float32) for side in sizes)
        self.entropy = ops.SigmoidCrossEntropyWithLogits()

    def construct(self, raw: Any, truth: Any, boxes: Any, ignored: Any) -> tuple[Any, ...]:
        """Return the sum of each term, box terms first, then objectness and class.

        Args:
            raw: (B, 3 * (5 + C), G, G).
            truth: (B, 3, 5 + C, G, G).
            boxes: (B, M, 4) cx, cy, w, h, fractions of the canvas.
            ignored: (B, I, 4) likewise.
        """
        batch, channels, rows, columns = raw.shape
        raw = raw.reshape((batch, ANCHORS, channels // ANCHORS, rows, columns))
        xy, wh, objectness, classes = ops.split(raw, (2, 2, 1, self.n_classes), axis=2)
        true_box, there, true_classes = truth[:, :, :4], truth[:, :, 4:5], truth[:, :, 5:]
        predicted = self.decoded(xy, wh)
        fixed = tuple(ops.stop_gradient(value) for value in predicted)
        counted = there + (1 - there) * background(fixed, boxes, ignored, self.threshold)
        return (
            *self.box_terms((xy, wh), predicted, true_box, there),
            (counted * self.entropy(objectness, there)).sum(),
            (there * self.entropy(classes, true_classes)).sum(),
        )

    def box_terms(self, raw: tuple[Any, Any], predicted: tuple[Any, ...], truth: Any, there: Any) -> tuple[Any, ...]:
        """Return the sums of the terms that place boxes.

        Args:
            raw: offsets and sizes, each (B, 3, 2, G, G).
            predicted: cx, cy, w, h, each (B, 3, G, G).
            truth: (B, 3, 4, G, G), zero where no object is.
            there: (B, 3, 1, G, G) 1 where an object is, else 0.
        """
        raise NotImplementedError

    def decoded(self, xy: Any, wh: Any) -> tuple[Any, Any, Any, Any]:
        """Return cx, cy, w, h, each (B, 3, G, G)."""
        rows, columns = xy.shape[3:]
        centre = self.scale * ops.sigmoid(xy) - (self.scale - 1) / 2
        size = ops.exp(ops.minimum(wh, LARGEST_EXPONENT))
        return (
            (centre[:, :, 0] + cells(columns)) / columns,
            (centre[:, :, 1] + cells(rows).reshape((-1, 1))) / rows,
            size[:, :, 0] * (self.anchor_width / (columns * self.stride)),
            size[:, :, 1] * (self.anchor_height / (rows * self.stride)),
        )


def cells(count: int) -> Any:
    """Return 0, 1, ... as (count,) float32."""
    return ops.arange(0, count, dtype=mindspore.float32)


def corners(cx: Any, cy: Any, w: Any, h: Any) -> tuple[Any, Any, Any, Any]:
    """Return x1, y1, x2, y2."""
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2


def background(predicted: tuple[Any, ...], boxes: Any, ignored: Any, threshold: float) -> Any:
    """Return 1 where a prediction that is no object must not look like one, else 0; (B, 3, 1, G, G).

    Args:
        predicted: cx, cy, w, h, each (B, 3, G, G).
        boxes: (B, M, 4) cx, cy, w, h; a prediction with more than `threshold` IoU with one of them may look like it.
        ignored: (B, I, 4) likewise; one that lies in one of them with more than half of its area may look as it likes.
        threshold: above 0.
    """
    batch, anchors, rows, columns = predicted[0].shape
    flat = tuple(value.reshape((batch, 1, -1)) for value in predicted)
    x1, y1, x2, y2 = corners(*flat)
    area = flat[2] * flat[3]
    # without a division: IoU > t is shared > t * (area + true area - shared); a padding row gives values below 0
    worst = excess((x1, y1, x2, y2), ignored, 0.0, 1.0) - 0.5 * area
    near = excess((x1, y1, x2, y2), boxes, threshold, 1 + threshold) - threshold * area
    free = ops.logical_and(worst <= 0, near <= 0)
    return free.astype(mindspore.float32).reshape((batch, anchors, 1, rows, columns))


def excess(predicted: tuple[Any, ...], boxes: Any, of_area: float, of_shared: float) -> Any:
    """Return the largest of_shared * shared area - of_area * box area over all boxes; (B, 1, N).

    Args:
        predicted: x1, y1, x2, y2, each (B, 1, N).
        boxes: (B, M, 4) cx, cy, w, h.
        of_area, of_shared: factors.
    """
    x1, y1, x2, y2 = predicted
    most = None
    for first in range(0, boxes.shape[1], _BLOCK):
        block = boxes[:, first : first + _BLOCK]
        cx, cy, w, h = block[:, :, 0:1], block[:, :, 1:2], block[:, :, 2:3], block[:, :, 3:4]
        left, top, right, bottom = corners(cx, cy, w, h)
        width = ops.relu((x2 - x1) - ops.relu(x2 - right) - ops.relu(left - x1))  # minimum() of two shapes is slow
        height = ops.relu((y2 - y1) - ops.relu(y2 - bottom) - ops.relu(top - y1))
        value = (of_shared * width * height - of_area * w * h).max(axis=1, keepdims=True)
        most = value if most is None else ops.maximum(most, value)
    return most


class FamilyLoss(nn.Cell):
    """The sum over all heads; a family names its terms and their weights.

    Args:
        heads: the model card's `heads`.
        n_classes: number of classes.
        ignore_threshold: see `training.losses.make_loss`.
    """

    terms: tuple[str, ...] = ()
    head_loss: type[HeadLoss]
    term_weights: tuple[float, ...] = ()
    big_weight = 1.0  # of the head of the biggest stride; the others count once

    def __init__(self, heads: Heads, n_classes: int, ignore_threshold: float) -> None:
        super().__init__()
        losses = [self.head_loss(heads, level, n_classes, ignore_threshold) for level in range(len(heads.strides))]
        self.heads = nn.CellList(losses)
        self.weights = mindspore.Tensor(self.term_weights, mindspore.float32)

    def construct(self, raw: tuple[Any, ...], targets: tuple[Any, ...]) -> tuple[Any, Any]:
        """Return the loss and its terms, see `training.losses.make_loss`."""
        ignored = targets[-1]
        terms = 0.0
        for level, loss in enumerate(self.heads):
            sums = ops.stack(loss(raw[level], targets[2 * level], targets[2 * level + 1], ignored))
            terms = terms + (self.big_weight if level == 0 else 1.0) * sums
        terms = terms * self.weights / raw[0].shape[0]
        return terms.sum(), terms
