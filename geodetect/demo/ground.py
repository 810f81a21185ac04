"""The ground of the demo scene: fields, houses, an airport, a quay and the sea."""

from __future__ import annotations

import numpy as np

from geodetect.demo.airport import APRON, RUNWAY, draw_airport
from geodetect.demo.canvas import Frame, Ground, noise
from geodetect.demo.coast import coast, draw_harbour, draw_sea, water_mask
from geodetect.demo.sprites import Colour, shade


def draw_ground(frame: Frame, rng: np.random.Generator) -> np.ndarray:
    """Return the ground without any plane or ship, (size, size, 3) uint8."""
    ground = Ground(frame, (104, 106, 78), 30)
    _fields(ground, rng)
    _town(ground, rng)
    draw_airport(ground, rng)
    water = water_mask(frame)
    pixels = np.where(water[..., None] > 0, draw_sea(frame, water, rng), _textured(ground, rng)).astype(np.uint8)
    ground.replace(pixels)
    draw_harbour(ground, rng)
    return np.array(ground.image)


def _fields(ground: Ground, rng: np.random.Generator) -> None:
    """Draw farmland behind the runway and grass around it."""
    far = -ground.frame.half * 1.7
    colours: tuple[Colour, ...] = (
        (118, 112, 80), (92, 104, 66), (136, 122, 90), (78, 94, 60), (150, 136, 104), (104, 116, 72), (124, 100, 76),
    )  # fmt: skip
    u = RUNWAY - 110
    while u > far:
        deep = rng.uniform(110, 230)
        v = -ground.frame.half
        while v < ground.frame.half:
            wide = rng.uniform(90, 260)
            colour = shade(colours[rng.integers(len(colours))], rng.uniform(0.9, 1.1))
            ground.rectangle((u - deep + 5, u), (v, v + wide - 5), colour, int(rng.integers(18, 36)))
            for furrow in np.arange(v + 3, v + wide - 8, 7.0):
                ground.line([(u - deep + 7, furrow), (u - 2, furrow)], 1.0, shade(colour, 0.94))
            v += wide
        ground.rectangle((u - deep - 3, u - deep + 3), (-ground.frame.half, ground.frame.half), (158, 146, 120), 10)
        u -= deep + 6


def _town(ground: Ground, rng: np.random.Generator) -> None:
    """Draw a road with houses and trees between the apron and the shore, beyond the harbour."""
    roofs: tuple[Colour, ...] = ((150, 92, 70), (136, 130, 122), (160, 154, 144), (126, 86, 70), (104, 108, 114))
    half = ground.frame.half
    ground.rectangle((APRON[1] + 14, APRON[1] + 21), (-half, half), (92, 92, 92), 8)
    for v in np.arange(-half, half, 19.0):
        away = abs(v) > 360
        room = float(coast(np.float64(v))) - (APRON[1] + 24) if away else 0
        for u in np.arange(APRON[1] + 27, APRON[1] + 12 + room, 21.0):
            if rng.random() < 0.7:
                deep, long = rng.uniform(8, 11), rng.uniform(9, 14)
                ground.gable((u, u + deep), (v, v + long), 5, roofs[rng.integers(len(roofs))])
            ground.tree(u + rng.uniform(13, 17), v + rng.uniform(0, 18), rng.uniform(1.8, 3.4), (66, 82, 48))
    for _ in range(round(2 * half * 0.5)):
        u, v = RUNWAY - 112 - rng.uniform(0, half), rng.uniform(-half, half)
        if rng.random() < 0.6:  # trees stand in rows along the fields' edges
            u = RUNWAY - 108 + rng.normal(0, 3)
        ground.tree(u, v, rng.uniform(2.0, 4.6), (62, 80, 46))


def _textured(ground: Ground, rng: np.random.Generator) -> np.ndarray:
    """Return the land with blotches, grain and slow changes of brightness, (size, size, 3) float32."""
    size = ground.frame.size
    rough = np.asarray(ground.rough, np.float32) / 255
    grain = (
        0.5 * noise(size, 90, rng)
        + 0.45 * noise(size, 22, rng)
        + 0.35 * noise(size, 6, rng)
        + 0.3 * noise(size, 2.2, rng)
    )
    tint = noise(size, 160, rng) * rough
    pixels = np.asarray(ground.image, np.float32) * (1 + rough * grain)[..., None]
    pixels[..., 0] += 40 * tint
    pixels[..., 2] += 14 * tint
    return np.clip(pixels, 0, 255)
