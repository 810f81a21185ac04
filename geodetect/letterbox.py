"""How a tile lies on the network's canvas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Letterbox:
    """The affine map between a tile and the canvas: canvas = tile * scale + pad, per axis.

    scale_x, scale_y are canvas px per tile px; pad_x, pad_y are canvas px. Both directions act on boxes
    (N, 4) x1, y1, x2, y2 and are exact inverses of each other.
    """

    scale_x: float
    scale_y: float
    pad_x: float = 0.0
    pad_y: float = 0.0

    @classmethod
    def fit(cls, width: int, height: int, size: int, resize: str = "letterbox") -> Letterbox:
        """Return the letterbox of a tile of width x height px on a canvas of size x size px.

        `stretch` fills the canvas and may change the aspect; `letterbox` keeps it and leaves the rest of the
        canvas, right and bottom, to the fill value, so that tile and canvas share their origin.
        """
        scale_x, scale_y = size / width, size / height
        if resize == "letterbox":
            scale_x = scale_y = min(scale_x, scale_y)
        return cls(scale_x, scale_y)

    def to_canvas(self, boxes: np.ndarray) -> np.ndarray:
        """Return tile boxes (N, 4) in canvas px."""
        return boxes * self._scale + self._pad

    def to_tile(self, boxes: np.ndarray) -> np.ndarray:
        """Return canvas boxes (N, 4) in tile px."""
        return (boxes - self._pad) / self._scale

    @property
    def _scale(self) -> np.ndarray:
        return np.array([self.scale_x, self.scale_y, self.scale_x, self.scale_y])

    @property
    def _pad(self) -> np.ndarray:
        return np.array([self.pad_x, self.pad_y, self.pad_x, self.pad_y])
