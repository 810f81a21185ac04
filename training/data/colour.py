"""Changes of hue, saturation and value, in 8 bits as the model zoo makes them."""

from __future__ import annotations

import numpy as np
from PIL import Image

_LEVELS = np.arange(256)


def draw_shift(hue: float, limit_s: float, limit_v: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return a turn of the hue and factors of saturation and value.

    The turn is even within -hue..hue, of the full circle. A factor is even between 1 and its limit, or one over
    that, by an even chance.
    """
    turn = rng.uniform(-1, 1) * hue
    factors = 1 + rng.random(2) * (np.array([limit_s, limit_v]) - 1)
    factors = np.where(rng.random(2) < 0.5, factors, 1 / factors)
    return float(turn), float(factors[0]), float(factors[1])


def shift_colours(image: np.ndarray, turn: float, saturation: float, value: float) -> np.ndarray:
    """Return the image (h, w, 3) uint8 with its hue turned (1 is a full circle) and the other two multiplied.

    Without a change the image comes back as it is; else each pixel passes through 8 bits a channel of HSV, which
    moves it by up to 4 levels.
    """
    if round(turn * 256) % 256 == 0 and saturation == value == 1:
        return image
    tables = (
        (_LEVELS + round(turn * 256)) % 256,
        np.minimum(_LEVELS * saturation, 255),
        np.minimum(_LEVELS * value, 255),
    )
    table = np.concatenate(tables).astype(np.uint8).tolist()
    return np.asarray(Image.fromarray(image).convert("HSV").point(table).convert("RGB"))
