"""The operations that join all devices, as cells for graph mode. Every process must call them in the same order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from geodetect.networks.runtime import nn, ops

_FUSED = 1 << 20  # values of gradients that travel together, 4 MB; more gained nothing, and takes a copy


class Sum(nn.Cell):
    """Adds an array up over all devices."""

    def __init__(self) -> None:
        super().__init__()
        self.reduce = ops.AllReduce()

    def construct(self, x: Any) -> Any:
        """Return the sum, in the shape of x."""
        return self.reduce(x)


class FromFirst(nn.Cell):
    """Gives all devices what the first one has."""

    def __init__(self) -> None:
        super().__init__()
        self.send = ops.Broadcast(0)

    def construct(self, x: Any) -> Any:
        """Return the first device's x."""
        return self.send((x,))[0]


class Reducer(nn.Cell):
    """Averages gradients over all devices, small ones joined so that there are fewer messages.

    Args:
        shapes: of the gradients, in order.
        devices: how many there are.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]], devices: int) -> None:
        super().__init__()
        self.reduce = ops.AllReduce()
        self.share = 1.0 / devices
        self.shapes = tuple(shapes)
        self.sizes = tuple(math.prod(shape) for shape in shapes)
        self.groups = groups(self.sizes)

    def construct(self, gradients: Any) -> Any:
        """Return the averages of a tuple of gradients, in the same order and shapes."""
        averages: tuple[Any, ...] = ()
        for group in self.groups:
            if len(group) == 1:
                averages += (self.reduce(gradients[group[0]]) * self.share,)
            else:
                averages += self._joined(gradients, group)
        return averages

    def _joined(self, gradients: Any, group: tuple[int, ...]) -> Any:
        flat: tuple[Any, ...] = ()
        for index in group:
            flat += (gradients[index].reshape(-1),)
        joined = self.reduce(ops.concat(flat)) * self.share
        averages: tuple[Any, ...] = ()
        start = 0
        for index in group:
            averages += (joined[start : start + self.sizes[index]].reshape(self.shapes[index]),)
            start += self.sizes[index]
        return averages


def groups(sizes: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return the indices of neighbours that together have no more than 2^20 values; a bigger one is alone."""
    found: list[list[int]] = []
    filled = 0
    for index, size in enumerate(sizes):
        if not found or filled + size > _FUSED:
            found.append([])
            filled = 0
        found[-1].append(index)
        filled += size
    return tuple(tuple(group) for group in found)
