"""From pixel values to what the network takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PERCENTILES = (0.5, 99.5)  # of the valid pixels; wide, so that bright planes keep their texture


@dataclass(frozen=True)
class Stretch:
    """One linear stretch a band for the whole scene: low becomes 0, high 255, clipped outside.

    One stretch for all tiles, since a stretch per tile gives the same ground different values in neighbouring tiles.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def identity(cls, bands: int) -> Stretch:
        """Return the stretch that leaves 0..255 as it is."""
        return cls((0.0,) * bands, (255.0,) * bands)

    @classmethod
    def from_percentiles(cls, pixels: np.ndarray, valid: np.ndarray, percentiles=PERCENTILES) -> Stretch:
        """Return the stretch between two percentiles of valid pixels.

        Args:
            pixels: (bands, ...) any real type.
            valid: (...) bool, the pixels that count; where none does, the values' whole range counts.
            percentiles: (lower, upper), 0..100.
        """
        low, high = [], []
        for band in pixels:
            values = band[valid & np.isfinite(band)]
            bottom, top = np.percentile(values, percentiles) if values.size else (0.0, 1.0)
            low.append(float(bottom))
            high.append(float(max(top, np.nextafter(np.float32(bottom), np.float32(np.inf)), bottom + 1e-6)))
        return cls(tuple(low), tuple(high))

    @property
    def is_identity(self) -> bool:
        """Whether 0..255 stays as it is."""
        return set(self.low) == {0.0} and set(self.high) == {255.0}


@dataclass(frozen=True)
class Normaliser:
    """Stretch, mean and standard deviation in one step: pixel value v becomes gain * clip(v, low, high) + offset."""

    stretch: Stretch
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fill: int  # 0..255, the value of pixels that are not valid

    def __call__(self, pixels: np.ndarray, valid: np.ndarray | None, out: np.ndarray) -> None:
        """Write normalised pixels into the top left of a canvas and the fill value into the rest.

        Args:
            pixels: (bands, h, w) any real type.
            valid: (h, w) bool or None for all; NaN pixels count as not valid.
            out: (bands, S, S) float32, canvas.
        """
        height, width = pixels.shape[1:]
        for band, canvas in enumerate(out):
            low, high = self.stretch.low[band], self.stretch.high[band]
            gain = 1 / ((high - low) * self.std[band])
            offset = -low * gain - self.mean[band] / self.std[band]
            fill = (self.fill / 255 - self.mean[band]) / self.std[band]
            inner = canvas[:height, :width]
            if pixels.dtype == np.uint8 and self.stretch.is_identity:
                np.multiply(pixels[band], np.float32(gain), out=inner, dtype=np.float32)
                if offset:
                    inner += np.float32(offset)
            else:
                # In double precision: a narrow stretch far from zero loses its bits in float32.
                values = np.clip(pixels[band].astype(np.float64), low, high)
                np.nan_to_num(values, copy=False, nan=low)
                inner[...] = values * gain + offset
            if valid is not None:
                inner[~valid] = fill
            canvas[height:] = fill
            canvas[:height, width:] = fill
