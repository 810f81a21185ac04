"""Where the planes and ships of the demo scene are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geodetect.demo.airport import APRON, HALF_TERMINAL, RUNWAY, TAXIWAY, TERMINAL, TERMINAL_ENDS, blocks
from geodetect.demo.canvas import Frame
from geodetect.demo.coast import QUAY, coast, pier_length, pier_places
from geodetect.demo.planes import AIRFRAMES, LIVERIES, Airframe, draw_plane
from geodetect.demo.ships import VESSELS, draw_ship, draw_wake
from geodetect.demo.sprites import Box, Colour, Pen, Sprite

STANDS = ("narrow", "stretched", "narrow", "wide", "regional", "narrow", "heavy", "wide", "commuter", "stretched")


@dataclass(frozen=True, slots=True)
class Placed:
    """One object: what is drawn, its class, and its wake where it is under way. Scenery has no class."""

    sprite: Sprite
    name: str | None
    wake: Sprite | None = None


def place_objects(frame: Frame, rng: np.random.Generator) -> list[Placed]:
    """Return what stands on the ground in the order in which it is drawn; planes and ships lie wholly in the scene."""
    placed = [*_gates(frame, rng), *_stands(frame, rng), *_rolling(frame, rng), *_moored(frame, rng)]
    placed = [item for item in placed if item.name is None or inside(item.sprite.box, frame.size)]
    return placed + _afloat(frame, rng, placed)


def inside(box: Box, size: int) -> bool:
    """Return whether a box lies in the scene with a margin of 4 px."""
    return min(box[:2]) >= 4 and max(box[2:]) <= size - 4


def _plane(frame: Frame, kind: str, u: float, v: float, heading: float, rng: np.random.Generator) -> Placed:
    x, y = frame.pixels([(u, v)])[0]
    sprite = draw_plane(kind, int(rng.integers(len(LIVERIES))), (x, y), frame.heading(heading), frame.gsd)
    return Placed(sprite, "plane")


def _gates(frame: Frame, rng: np.random.Generator) -> list[Placed]:
    """Return planes at both sides of the terminals, noses to the wall, with jet bridges and service vehicles."""
    placed = []
    for start in blocks(frame.half):
        for side, heading in ((-1, 90.0), (1, 270.0)):
            v = start + TERMINAL_ENDS[0]
            while True:
                kind = STANDS[rng.integers(len(STANDS))]
                shape = AIRFRAMES[kind]
                v += shape.span / 2 + 5
                if v + shape.span / 2 > start + TERMINAL_ENDS[1] + 5:
                    break
                gap = rng.uniform(8, 12)
                wall = TERMINAL + side * HALF_TERMINAL
                taken = rng.random() < 0.85
                placed += _service(frame, (wall, v), heading, gap, shape, taken, rng)
                if taken:
                    u = wall + side * (gap + shape.length / 2)
                    placed.append(_plane(frame, kind, u, v, heading + rng.normal(0, 1.5), rng))
                v += shape.span / 2 + 5
    return placed


def _service(
    frame: Frame,
    at: tuple[float, float],
    heading: float,
    gap: float,
    shape: Airframe,
    taken: bool,
    rng: np.random.Generator,
) -> list[Placed]:
    """Return the jet bridge of a gate at the wall, and vehicles beside the plane."""
    bridge = Pen(frame.pixels([at])[0], frame.heading(heading), frame.gsd)
    door = -gap - shape.length * (0.10 if taken else 0.02)  # x counts towards the wall
    reach = shape.body / 2 + 0.6 if taken else 7.0
    bridge.polygon([(0, -14), (0, -11), (door + 2, -reach - 0.4), (door + 0.5, -reach - 3)], (186, 186, 182))
    bridge.rectangle((door - 1.4, door + 2.6), (-reach - 3.6, -reach), (160, 162, 162))
    cars = Pen(frame.pixels([at])[0], frame.heading(heading), frame.gsd)
    colours: tuple[Colour, ...] = ((222, 222, 216), (206, 168, 60), (92, 116, 150), (120, 122, 124))
    for _ in range(rng.integers(2, 6)):
        x, y = -rng.uniform(2, gap + 0.3 * shape.length), rng.uniform(shape.body + 2, 13)
        long = rng.uniform(2.5, 6)
        cars.rectangle((x, x + long), (y, y + 2.2), colours[rng.integers(len(colours))])
    return [Placed(bridge.sprite(5.0), None), Placed(cars.sprite(2.0), None)]


def _stands(frame: Frame, rng: np.random.Generator) -> list[Placed]:
    """Return planes on the remote stands between the terminals, those of one place turned alike."""
    planes = []
    for start in blocks(frame.half):
        turned = rng.uniform(20, 70) + 180 * rng.integers(2)
        for u in (APRON[0] + 66, TERMINAL + 8, APRON[1] - 45):
            for v in (start + 478, start + 565):
                if rng.random() < 0.85:
                    kind = STANDS[rng.integers(len(STANDS))]
                    planes.append(_plane(frame, kind, u, v, turned + rng.normal(0, 4), rng))
    return planes


def _rolling(frame: Frame, rng: np.random.Generator) -> list[Placed]:
    """Return planes on the taxiway and one on the runway."""
    planes = []
    for v in np.arange(-frame.half, frame.half, 330.0):
        kind, heading = STANDS[rng.integers(8)], float(rng.choice((0.0, 180.0)))
        planes.append(_plane(frame, kind, TAXIWAY, v + rng.uniform(0, 180), heading, rng))
    planes.append(_plane(frame, "wide", RUNWAY, rng.uniform(-0.3, 0.3) * frame.half, 0, rng))
    return planes


def _ship(
    frame: Frame,
    kind: str,
    length: float,
    at: tuple[float, float],
    heading: float,
    rng: np.random.Generator,
    moving: bool = False,
) -> Placed:
    x, y = frame.pixels([at])[0]
    heading = frame.heading(heading)
    sprite = draw_ship(kind, length, (x, y), heading, frame.gsd, rng)
    wake = draw_wake(length, length / VESSELS[kind].slender, (x, y), heading, frame.gsd, rng) if moving else None
    return Placed(sprite, "ship", wake)


def _length(kind: str, rng: np.random.Generator) -> float:
    vessel = VESSELS[kind]
    return float(rng.uniform(vessel.shortest, vessel.longest))


def _moored(frame: Frame, rng: np.random.Generator) -> list[Placed]:
    """Return ships that lie along the piers, one at each."""
    ships = []
    for v in pier_places(frame):
        kind = ("coaster", "bulk", "coaster", "tanker")[rng.integers(4)]
        length = min(_length(kind, rng), 0.8 * pier_length(frame))
        side = int(rng.choice((-1, 1)))
        off = 10 + length / VESSELS[kind].slender / 2
        u = QUAY + pier_length(frame) - length / 2 - rng.uniform(0, 0.15) * pier_length(frame)
        ships.append(_ship(frame, kind, length, (u, v + side * off), 90.0 + 180 * rng.integers(2), rng))
    return ships


def _afloat(frame: Frame, rng: np.random.Generator, placed: list[Placed]) -> list[Placed]:
    """Return ships at anchor and under way, no two near each other; about 30 a square kilometre of sea."""
    kinds = ("yacht", "coaster", "bulk", "trawler", "yacht", "tanker", "coaster", "yacht", "container", "coaster")
    wanted = max(4, round(42 * (frame.size * frame.gsd / 2048) ** 2))
    taken = [(*np.add(item.sprite.box[:2], item.sprite.box[2:]) / 2, _reach(item.sprite.box)) for item in placed]
    ships: list[Placed] = []
    for _ in range(60 * wanted):
        if len(ships) == wanted:
            break
        kind = kinds[len(ships) % len(kinds)]
        u, v = rng.uniform(QUAY, frame.half), rng.uniform(-frame.half, frame.half)
        length = _length(kind, rng)
        x, y = frame.pixels([(u, v)])[0]
        reach = length / 2 / frame.gsd
        to_pier = float(np.abs(pier_places(frame) - v).min())
        near_pier = to_pier < length * 0.6 + 38 and u < QUAY + pier_length(frame) + length * 0.6 + 20
        ashore = u < float(coast(np.float64(v))) + length * 0.6 + 18
        cut = not reach + 4 < min(x, y) or not max(x, y) < frame.size - reach - 4
        free = u > QUAY + pier_length(frame) + 110  # a wake shall not run over land
        crowded = any(np.hypot(x - a, y - b) < reach + r + 20 / frame.gsd for a, b, r in taken)
        if not (ashore or near_pier or cut or crowded):
            ships.append(
                _ship(frame, kind, length, (u, v), rng.uniform(0, 360), rng, moving=bool(rng.random() < 0.35) and free)
            )
            taken.append((x, y, reach))
    return ships


def _reach(box: Box) -> float:
    """Return half the diagonal of a box."""
    return float(np.hypot(box[2] - box[0], box[3] - box[1]) / 2)
