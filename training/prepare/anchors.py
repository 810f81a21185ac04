"""Anchors that fit the boxes of a data set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geodetect.errors import ConfigError

_MOST = 20_000  # boxes; more change no anchor by half a px
_STARTS, _ROUNDS = 8, 100


@dataclass(frozen=True)
class Anchors:
    """Anchors of a network.

    Attributes:
        size: side of the network's input that they are for, px.
        sizes: (width, height), canvas px, three a head, big stride to small, as a model card has them.
        mean_iou: mean over the boxes of the IoU with their best anchor, both centred at the same place.
    """

    size: int
    sizes: tuple[tuple[tuple[float, float], ...], ...]
    mean_iou: float


def fit_anchors(sides: np.ndarray, count: int, size: int) -> Anchors:
    """Return `count` anchors for boxes of `sides` (N, 2), width and height in canvas px, by k-means on IoU.

    The best of several starts is taken; each is drawn with a fixed seed from the sorted boxes, so that the result
    depends on the boxes alone. After Redmon and Farhadi, YOLO9000, section 2: distance 1 - IoU.

    Raises:
        ConfigError: there are less different boxes than anchors.
    """
    order = np.lexsort((sides[:, 1], sides[:, 0], sides.prod(1)))
    sides = sides[order][:: max(1, -(-len(sides) // _MOST))]
    if len(np.unique(sides, axis=0)) < count:
        raise ConfigError(f"anchors is {count}, more than there are different boxes; give less, or label more")
    found = (_cluster(sides, _start(sides, count, seed)) for seed in range(_STARTS))
    centres = max(found, key=lambda centres: shape_iou(sides, centres).max(1).mean())
    centres = np.round(centres[np.argsort(centres.prod(1), kind="stable")], 1)
    heads = centres.reshape(-1, 3, 2)[::-1]
    sizes = tuple(tuple((float(width), float(height)) for width, height in head) for head in heads)
    return Anchors(size, sizes, float(shape_iou(sides, centres).max(1).mean()))


def _start(sides: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return `count` of the boxes, each drawn the likelier the less the others are like it (k-means++)."""
    rng = np.random.default_rng(seed)
    centres = sides[[rng.integers(len(sides))]]
    while len(centres) < count:
        distance = np.maximum(1 - shape_iou(sides, centres).max(1), 0) ** 2
        reached = np.cumsum(distance)
        centres = np.vstack([centres, sides[np.searchsorted(reached, rng.random() * reached[-1], side="right")]])
    return centres


def _cluster(sides: np.ndarray, centres: np.ndarray) -> np.ndarray:
    owner = np.full(len(sides), -1)
    for _ in range(_ROUNDS):
        nearest = shape_iou(sides, centres).argmax(1)
        if (nearest == owner).all():
            break
        owner = nearest
        means = [sides[owner == k].mean(0) if (owner == k).any() else centre for k, centre in enumerate(centres)]
        centres = np.array(means)
    return centres


def shape_iou(sides: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Return the IoU (N, A) of boxes and anchors, (N, 2) and (A, 2), when they have the same centre."""
    shared = np.minimum(sides[:, None, 0], anchors[None, :, 0]) * np.minimum(sides[:, None, 1], anchors[None, :, 1])
    return shared / (sides.prod(1)[:, None] + anchors.prod(1)[None] - shared)
