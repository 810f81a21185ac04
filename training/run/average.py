"""The moving average of a network's parameters: steadier than the parameters, above all where training is short."""

from __future__ import annotations

from typing import Any

from geodetect.networks.runtime import nn, ops

_EARLY = 10  # steps; without them the average would hang on to the weights of the start for 1 / (1 - decay) steps


class Average:
    """Holds the exponential moving average of a network's parameters, statistics of batch normalisation too.

    Source: Polyak, Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; decay and its ramp as in
    TensorFlow's ExponentialMovingAverage.

    Attributes:
        network: one that has the averages for parameters.

    Args:
        network: of the same family and classes as the trained one.
        trained: the network in training.
        decay: share of the average that a step keeps in the long run, 0 to below 1.
    """

    def __init__(self, network: nn.Cell, trained: nn.Cell, decay: float) -> None:
        self.network, self._decay = network, decay
        values = {item.name: item for item in trained.get_parameters()}
        self._pairs: list[tuple[Any, Any]] = [(item, values[item.name]) for item in network.get_parameters()]

    def update(self, step: int) -> None:
        """Take in the parameters as they are after a step of the run, counted from 1."""
        moved = 1 - keep(self._decay, step)
        for average, value in self._pairs:
            ops.assign(average, ops.lerp(average, value, moved))


def keep(decay: float, step: int) -> float:
    """Return the share of the average that a step of the run, counted from 1, keeps: grows to `decay`."""
    return min(decay, step / (step + _EARLY - 1))
