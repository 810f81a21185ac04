"""What a scene holds, learned without reading it whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geodetect.scene import OVERVIEW_SIDE, Scene
from geodetect.window import Window

_INDEX_BYTES = 32  # a block and band of a sparse GeoTIFF takes 16 bytes of index at most, a stored block more than that
_HEADER_BYTES = 64 * 1024
_SAMPLES, _SAMPLE_SIDE = 8, 128  # a large scene without overviews is sampled by 8 x 8 patches of 128 px


@dataclass(frozen=True)
class _Cells:
    """A lattice over the scene: which of its cells may hold data, and their size in scene px."""

    occupied: np.ndarray  # (rows, columns) bool
    height: float
    width: float

    def meet(self, window: Window) -> bool:
        """Return whether a cell that may hold data lies in the window."""
        rows = slice(int(window.row / self.height), int(np.ceil(window.bottom / self.height)))
        columns = slice(int(window.col / self.width), int(np.ceil(window.right / self.width)))
        return bool(self.occupied[rows, columns].any())


def occupied(scene: Scene, windows: Sequence[Window]) -> np.ndarray:
    """Return which windows may hold data (N,) bool.

    A window is out where the file stores none of its blocks (sparse GeoTIFF), or where the mask's overview shows
    nothing valid in or beside it.
    """
    lattices = [cells for cells in (_stored_blocks(scene), _mask_overview(scene)) if cells is not None]
    return np.array([all(cells.meet(window) for cells in lattices) for window in windows], bool)


def _stored_blocks(scene: Scene) -> _Cells | None:
    """Return the blocks that a GeoTIFF stores, None where the file does not tell."""
    if scene.driver != "GTiff" or scene.is_remote:
        return None
    height, width = scene.block
    rows, columns = -(-scene.grid.height // height), -(-scene.grid.width // width)
    handle = scene.handle()
    bands = set(scene.bands) if handle.interleaving and handle.interleaving.name == "band" else {scene.bands[0]}
    stored = np.empty((rows, columns), bool)
    for row, column in np.ndindex(rows, columns):
        key = f"BLOCK_OFFSET_{column}_{row}"
        stored[row, column] = any(handle.get_tag_item(key, "TIFF", bidx=band) is not None for band in bands)
    # No block at all is believed only of a file that is too small to hold any.
    empty_size = _HEADER_BYTES + _INDEX_BYTES * stored.size * handle.count
    if not stored.any() and not (Path(scene.path).is_file() and Path(scene.path).stat().st_size < empty_size):
        return None
    return _Cells(stored, height, width)


def _mask_overview(scene: Scene) -> _Cells | None:
    """Return where the mask's overview shows valid pixels, grown by one cell; None where there is none."""
    if scene.mask == "none" or not scene.has_overviews:
        return None
    valid = scene.overview().valid
    if valid is None:
        return None
    padded = np.pad(valid, 1)
    rows, columns = valid.shape
    near = np.logical_or.reduce([padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)])
    return _Cells(near, scene.grid.height / rows, scene.grid.width / columns)


def sample(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels (bands, N) and their validity (N,) bool that stand for the whole scene.

    From the overviews where there are any, else from patches spread evenly.
    """
    small = max(scene.grid.width, scene.grid.height) <= 2 * OVERVIEW_SIDE
    tiles = [scene.overview()] if small or scene.has_overviews else [scene.read(w) for w in _patches(scene)]
    pixels = np.concatenate([tile.pixels.reshape(len(tile.pixels), -1) for tile in tiles], axis=1)
    valid = [np.full(t.pixels.shape[1:], True) if t.valid is None else t.valid for t in tiles]
    return pixels, np.concatenate([v.ravel() for v in valid])


def _patches(scene: Scene) -> list[Window]:
    height, width = min(_SAMPLE_SIDE, scene.grid.height), min(_SAMPLE_SIDE, scene.grid.width)
    rows = np.linspace(0, scene.grid.height - height, _SAMPLES).astype(int)
    columns = np.linspace(0, scene.grid.width - width, _SAMPLES).astype(int)
    windows = [Window(int(r), int(c), height, width) for r in np.unique(rows) for c in np.unique(columns)]
    there = occupied(scene, windows)
    return [window for window, stored in zip(windows, there, strict=True) if stored] or windows[:1]
