"""Ships and boats seen from above."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from geodetect.demo.sprites import Colour, Pen, Sprite, shade


@dataclass(frozen=True, slots=True)
class Vessel:
    """One type of ship: range of its length in metres, its length over its beam, height of its deck in metres."""

    shortest: float
    longest: float
    slender: float
    deck: float


VESSELS = {
    "container": Vessel(70, 110, 6.4, 11.0),
    "bulk": Vessel(60, 105, 6.2, 7.0),
    "tanker": Vessel(60, 100, 6.0, 6.0),
    "coaster": Vessel(38, 68, 5.4, 4.5),
    "trawler": Vessel(24, 40, 3.6, 3.0),
    "yacht": Vessel(16, 34, 3.7, 3.0),
}
HULLS: tuple[Colour, ...] = ((112, 40, 34), (36, 52, 92), (52, 56, 60), (46, 84, 78), (150, 62, 44))
BOXES: tuple[Colour, ...] = (
    (176, 62, 48), (52, 96, 152), (190, 188, 180), (78, 128, 84), (206, 142, 60), (128, 74, 58), (96, 108, 124),
)  # fmt: skip
WHITE: Colour = (236, 236, 230)


def draw_ship(
    kind: str, length: float, centre: tuple[float, float], heading: float, gsd: float, rng: np.random.Generator
) -> Sprite:
    """Return a ship.

    Args:
        kind: a key of VESSELS.
        length: metres over all.
        centre: x, y of its middle, px, scene frame.
        heading: of its bow, degrees clockwise from the top of the image.
        gsd: metres a pixel.
        rng: picks colours and cargo.
    """
    vessel = VESSELS[kind]
    beam = length / vessel.slender
    pen = Pen(centre, heading, gsd)
    paint = {
        "container": _container, "bulk": _bulk, "tanker": _tanker,
        "coaster": _coaster, "trawler": _trawler, "yacht": _yacht,
    }[kind]  # fmt: skip
    paint(pen, length, beam, rng)
    return pen.sprite(height=vessel.deck)


def draw_wake(
    length: float, beam: float, centre: tuple[float, float], heading: float, gsd: float, rng: np.random.Generator
) -> Sprite:
    """Return the foam behind a ship under way: a turbulent middle and two arms that spread and fade."""
    trail = min(length * rng.uniform(1.6, 3.2), 110 + 0.6 * length)
    pen = Pen(centre, heading, gsd)
    steps = np.linspace(0, 1, 33)
    for near, far in itertools.pairwise(steps):
        fade = (1 - near) ** 1.7 * rng.uniform(0.4, 1) * min(1.0, 45 / length)
        x = (-length * 0.46 - near * trail, -length * 0.46 - far * trail)
        wide = beam * (0.26 + 0.3 * near)
        pen.rectangle(x, (-wide, wide), (168, 188, 188), 0.34 * fade)
        inner, outer = (beam * 0.42 + spread * trail * 0.10 for spread in (near, far))
        thick = beam * 0.13 * (1 + near)
        arm = np.array([(x[0], inner), (x[0], inner + thick), (x[1], outer + thick), (x[1], outer)])
        pen.polygon(arm, (196, 210, 208), 0.5 * fade)
        pen.polygon(arm * (1, -1), (196, 210, 208), 0.5 * fade)
    return pen.sprite(height=0.0, supersample=2)


def hull(length: float, beam: float, bow: float, stern: float = 0.85) -> np.ndarray:
    """Return a hull's outline, (N, 2) metres: `bow` is the pointed part of the length, `stern` the transom's width."""
    t = np.linspace(1, 0, 9)
    ahead = np.stack([length / 2 - bow * length * (1 - t), beam / 2 * (1 - t) ** 0.55], 1)
    aft = np.array(
        [
            (-0.42 * length, beam / 2),
            (-0.485 * length, beam / 2 * (1 + stern) / 2),
            (-0.5 * length, beam / 2 * stern * 0.8),
        ]
    )
    side = np.concatenate([ahead, aft])
    return np.concatenate([side, side[::-1] * (1, -1)])


def _hull(pen: Pen, length: float, beam: float, bow: float, colour: Colour, deck: Colour) -> None:
    pen.polygon(hull(length, beam, bow), colour)
    pen.polygon(hull(length, beam, bow) * (0.975, 0.86), deck)


def _house(pen: Pen, x: tuple[float, float], wide: float, height: float, colour: Colour = WHITE) -> None:
    """Draw a deckhouse with the side that lies in its own shadow, `wide` metres to either side of the axis."""
    pen.rectangle((x[0], x[1] + 0.3 * height), (-wide, wide), (52, 46, 46))
    pen.rectangle(x, (-wide, wide), colour)
    pen.rectangle(x, (-pen.sunny * wide, -pen.sunny * wide * 0.5), shade(colour, 0.8))
    middle = (x[0] + x[1]) / 2
    pen.rectangle((middle - 0.6, middle + 1.2), (-wide * 0.35, wide * 0.35), shade(colour, 0.55))


def _container(pen: Pen, length: float, beam: float, rng: np.random.Generator) -> None:
    colour = HULLS[rng.integers(len(HULLS))]
    _hull(pen, length, beam, 0.16, colour, shade(colour, 1.35))
    bays = int((0.74 * length) // 13.5)
    rows = max(3, int(beam * 0.86 // 2.5))
    step = beam * 0.86 / rows
    for bay in range(bays):
        x = 0.37 * length - bay * 13.5
        if rng.random() < 0.1:
            pen.rectangle((x - 12.2, x), (-beam * 0.43, beam * 0.43), (96, 84, 78))
            continue
        main = BOXES[rng.integers(len(BOXES))]
        for row in range(rows):
            box = main if rng.random() < 0.4 else BOXES[rng.integers(len(BOXES))]
            y = -beam * 0.43 + row * step
            pen.rectangle((x - 12.2, x), (y, y + step * 0.94), shade(box, rng.uniform(0.85, 1.15)))
    _house(pen, (-0.47 * length, -0.385 * length), beam * 0.46, 5.0)


def _bulk(pen: Pen, length: float, beam: float, rng: np.random.Generator) -> None:
    colour = HULLS[rng.integers(len(HULLS))]
    deck: Colour = ((142, 74, 58), (120, 92, 80), (92, 110, 96))[rng.integers(3)]
    _hull(pen, length, beam, 0.14, colour, deck)
    hatches = max(3, int(length / 24))
    space = 0.74 * length / hatches
    cover = ((176, 110, 90), (168, 160, 150), (110, 128, 116))[rng.integers(3)]
    for hatch in range(hatches):
        x = 0.39 * length - hatch * space
        pen.rectangle((x - 0.74 * space - 0.8, x - 0.8), (-beam * 0.27 + 0.8, beam * 0.27 + 0.8), shade(deck, 0.45))
        pen.rectangle((x - 0.74 * space, x), (-beam * 0.27, beam * 0.27), cover)
        pen.rectangle((x - 0.87 * space - 0.9, x - 0.87 * space + 0.9), (-beam * 0.16, beam * 0.16), (214, 206, 190))
    _house(pen, (-0.465 * length, -0.375 * length), beam * 0.44, 4.5)


def _tanker(pen: Pen, length: float, beam: float, rng: np.random.Generator) -> None:
    colour = HULLS[rng.integers(len(HULLS))]
    deck: Colour = ((150, 66, 50), (128, 70, 58), (88, 112, 98))[rng.integers(3)]
    _hull(pen, length, beam, 0.14, colour, deck)
    pen.rectangle((-0.34 * length, 0.38 * length), (-beam * 0.045, beam * 0.045), (206, 196, 184))
    pen.rectangle((-0.01 * length, 0.015 * length), (-beam * 0.40, beam * 0.40), (206, 198, 186))
    for x in np.linspace(-0.26, 0.34, 7) * length:
        pen.rectangle((x - 0.5, x + 0.5), (-beam * 0.36, beam * 0.36), shade(deck, 0.72))
    _house(pen, (-0.46 * length, -0.365 * length), beam * 0.43, 4.5)
    pen.rectangle((-0.485 * length, -0.468 * length), (-beam * 0.16, beam * 0.16), (196, 120, 40))


def _coaster(pen: Pen, length: float, beam: float, rng: np.random.Generator) -> None:
    colour = HULLS[rng.integers(len(HULLS))]
    _hull(pen, length, beam, 0.18, colour, (164, 152, 136))
    hold = ((120, 70, 54), (98, 104, 108), (140, 128, 104))[rng.integers(3)]
    pen.rectangle((-0.22 * length, 0.30 * length), (-beam * 0.31, beam * 0.31), shade(hold, 0.55))
    pen.rectangle((-0.215 * length, 0.295 * length), (-beam * 0.29, beam * 0.29), hold)
    _house(pen, (-0.44 * length, -0.27 * length), beam * 0.40, 3.0)


def _trawler(pen: Pen, length: float, beam: float, rng: np.random.Generator) -> None:
    colour = (*HULLS, (206, 204, 196))[rng.integers(len(HULLS) + 1)]
    _hull(pen, length, beam, 0.30, colour, (176, 164, 142))
    pen.rectangle((-0.40 * length, -0.02 * length), (-beam * 0.30, beam * 0.30), (128, 112, 94))
    _house(pen, (0.02 * length, 0.24 * length), beam * 0.34, 2.0)
    pen.rectangle((-0.42 * length, -0.36 * length), (-beam * 0.36, beam * 0.36), (214, 190, 120))


def _yacht(pen: Pen, length: float, beam: float, rng: np.random.Generator) -> None:
    _hull(pen, length, beam, 0.46, (232, 234, 232), (248, 247, 242))
    teak: Colour = ((166, 132, 96), (196, 182, 158))[rng.integers(2)]
    pen.rectangle((-0.47 * length, -0.30 * length), (-beam * 0.34, beam * 0.34), teak)
    _house(pen, (-0.30 * length, 0.12 * length), beam * 0.33, 1.4, (250, 250, 248))
    glass = [
        (0.12 * length, beam * 0.32),
        (0.21 * length, beam * 0.18),
        (0.21 * length, -beam * 0.18),
        (0.12 * length, -beam * 0.32),
    ]
    pen.polygon(glass, (40, 52, 66))
    pen.rectangle((-0.18 * length, -0.06 * length), (-beam * 0.2, beam * 0.2), (70, 84, 100))
