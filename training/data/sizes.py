"""Which size the canvas has in which batch: multi-scale training."""

from __future__ import annotations

import functools
import math
import random

import numpy as np

TEN_SIZES = tuple(range(320, 609, 32))  # px, of the model zoo's YOLOv3
ELEVEN_SIZES = tuple(range(416, 737, 32))  # px, of the model zoo's YOLOv4
_KEYS = 1_000_000


def canvas_size(sizes: tuple[int, ...], epoch: int, batch: int, images: int, resize_rate: int = 1) -> int:
    """Return the side of the canvas (px) in one batch of an epoch, both counted from 0.

    It changes every `resize_rate` batches and hangs on nothing else, so all devices and a resumed run have the same.
    `images` is the number of images in the dataset: it keeps the epochs apart. Drawn as the model zoo does it.
    """
    if len(sizes) == 1:
        return sizes[0]
    place = (epoch * math.ceil(images / resize_rate) + batch // resize_rate) % _KEYS
    return random.Random(int(_keys()[place])).choice(sizes)


@functools.cache
def _keys() -> np.ndarray:
    """Return the model zoo's list of a million seeds."""
    source = random.Random(1234)
    return np.array([source.randint(1, 1000) for _ in range(_KEYS)], np.int16)
