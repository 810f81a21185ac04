"""Made scenes: any size, the same pixels each time. `python -m benchmarks.made OUT.tif SIZE`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

BLOCK = 512
COLLAR = 0.15  # of the scene's side: how far its cut corners reach
_PROFILE = {
    "driver": "GTiff", "count": 3, "dtype": "uint8", "crs": "EPSG:32631", "photometric": "RGB", "nodata": 0,
    "transform": rasterio.Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000), "tiled": True, "blockxsize": BLOCK,
    "blockysize": BLOCK, "interleave": "pixel", "compress": "deflate", "predictor": 2, "num_threads": "all_cpus",
    "bigtiff": "if_safer",
}  # fmt: skip


def full(path: Path, size: int, seed: int = 0) -> Path:
    """Write a scene of ground, noise and bright rectangles, with corners cut off as nodata; return its path."""
    with rasterio.open(path, "w", width=size, height=size, **_PROFILE) as file:
        for top, strip in _strips(size, np.random.default_rng(seed)):
            file.write(strip, window=Window(0, top, size, strip.shape[1]))
    return path


def sparse(path: Path, size: int, stored: int = 4, seed: int = 0) -> Path:
    """Write a scene that stores only `stored` x `stored` blocks, spread evenly; return its path."""
    rng = np.random.default_rng(seed)
    with rasterio.open(path, "w", width=size, height=size, sparse_ok=True, **_PROFILE) as file:
        for top in np.linspace(0, size // BLOCK - 1, stored).astype(int) * BLOCK:
            for left in np.linspace(0, size // BLOCK - 1, stored).astype(int) * BLOCK:
                pixels = rng.integers(60, 90, (3, BLOCK, BLOCK), np.uint8)
                file.write(pixels, window=Window(int(left), int(top), BLOCK, BLOCK))
    return path


def _strips(size: int, rng: np.random.Generator) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (top, pixels (3, <= BLOCK, size) uint8) from the top down."""
    grain = rng.integers(0, 6, (3, BLOCK, size), np.uint8)
    columns = np.arange(size, dtype=np.float32)
    for top in range(0, size, BLOCK):
        rows = np.arange(top, min(top + BLOCK, size), dtype=np.float32)[:, None]
        ground = 90 + 40 * np.sin(columns / 290) * np.cos(rows / 410) + 12 * np.sin((columns - rows) / 19)
        strip = ground.astype(np.uint8) + np.roll(grain, int(rng.integers(size)), axis=2)[:, : len(rows)]
        for _ in range(size // 20):  # about 100 objects a square kilometre and 0.5 m, a busy harbour
            y, x = rng.integers(0, len(rows)), rng.integers(0, size)
            height, width = rng.integers(8, 60, 2)
            strip[:, y : y + height, x : x + width] = rng.integers(150, 250)
        to_corner = np.minimum(columns, size - columns) + np.minimum(rows, size - rows)
        strip[:, to_corner < 2 * COLLAR * size] = 0
        yield top, strip


if __name__ == "__main__":
    full(Path(sys.argv[1]), int(sys.argv[2]))
