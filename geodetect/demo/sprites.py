"""A pen that draws one object seen from above, and the finished sprite."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]
SUN = (-0.64, -0.77)  # unit vector to the sun in the image, x right, y down: from the upper left
SHADOW_PER_METRE = 1.1  # metres of shadow for each metre of height: the sun stands at 42 degrees


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """An object that is ready to be put on the ground.

    Attributes:
        colour: RGB at the scene's scale, multiplied by its cover.
        cover: L, how much of each pixel the object covers.
        left, top: px, scene frame, where the images' upper left pixel lies.
        box: x1, y1, x2, y2 in px, scene frame, of all that was drawn.
        height: metres above the ground, for the shadow.
    """

    colour: Image.Image
    cover: Image.Image
    left: int
    top: int
    box: Box
    height: float


class Pen:
    """Collects shapes given in an object's own frame: metres, x ahead, y to starboard, origin at `centre`.

    Args:
        centre: x, y in px, scene frame.
        heading: degrees, clockwise from the top of the image.
        gsd: metres a pixel.
    """

    def __init__(self, centre: Sequence[float], heading: float, gsd: float) -> None:
        self._centre = np.asarray(centre, float)
        self._ahead = np.array([math.sin(math.radians(heading)), -math.cos(math.radians(heading))])
        self._starboard = np.array([-self._ahead[1], self._ahead[0]])
        self._gsd = gsd
        self._shapes: list[tuple[np.ndarray, Colour, float]] = []
        self.sunny = 1 if float(self._starboard @ SUN) > 0 else -1  # the side, in y, that the sun shines on

    def polygon(self, points: npt.ArrayLike, colour: Colour, cover: float = 1.0) -> None:
        """Fill a polygon, (N, 2) metres in the object's frame; `cover` 0..1 is how much it hides."""
        local = np.asarray(points, float)
        pixels = self._centre + (local[:, :1] * self._ahead + local[:, 1:] * self._starboard) / self._gsd
        self._shapes.append((pixels, colour, cover))

    def mirrored(self, points: npt.ArrayLike, colour: Colour, dark: Colour) -> None:
        """Fill a polygon on both sides, in `dark` on the side away from the sun."""
        local = np.asarray(points, float)
        self.polygon(local * (1, self.sunny), colour)
        self.polygon(local * (1, -self.sunny), dark)

    def rectangle(self, x: tuple[float, float], y: tuple[float, float], colour: Colour, cover: float = 1.0) -> None:
        """Fill a rectangle between two x and two y."""
        self.polygon([(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])], colour, cover)

    def ellipse(self, x: float, y: float, a: float, b: float, colour: Colour) -> None:
        """Fill an ellipse with half axes a (along x) and b (along y)."""
        angle = np.linspace(0, 2 * np.pi, 17)[:-1]
        self.polygon(np.stack([x + a * np.cos(angle), y + b * np.sin(angle)], 1), colour)

    def sprite(self, height: float, supersample: int = 4) -> Sprite:
        """Return what was drawn, `supersample` times finer and then averaged; `height` in metres, for the shadow."""
        corners = np.concatenate([pixels for pixels, _, _ in self._shapes])
        low, high = corners.min(0), corners.max(0)
        left, top = (int(value) - 1 for value in np.floor(low))
        width, tall = (int(value) + 1 for value in np.ceil(high) - (left, top))
        # On black ground an averaged colour comes out multiplied by its cover: edges do not mix with the ground.
        colour = Image.new("RGB", (width * supersample, tall * supersample))
        cover = Image.new("L", colour.size)
        on_colour, on_cover = ImageDraw.Draw(colour), ImageDraw.Draw(cover)
        for pixels, value, opacity in self._shapes:
            points = [(float(x), float(y)) for x, y in (pixels - (left, top)) * supersample - 0.5]
            on_colour.polygon(points, shade(value, opacity))
            on_cover.polygon(points, round(255 * opacity))
        box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        return Sprite(colour.reduce(supersample), cover.reduce(supersample), left, top, box, height)


def shade(colour: Colour, factor: float) -> Colour:
    """Return a colour, darker (factor < 1) or brighter."""
    red, green, blue = (min(255, max(0, round(value * factor))) for value in colour)
    return red, green, blue
