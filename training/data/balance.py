"""How often each image comes in an epoch, so that rare classes are seen as well."""

from __future__ import annotations

import numpy as np

from training.data.index import Index


def draw_images(index: Index, balance: float, rng: np.random.Generator) -> np.ndarray:
    """Return the images of an epoch, (N,) for N images of the index, in ascending order.

    By `balance` 0 each comes once. Else an image's share is that of its rarest class: (images / images with that
    class) ** balance, so 0.5 is the usual square root and by 1 all classes come equally often where no image has two.
    Images without an object have the share of a class that is everywhere. An image comes as often as its share says,
    rounded up or down by chance.

    Source: Gupta, Dollár, Girshick, "LVIS", 2019, section E.2, repeat factor sampling.
    """
    count = len(index)
    if not balance:
        return np.arange(count)
    reached = np.cumsum(shares(index) ** balance)
    return np.searchsorted(reached, (np.arange(count) + rng.random()) * (reached[-1] / count), side="right").clip(
        max=count - 1
    )


def shares(index: Index) -> np.ndarray:
    """Return, for each image (N,), one through the share of images that have its rarest class; 1 without an object."""
    there = np.zeros((len(index), len(index.classes)), bool)
    owner = np.repeat(np.arange(len(index)), np.diff(index.offsets))
    there[owner[~index.ignored], index.labels[~index.ignored]] = True
    rarity = len(index) / np.maximum(there.sum(axis=0), 1)
    return np.where(there, rarity, 1.0).max(axis=1, initial=1.0)
