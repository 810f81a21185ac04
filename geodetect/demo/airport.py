"""The airport's pavements and buildings."""

from __future__ import annotations

import numpy as np

from geodetect.demo.canvas import Ground
from geodetect.demo.sprites import shade

TERMINAL = -185.0  # u of the terminal's axis, metres
HALF_TERMINAL = 11.0
APRON = (-310.0, -62.0)  # u of the apron's edges
TAXIWAY = -352.0
RUNWAY = -470.0
BLOCK = 620.0  # metres along the apron: a terminal, then remote stands
TERMINAL_ENDS = (40.0, 420.0)  # in each block


def blocks(half: float) -> np.ndarray:
    """Return v where each block begins, so that the terminal of one crosses the middle of the scene."""
    middle = -sum(TERMINAL_ENDS) / 2
    count = int((half + BLOCK) // BLOCK)
    return middle + BLOCK * np.arange(-count, count + 1)


def draw_airport(ground: Ground, rng: np.random.Generator) -> None:
    """Draw runway, taxiways, apron, terminals and hangars."""
    half = ground.frame.half
    asphalt, concrete = (84, 85, 87), (152, 148, 138)
    ground.rectangle((RUNWAY - 90, APRON[0]), (-half, half), (98, 108, 74), 26)
    for v in np.arange(-half, half, 260.0):
        ground.rectangle((RUNWAY, APRON[0] + 2), (v, v + 24), asphalt, 9)
        ground.line([(RUNWAY, v + 12), (APRON[0], v + 12)], 0.5, (196, 168, 70))
    ground.rectangle((RUNWAY - 32, RUNWAY + 32), (-half, half), (104, 104, 102), 9)
    ground.rectangle((RUNWAY - 23, RUNWAY + 23), (-half, half), (70, 71, 74), 10)
    for side in (-21.5, 21.5):
        ground.line([(RUNWAY + side, -half), (RUNWAY + side, half)], 0.9, (214, 214, 210))
    for v in np.arange(-half, half, 50.0):
        ground.line([(RUNWAY, v), (RUNWAY, v + 30)], 0.9, (214, 214, 210))
    ground.rectangle((TAXIWAY - 12, TAXIWAY + 12), (-half, half), asphalt, 9)
    ground.line([(TAXIWAY, -half), (TAXIWAY, half)], 0.5, (196, 168, 70))
    ground.rectangle(APRON, (-half, half), concrete, 10)
    for u in np.arange(APRON[0], APRON[1] - 7.5, 7.5):
        for v in np.arange(-half, half, 7.5):
            if rng.random() < 0.4:
                ground.rectangle((u, u + 7.5), (v, v + 7.5), shade(concrete, rng.uniform(0.95, 1.04)))
    for u in (APRON[0] + 22, APRON[1] - 10):
        ground.line([(u, -half), (u, half)], 0.5, (190, 160, 70))
    for _ in range(round(half / 6)):  # rubber on the runway, oil on the apron
        v, u = rng.uniform(-half, half), rng.normal(RUNWAY, 5)
        ground.line([(u, v), (u, v + rng.uniform(20, 90))], 0.8, (58, 59, 62))
        u, v = rng.uniform(*APRON), rng.uniform(-half, half)
        ground.rectangle((u, u + rng.uniform(1, 4)), (v, v + rng.uniform(1, 9)), (132, 128, 120))
    for start in blocks(half):
        _terminal(ground, start, rng)
        _hangars(ground, start + BLOCK / 2, rng)


def _terminal(ground: Ground, start: float, rng: np.random.Generator) -> None:
    """Draw a pier of the terminal along the middle of the apron."""
    first, last = start + TERMINAL_ENDS[0], start + TERMINAL_ENDS[1]
    left, right = TERMINAL - HALF_TERMINAL, TERMINAL + HALF_TERMINAL
    ground.building([(left, first), (right, first), (right, last), (left, last)], 12, (202, 202, 198))
    ground.rectangle((TERMINAL - 2, TERMINAL + 2), (first, last), (176, 180, 184))
    for v in np.arange(first + 8, last - 8, 13.0):
        u = TERMINAL + rng.choice((-7.0, 5.0))
        ground.rectangle((u, u + 3), (v, v + 4), (146, 150, 154))
    for v in np.arange(first, last, 31.0):
        ground.line([(left, v), (right, v)], 0.6, (170, 172, 172))


def _hangars(ground: Ground, start: float, rng: np.random.Generator) -> None:
    """Draw a row of hangars on the far side of the runway's grass, with their forecourt."""
    u = RUNWAY + 46.0
    ground.rectangle((u - 4, u + 54), (start - 6, start + 156), (140, 137, 130), 10)
    for v in (start, start + 54, start + 108):
        roof = shade((150, 160, 168), rng.uniform(0.85, 1.15))
        ground.building([(u, v), (u + 30, v), (u + 30, v + 42), (u, v + 42)], 9, roof)
        for rib in np.arange(u + 3, u + 30, 4.5):
            ground.line([(rib, v), (rib, v + 42)], 0.5, shade(roof, 0.92))
