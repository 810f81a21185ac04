"""Aeroplanes seen from above."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geodetect.demo.sprites import Colour, Pen, Sprite, shade


@dataclass(frozen=True, slots=True)
class Airframe:
    """The shape of one type of aeroplane; metres, x ahead of the middle of the body, y out from its axis."""

    length: float
    span: float
    body: float  # width of the fuselage
    sweep: float  # how far the wing's tip lies behind its root, leading edge
    engines: tuple[tuple[float, float], ...]  # x, y of each engine of one side
    engine: tuple[float, float] = (2.6, 1.2)  # half its length, half its width
    tail_span: float = 0.37  # of the span
    wing: float = 0.13  # where the leading edge leaves the body, of the length
    chord: float = 0.20  # of the wing at the body, of the length


AIRFRAMES = {
    "narrow": Airframe(39, 35.5, 4.0, 8.6, ((4.6, 5.9),), (2.3, 1.25)),
    "stretched": Airframe(45, 36, 4.0, 9.0, ((5.0, 5.9),), (2.4, 1.3)),
    "wide": Airframe(64, 61, 6.2, 16.5, ((7.2, 9.8),), (3.6, 2.0)),
    "heavy": Airframe(71, 64, 6.8, 18.5, ((7.4, 11.8), (-1.4, 20.8)), (3.2, 1.6)),
    "regional": Airframe(31, 26, 3.1, 5.6, ((-8.6, 2.9),), (2.0, 0.9), 0.36),
    "commuter": Airframe(27.5, 27.5, 3.0, 0.7, ((3.0, 4.1),), (2.2, 0.8), 0.32, 0.08, 0.11),
}
LIVERIES: tuple[tuple[Colour, Colour], ...] = (  # body, tail
    ((240, 240, 236), (28, 58, 130)),
    ((246, 245, 240), (190, 32, 40)),
    ((236, 238, 238), (225, 160, 30)),
    ((240, 240, 236), (20, 110, 90)),
    ((232, 234, 236), (90, 90, 100)),
    ((248, 248, 246), (210, 80, 30)),
    ((205, 52, 46), (196, 40, 40)),
    ((222, 226, 228), (40, 130, 190)),
)


def draw_plane(kind: str, livery: int, centre: tuple[float, float], heading: float, gsd: float) -> Sprite:
    """Return an aeroplane.

    Args:
        kind: a key of AIRFRAMES.
        livery: index into LIVERIES.
        centre: x, y of the middle of its body, px, scene frame.
        heading: of its nose, degrees clockwise from the top of the image.
        gsd: metres a pixel.
    """
    frame = AIRFRAMES[kind]
    body, tail = LIVERIES[livery % len(LIVERIES)]
    pen = Pen(centre, heading, gsd)
    _engines(pen, frame)
    _wings(pen, frame)
    _tailplane(pen, frame)
    outline = _fuselage(frame)
    pen.polygon(outline, body)
    _shaded_flank(pen, outline, body)
    _details(pen, frame, tail)
    return pen.sprite(height=frame.body * 1.15)


def _fuselage(frame: Airframe) -> np.ndarray:
    """Return the outline of the body, (N, 2)."""
    x = np.linspace(0.5, -0.5, 41)
    nose = np.sqrt(np.clip(1 - (np.clip(x - 0.40, 0, None) / 0.10) ** 2, 0, 1))
    stern = 1 - 0.86 * np.clip((-0.18 - x) / 0.32, 0, 1) ** 1.5
    half = frame.body / 2 * nose * stern
    x = x * frame.length
    return np.concatenate([np.stack([x, half], 1), np.stack([x, -half], 1)[::-1]])


def _shaded_flank(pen: Pen, outline: np.ndarray, body: Colour) -> None:
    """Darken the quarter of the body that turns away from the sun, and lighten its crest."""
    half = len(outline) // 2
    edge = outline[:half]  # nose to stern, y >= 0
    for inner, factor in ((0.35, 0.86), (0.68, 0.68)):
        band = np.concatenate([edge, edge[::-1] * (1, inner)])
        pen.polygon(band * (1, -pen.sunny), shade(body, factor))


def _wings(pen: Pen, frame: Airframe) -> None:
    root, half = frame.length * frame.wing, frame.span / 2
    chord, tip = frame.length * frame.chord, frame.length * frame.chord * 0.24
    kink = 0.36  # of the half span, where the trailing edge turns
    kink_x = root - chord - frame.sweep * 0.10
    wing = [
        (root + chord * 0.16, 0), (root, frame.body * 0.5), (root - frame.sweep, half * 0.985),
        (root - frame.sweep - tip * 0.5, half), (root - frame.sweep - tip, half * 0.99),
        (kink_x, half * kink), (root - chord * 1.02, 0),
    ]  # fmt: skip
    pen.mirrored(wing, (214, 216, 216), (188, 191, 194))
    flaps = [
        (kink_x + 0.2 * chord, half * kink), (kink_x, half * kink),
        (root - frame.sweep - tip, half * 0.99), (root - frame.sweep - tip * 0.75, half * 0.99),
    ]  # fmt: skip
    pen.mirrored(flaps, (178, 181, 184), (160, 163, 167))
    slats = [
        (root, frame.body * 0.5), (root - frame.sweep, half * 0.985),
        (root - frame.sweep - tip * 0.16, half * 0.985), (root - chord * 0.07, frame.body * 0.5),
    ]  # fmt: skip
    pen.mirrored(slats, (236, 237, 236), (206, 208, 210))


def _tailplane(pen: Pen, frame: Airframe) -> None:
    root, half = -0.385 * frame.length, frame.span * frame.tail_span / 2
    chord, sweep = frame.length * 0.085, frame.sweep * 0.40
    tail = [(root, 0), (root - sweep, half), (root - sweep - chord * 0.42, half), (root - chord * 1.15, 0)]
    pen.mirrored(tail, (210, 212, 213), (184, 187, 191))


def _engines(pen: Pen, frame: Airframe) -> None:
    long, wide = frame.engine
    for x, y in frame.engines:
        for side in (1, -1):
            lit = 1.0 if side == pen.sunny else 0.86
            pen.ellipse(x, y * side, long, wide, shade((196, 198, 202), lit))
            pen.ellipse(x + long * 0.62, y * side, long * 0.30, wide * 0.86, shade((92, 96, 104), lit))


def _details(pen: Pen, frame: Airframe, tail: Colour) -> None:
    """Draw the windscreen and the fin, which leans a little to starboard as the satellite looked from the side."""
    stern, windscreen = -frame.length / 2, frame.length * 0.455
    pen.rectangle((windscreen - 0.5, windscreen + 0.5), (-0.26 * frame.body, 0.26 * frame.body), (62, 66, 76))
    lean = 0.34 * frame.body
    fin = [
        (stern * 0.66, 0.2), (stern * 0.66, -0.2), (stern * 0.98, -0.4),
        (stern * 1.0, lean), (stern * 0.90, lean),
    ]  # fmt: skip
    pen.polygon(fin, tail)
