"""A network in training as an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geodetect.engines import padded

if TYPE_CHECKING:
    from mindspore import nn


class LiveNetwork:
    """Runs a MindSpore network that lives in this process, as `geodetect.engines.Engine` says.

    Its graph is compiled once, at the first batch: every batch is filled up to `batch_size`. The network computes as
    in inference (batch normalisation by its running means) and is left in the mode that it was in.
    """

    name = "mindspore"
    precision = "float32"

    def __init__(self, network: nn.Cell, size: int, batch_size: int) -> None:
        from geodetect.networks.runtime import mindspore

        self.version = str(mindspore.__version__)
        self.device = str(mindspore.get_context("device_target"))
        self.batch_size = batch_size
        self.size = size  # side of a canvas, px
        self._network = network

    def predict(self, images: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the raw heads of (b, 3, S, S) canvases; see `Engine.predict`."""
        from geodetect.networks.runtime import mindspore

        if images.shape[1:] != (3, self.size, self.size):
            raise ValueError(f"canvases of {images.shape[1:]} do not suit a network compiled for {self.size} px")
        trains = self._network.training
        self._network.set_train(False)
        try:
            heads = self._network(mindspore.Tensor(np.ascontiguousarray(padded(images, self.batch_size))))
            return tuple(head.asnumpy()[: len(images)] for head in heads)
        finally:
            self._network.set_train(trains)

    def close(self) -> None:
        """Do nothing: the network goes on living."""
