"""The shore, the harbour and the sea."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from geodetect.demo.canvas import Frame, Ground, noise
from geodetect.demo.sprites import Colour, shade

QUAY = -20.0  # u of the quay's edge; the sea begins there
PIERS = 170.0  # metres from one pier to the next


def coast(v: np.ndarray | np.floating) -> np.ndarray:
    """Return u of the waterline at v: straight at the harbour, wavy elsewhere."""
    return QUAY + 26 * np.clip(np.abs(v) / 300 - 1.2, 0, 1) * (np.sin(v / 95) + 0.5 * np.sin(v / 37 + 1) + 0.6)


def pier_length(frame: Frame) -> float:
    """Return how far the piers reach into the sea, metres; less in a small scene, so that open water remains."""
    return min(230.0, 0.2 * frame.size * frame.gsd)


def pier_places(frame: Frame) -> np.ndarray:
    """Return v of each pier's axis."""
    count = int(min(frame.half, 345) // PIERS)
    return np.arange(-count, count + 1) * PIERS if count else np.array([0.0])


def draw_harbour(ground: Ground, rng: np.random.Generator) -> None:
    """Draw the quay and its piers over the water."""
    half, length = ground.frame.half, pier_length(ground.frame)
    for v in pier_places(ground.frame):
        pier = [(QUAY - 6, v - 7), (QUAY + length, v - 7), (QUAY + length, v + 7), (QUAY - 6, v + 7)]
        ground.building(pier, 3, (146, 142, 134))
        ground.line([(QUAY, v), (QUAY + length - 4, v)], 3.0, (122, 120, 116))
        for u in np.arange(QUAY + 12, QUAY + length - 14, 22.0):
            if rng.random() < 0.4:
                side = rng.choice((-5.5, 2.5))
                ground.rectangle((u, u + 9), (v + side, v + side + 3), (118, 98, 84))
    end = min(half, 345)
    ground.rectangle((QUAY - 34, QUAY), (-end, end), (134, 131, 124))
    for v in np.arange(-end, end - 20, 16.0):
        colour: Colour = ((150, 78, 62), (70, 96, 134), (162, 158, 150), (98, 120, 96))[rng.integers(4)]
        for u in (QUAY - 30, QUAY - 25):
            if rng.random() < 0.7:
                ground.rectangle((u, u + 2.6), (v, v + 12.2), shade(colour, rng.uniform(0.8, 1.1)))


def water_mask(frame: Frame) -> np.ndarray:
    """Return the water's mask, (size, size) uint8."""
    v = np.linspace(-frame.half * 1.4, frame.half * 1.4, 600)
    shore = np.stack([coast(v), v], 1)
    far = frame.half * 3
    corners = frame.pixels(np.concatenate([shore, [(far, v[-1]), (far, v[0])]]))
    mask = Image.new("L", (frame.size, frame.size), 0)
    ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in corners], 255)
    return np.asarray(mask)


def draw_sea(frame: Frame, water: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the sea, paler near the shore, with swell, (size, size, 3) float32."""
    size = frame.size
    small = Image.fromarray(255 - water).resize((max(8, size // 16),) * 2, Image.Resampling.BOX)
    near = small.filter(ImageFilter.GaussianBlur(60 / (16 * frame.gsd))).resize((size, size), Image.Resampling.BICUBIC)
    shallow = np.clip(np.asarray(near, np.float32) / 127, 0, 1)[..., None]
    swell = noise(size, 14, rng, 0.45) * 0.6 + noise(size, 5, rng, 0.6) * 0.7 + noise(size, 300, rng) * 0.9
    deep, pale = np.array([24, 50, 62], np.float32), np.array([58, 92, 96], np.float32)
    return np.clip(deep + (pale - deep) * shallow + 2.6 * swell[..., None], 0, 255)
