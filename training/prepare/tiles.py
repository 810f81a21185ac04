"""Writing the pixels of tiles; this is what the worker processes do."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geodetect.config import DetectConfig
from geodetect.errors import LabelError, OutputError, SceneError
from geodetect.gdal import gdal_settings
from geodetect.plan import scene_stretch
from geodetect.radiometry import Normaliser, Stretch
from geodetect.scene import Scene, Tile
from geodetect.survey import occupied
from geodetect.window import Window
from training.labels.picture import open_picture

FILL = 114  # 0..255, where there is no data, as model cards have it by default
_PNG_LEVEL = 1  # higher ones take 1.5 to 4 times as long for 6 % less


@dataclass(frozen=True)
class Pixels:
    """How pixels become tiles."""

    bands: tuple[str, ...] | None
    stretch: str
    jpeg: int | None  # quality, None: PNG


@dataclass(frozen=True)
class Look:
    """What is known of an image without reading it."""

    size: tuple[int, int]  # width, height
    gsd: float | None  # m/px
    stamp: tuple[int, int]  # bytes, ns of the last change
    bands: str  # which are read and why


@dataclass(frozen=True)
class Job:
    """Some tiles of one image.

    Attributes:
        key: depends on all that the written files depend on.
        path: the image.
        folder: of the data set.
        files: of the tiles, relative to the folder.
        windows: of the tiles, image px.
        shapes: (height, width) of the tiles, px.
        pixels: how to write them.
        stamp: of the image, see `Look`.
    """

    key: str
    path: str
    folder: str
    files: tuple[str, ...]
    windows: tuple[Window, ...]
    shapes: tuple[tuple[int, int], ...]
    pixels: Pixels
    stamp: tuple[int, int]


def look(path: str, bands: tuple[str, ...] | None) -> Look:
    """Return size and ground sample distance of an image.

    Raises:
        LabelError: it cannot be opened.
    """
    try:
        with open_picture(path, bands) as scene:
            gsd, stat = scene.grid.gsd, Path(path).stat()
            metres = float(np.sqrt(gsd[0] * gsd[1])) if gsd else None
            return Look(
                (scene.grid.width, scene.grid.height), metres, (stat.st_size, stat.st_mtime_ns), scene.notes[-1]
            )
    except SceneError as error:
        raise LabelError(f"an image with labels cannot be used: {error}") from error


def write_tiles(job: Job) -> list[str]:
    """Write the tiles of a job and return the files that were not written since they hold no data.

    Files are written under their own names: a job that did not end is done again.

    Raises:
        LabelError: the image is damaged.
        OutputError: the disk is full or the folder not writable.
    """
    try:
        with open_picture(job.path, job.pixels.bands) as scene:
            cache = max(scene.grid.width * job.windows[0].height * 2 * scene.pixel_bytes, 64 << 20)
            with gdal_settings(scene.path, min(cache, 512 << 20)):
                return _write(job, scene)
    except SceneError as error:
        raise LabelError(f"an image with labels cannot be used: {error}") from error


def _write(job: Job, scene: Scene) -> list[str]:
    from PIL import Image

    stretch = _stretch(job.path, job.pixels, job.stamp)
    normaliser = Normaliser(stretch, (0.0,) * scene.channels, (1.0,) * scene.channels, FILL)
    blank = []
    there = occupied(scene, job.windows)
    for file, window, shape, stored in zip(job.files, job.windows, job.shapes, there, strict=True):
        tile = scene.read(window, shape) if stored else None
        if tile is None or tile.is_empty:
            blank.append(file)
            continue
        image = Image.fromarray(eight_bit(tile, normaliser))
        try:
            if job.pixels.jpeg is None:
                image.save(Path(job.folder, file), compress_level=_PNG_LEVEL)
            else:  # colours at full resolution: a plane is few px wide
                image.save(Path(job.folder, file), quality=job.pixels.jpeg, subsampling=0)
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(f"the tile {Path(job.folder, file)} could not be written ({reason})") from error
    return blank


@functools.lru_cache(maxsize=8)
def _stretch(path: str, pixels: Pixels, stamp: tuple[int, int]) -> Stretch:
    """Return the stretch of a whole scene; `stamp` tells a file from another one of before at the same place."""
    with open_picture(path, pixels.bands) as scene:
        return scene_stretch(scene, DetectConfig(stretch=pixels.stretch))


def eight_bit(tile: Tile, normaliser: Normaliser) -> np.ndarray:
    """Return pixels (h, w, 3) uint8 that look to a network as those of the scene would."""
    pixels = tile.pixels
    if pixels.dtype != np.uint8 or tile.valid is not None or not normaliser.stretch.is_identity:
        out = np.empty(pixels.shape, np.float32)
        normaliser(pixels, tile.valid, out)
        pixels = np.rint(out * 255).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(pixels, 0, -1))
