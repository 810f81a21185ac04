"""From pixel values to what the network takes."""

from __future__ import annotations

import functools
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
            valid: (...) bool, the pixels that count; where none does, the stretch is 0 to 1.
            percentiles: (lower, upper), 0..100.
        """
        low, high = [], []
        for band in pixels:
            values = band[valid & np.isfinite(band)]
            bottom, top = np.percentile(values, percentiles) if values.size else (0.0, 1.0)
            low.append(float(bottom))
            high.append(float(max(top, bottom + max(1e-6, abs(bottom) * 1e-6))))  # a flat band has a stretch too
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
        invalid = None if valid is None else ~valid
        for band, canvas in enumerate(out):
            inner = canvas[:height, :width]
            fill = (self.fill / 255 - self.mean[band]) / self.std[band]
            if pixels.dtype == np.uint8 and self.stretch.is_identity:
                gain, offset = self._line(band)
                np.multiply(pixels[band], np.float32(gain), out=inner, dtype=np.float32)
                if offset:
                    inner += np.float32(offset)
            elif pixels.dtype.kind in "iu" and pixels.dtype.itemsize <= 2:
                indexes = pixels[band].view(f"u{pixels.dtype.itemsize}")
                np.take(_table(self, pixels.dtype)[band], indexes, out=inner, mode="clip")  # "raise" would buffer
            else:
                inner[...] = self._values(pixels[band], band)
            if invalid is not None:
                np.copyto(inner, fill, where=invalid, casting="same_kind")
            canvas[height:] = fill
            canvas[:height, width:] = fill

    def _line(self, band: int) -> tuple[float, float]:
        """Return gain and offset."""
        low, high = self.stretch.low[band], self.stretch.high[band]
        gain = 1 / ((high - low) * self.std[band])
        return gain, -low * gain - self.mean[band] / self.std[band]

    def _values(self, pixels: np.ndarray, band: int) -> np.ndarray:
        """Return normalised pixels in double precision: a narrow stretch far from zero loses its bits in float32."""
        low, high = self.stretch.low[band], self.stretch.high[band]
        gain, offset = self._line(band)
        values = np.clip(pixels.astype(np.float64), low, high)
        np.nan_to_num(values, copy=False, nan=low)
        values *= gain
        values += offset
        return values


@functools.lru_cache(maxsize=4)
def _table(normaliser: Normaliser, dtype: np.dtype) -> np.ndarray:
    """Return what each of the 256 or 65 536 pixel values becomes, (bands, N): a look-up is 4 times faster."""
    pixels = np.arange(1 << 8 * dtype.itemsize, dtype=f"u{dtype.itemsize}").view(dtype)
    bands = range(len(normaliser.mean))
    return np.stack([normaliser._values(pixels, band) for band in bands]).astype(np.float32)
