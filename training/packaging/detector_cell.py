"""The detection layer in MindSpore; see `training.packaging.detector`."""

from __future__ import annotations

from typing import Any

import numpy as np

from geodetect.card import ModelCard
from geodetect.decode import LARGEST_EXPONENT
from geodetect.networks.runtime import mindspore, nn, ops
from training.packaging.detector import Level, levels


class DetectorCell(nn.Cell):
    """RGB / 255 (B, 3, S, S) to predictions (B, A, 5 + C) of canvases of the card's size."""

    def __init__(self, network: nn.Cell, card: ModelCard) -> None:
        super().__init__()
        self.network = network
        self.layers = nn.CellList([LevelCell(level) for level in levels(card.heads, card.input.size)])
        self.mean, self.std = (
            mindspore.Tensor(np.array(values, np.float32).reshape(1, 3, 1, 1))
            for values in (card.input.mean, card.input.std)
        )

    def construct(self, x: Any) -> Any:
        """Return the predictions of all heads, big stride to small."""
        heads = self.network((x - self.mean) / self.std)
        parts: tuple[Any, ...] = ()
        for index, layer in enumerate(self.layers):
            parts += (layer(heads[index]),)
        return ops.concat(parts, axis=1)


class LevelCell(nn.Cell):
    """One raw head (B, A * (5 + C), G, G) to its predictions (B, A * G * G, 5 + C)."""

    def __init__(self, level: Level) -> None:
        super().__init__()
        self.side, self.rows, self.gain = level.side, level.offset.shape[1], level.gain
        self.anchors = self.rows // level.side**2
        self.offset, self.anchor = mindspore.Tensor(level.offset), mindspore.Tensor(level.anchor)

    def construct(self, head: Any) -> Any:
        """Return cx, cy, w, h in canvas px, objectness and classes."""
        batch, channels, _, _ = head.shape
        values = channels // self.anchors
        x = head.reshape((batch, self.anchors, values, self.side, self.side)).transpose((0, 1, 3, 4, 2))
        x = x.reshape((batch, self.rows, values))
        xy = ops.sigmoid(x[:, :, 0:2]) * self.gain + self.offset
        wh = ops.exp(ops.minimum(x[:, :, 2:4], LARGEST_EXPONENT)) * self.anchor
        return ops.concat((xy, wh, ops.sigmoid(x[:, :, 4:])), axis=2)
