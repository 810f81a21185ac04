"""The ground's canvas: its frame, its drawing tools and its noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from geodetect.demo.sprites import SHADOW_PER_METRE, SUN, Colour, shade

TURN = math.radians(14)  # the airport lies at this angle in the image, so that little is parallel to a tile


@dataclass(frozen=True, slots=True)
class Frame:
    """The layout's frame: metres u (towards the sea) and v (along the coast), origin on the quay."""

    size: int  # px
    gsd: float  # m/px

    @property
    def half(self) -> float:
        """Metres along the coast from the origin that surely reach over the border."""
        return self.size * self.gsd * 0.75

    def pixels(self, points: npt.ArrayLike) -> np.ndarray:
        """Return layout points (N, 2) in px, scene frame."""
        u, v = np.asarray(points, float).reshape(-1, 2).T
        x = u * math.cos(TURN) - v * math.sin(TURN)
        y = u * math.sin(TURN) + v * math.cos(TURN)
        land = min(max(0.58, 235 / (self.size * self.gsd)), 0.8)  # a small scene still shows the gates
        return np.stack([x, y], 1) / self.gsd + self.size * np.array([land, 0.5])

    def heading(self, degrees: float) -> float:
        """Return a heading in the image for one in the layout, where 0 is towards -v and 90 towards +u."""
        return degrees + math.degrees(TURN)


class Ground:
    """An image of the ground and how rough each of its pixels is."""

    def __init__(self, frame: Frame, colour: Colour, rough: int) -> None:
        self.frame = frame
        self.image = Image.new("RGB", (frame.size, frame.size), colour)
        self.rough = Image.new("L", (frame.size, frame.size), rough)
        self._draws = ImageDraw.Draw(self.image), ImageDraw.Draw(self.rough)

    def replace(self, pixels: np.ndarray) -> None:
        """Go on drawing on other pixels, (size, size, 3) uint8."""
        self.image = Image.fromarray(pixels)
        self._draws = ImageDraw.Draw(self.image), self._draws[1]

    def polygon(self, points: npt.ArrayLike, colour: Colour, rough: int | None = None) -> None:
        """Fill a polygon, (N, 2) layout metres; `rough` is the texture's strength, None leaves it."""
        corners = [(float(x), float(y)) for x, y in self.frame.pixels(points)]
        self._draws[0].polygon(corners, colour)
        if rough is not None:
            self._draws[1].polygon(corners, rough)

    def rectangle(
        self, u: tuple[float, float], v: tuple[float, float], colour: Colour, rough: int | None = None
    ) -> None:
        """Fill a rectangle between two u and two v."""
        self.polygon([(u[0], v[0]), (u[1], v[0]), (u[1], v[1]), (u[0], v[1])], colour, rough)

    def line(self, points: npt.ArrayLike, width: float, colour: Colour) -> None:
        """Draw a line `width` metres wide."""
        corners = [(float(x), float(y)) for x, y in self.frame.pixels(points)]
        self._draws[0].line(corners, colour, max(1, round(width / self.frame.gsd)), "curve")

    def building(self, points: npt.ArrayLike, height: float, roof: Colour) -> None:
        """Draw a building with its shadow on the ground."""
        corners = self.frame.pixels(points)
        reach = -np.array(SUN) * height * SHADOW_PER_METRE / self.frame.gsd
        for step in np.linspace(0, 1, 9):
            self._draws[0].polygon([(float(x), float(y)) for x, y in corners + reach * step], (46, 48, 52))
        self.polygon(points, roof, 6)

    def gable(self, u: tuple[float, float], v: tuple[float, float], height: float, roof: Colour) -> None:
        """Draw a house whose ridge runs along v: one side of its roof lies in the sun."""
        ridge = (u[0] + u[1]) / 2
        self.building([(u[0], v[0]), (u[1], v[0]), (u[1], v[1]), (u[0], v[1])], height, shade(roof, 1.1))
        self.rectangle((ridge, u[1]), v, shade(roof, 0.8), 6)

    def tree(self, u: float, v: float, radius: float, colour: Colour) -> None:
        """Draw a tree's crown with its shadow."""
        angle = np.linspace(0, 2 * np.pi, 11)[:-1]
        crown = np.stack([np.cos(angle), np.sin(angle)], 1)
        self.building((u, v) + radius * crown, 1.6 * radius, shade(colour, 0.75))
        self.polygon((u - 0.2 * radius, v - 0.2 * radius) + 0.65 * radius * crown, colour, 40)


def noise(size: int, scale: float, rng: np.random.Generator, stretch: float = 1.0) -> np.ndarray:
    """Return smooth noise (size, size) float32 whose hills are about `scale` px wide, times `stretch` high."""
    rows, columns = max(3, round(size / (scale * stretch)) + 3), max(3, round(size / scale) + 3)
    coarse = Image.fromarray(rng.standard_normal((rows, columns)).astype(np.float32))
    return 1.5 * np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))
