"""How often each image comes in an epoch, so that rare classes and crowded images are seen as well."""

from __future__ import annotations

import numpy as np

from training.data.index import Index


def draw_images(index: Index, balance: float, crowds: float, rng: np.random.Generator) -> np.ndarray:
    """Return the images of an epoch, (N,) for N images of the index, in ascending order.

    By `balance` and `crowds` 0 each comes once. Else an image's share is that of its rarest class, (images / images
    with that class) ** balance, so 0.5 is the usual square root and by 1 all classes come equally often where no image
    has two; times objects ** crowds, so that by 1 an image with ten objects comes as often as ten with one. Images
    without an object have the share of a class that is everywhere, and of one object. An image comes as often as its
    share says, rounded up or down by chance.

    Source: Gupta, Dollár, Girshick, "LVIS", 2019, section E.2, repeat factor sampling.
    """
    count = len(index)
    if not balance and not crowds:
        return np.arange(count)
    reached = np.cumsum(shares(index) ** balance * np.maximum(objects(index), 1) ** crowds)
    return np.searchsorted(reached, (np.arange(count) + rng.random()) * (reached[-1] / count), side="right").clip(
        max=count - 1
    )


def objects(index: Index) -> np.ndarray:
    """Return the number of objects of each image (N,), without those that are ignored."""
    return np.bincount(_owners(index)[~index.ignored], minlength=len(index))


def shares(index: Index) -> np.ndarray:
    """Return, for each image (N,), one through the share of images that have its rarest class; 1 without an object."""
    there = np.zeros((len(index), len(index.classes)), bool)
    there[_owners(index)[~index.ignored], index.labels[~index.ignored]] = True
    rarity = len(index) / np.maximum(there.sum(axis=0), 1)
    return np.where(there, rarity, 1.0).max(axis=1, initial=1.0)


def _owners(index: Index) -> np.ndarray:
    return np.repeat(np.arange(len(index)), np.diff(index.offsets))
