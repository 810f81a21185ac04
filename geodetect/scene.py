"""Opening and reading one raster: the only module that reads scenes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.windows import Window as RasterWindow

from geodetect.bands import choose_bands
from geodetect.config import MAX_GIGAPIXELS
from geodetect.errors import SceneError, lacks_memory
from geodetect.gdal import FAULTS, fetch_anew, is_remote, open_raster, reason_of, scene_name, unreadable
from geodetect.georeference import georeference
from geodetect.grid import GeoGrid
from geodetect.raster import band_descriptions, check_size, describe_mask, pixel_bytes, read_palette
from geodetect.window import Window

OVERVIEW_SIDE = 1024  # px, about what a scene with overviews is looked at as a whole


@dataclass(frozen=True)
class Tile:
    """A window with its pixels, which may be resampled.

    Attributes:
        window: scene px.
        pixels: (bands, h, w) in the raster's own type.
        valid: (h, w) bool, or None where every pixel is.
    """

    window: Window
    pixels: np.ndarray
    valid: np.ndarray | None

    @property
    def is_empty(self) -> bool:
        """Whether no pixel is valid."""
        return self.valid is not None and not self.valid.any()


@dataclass(frozen=True)
class Scene:
    """One open raster and how it is read. Close it, or use it as a context manager.

    Reading is safe from any thread: each has a GDAL handle of its own.

    Attributes:
        path: as given: a file or a URL that GDAL understands.
        grid: size, geotransform, CRS.
        bands: the bands read, from 1.
        dtype: of the pixels; uint8 where a palette is expanded.
        mask: what tells valid pixels: "none", "nodata", "alpha", "dataset" (a mask band); nodata counts beside both.
        block: (height, width) of the file's blocks, px.
        driver: GDAL's name of the format.
        pixel_bytes: what a pixel takes when decoded, with all bands that are stored interleaved with those read.
        has_overviews: whether a reduced copy is stored.
        notes: sentences that the user should know.
    """

    path: str
    grid: GeoGrid
    bands: tuple[int, ...]
    dtype: np.dtype
    mask: str
    block: tuple[int, int]
    driver: str
    pixel_bytes: int
    has_overviews: bool
    notes: tuple[str, ...]
    _alpha: int = 0
    _masked: bool = False
    _nodata: tuple[float | None, ...] = ()
    _palette: np.ndarray | None = None
    _options: dict[str, Any] = field(default_factory=dict)
    _local: threading.local = field(default_factory=threading.local)
    _handles: list = field(default_factory=list)

    @property
    def name(self) -> str:
        """The file's name without its folder, or a URL's query, which may hold a key."""
        return scene_name(self.path)

    @property
    def channels(self) -> int:
        """How many values a pixel has as read: three for a palette, else one a band."""
        return len(self.bands) if self._palette is None else 3

    @property
    def is_remote(self) -> bool:
        """Whether the raster is read over a network."""
        return is_remote(self.path)

    def read(self, window: Window, shape: tuple[int, int] | None = None) -> Tile:
        """Return the pixels of a window, resampled by GDAL to `shape` (height, width) where given.

        Raises:
            SceneError: the file is damaged there.
        """
        shape = shape or (window.height, window.width)
        indexes = [*self.bands, self._alpha] if self._alpha else list(self.bands)
        if self._palette is not None:
            resampling = Resampling.nearest
        else:
            shrinks = shape[0] < window.height or shape[1] < window.width
            resampling = Resampling.average if shrinks else Resampling.bilinear
        area = RasterWindow(window.col, window.row, window.width, window.height)
        options: dict[str, Any] = {"window": area, "out_shape": shape, "resampling": resampling}
        try:
            with self._in_use():
                handle = self.handle()
                pixels = handle.read(indexes, **(options | {"out_shape": (len(indexes), *shape)}))
                mask = handle.read_masks(self.bands[0], window=area, out_shape=shape) if self._masked else None
        except FAULTS as error:
            why = "it is damaged or cut off; copy it again from its source"
            if lacks_memory(error):
                why = "no memory is left for its blocks; free some, or copy it by gdal_translate -co TILED=YES"
            elif self.is_remote:
                fetch_anew(self.path)
                why = "the connection broke off, or it is damaged there; try again"
            raise SceneError(
                f"{self.path} cannot be read at column {window.col}, row {window.row}: {why} (GDAL: {reason_of(error)})"
            ) from error
        return self._tile(window, pixels, mask)

    def _tile(self, window: Window, pixels: np.ndarray, mask: np.ndarray | None) -> Tile:
        valid = None if mask is None else mask > 0
        if self._alpha:
            valid, pixels = _both(valid, pixels[-1] > 0), pixels[:-1]
        if any(value is not None for value in self._nodata):
            told = ~np.logical_and.reduce([_equals(b, v) for b, v in zip(pixels, self._nodata, strict=True)])
            valid = _both(valid, told)
        if self._palette is not None:
            colours = self._palette[np.clip(pixels[0], 0, len(self._palette) - 1)]
            valid = _both(valid, colours[..., 3] > 0)
            pixels = np.ascontiguousarray(np.moveaxis(colours[..., :3], -1, 0))
        if pixels.dtype.kind == "f":
            valid = _both(valid, np.isfinite(pixels).all(axis=0))
        return Tile(window, pixels, None if valid is None or valid.all() else valid)

    def overview(self, side: int = OVERVIEW_SIDE) -> Tile:
        """Return the whole scene reduced to at most `side` px; quick only where the file has overviews."""
        scale = min(1.0, side / max(self.grid.width, self.grid.height))
        shape = max(1, round(self.grid.height * scale)), max(1, round(self.grid.width * scale))
        return self.read(Window(0, 0, self.grid.height, self.grid.width), shape)

    def handle(self) -> rasterio.DatasetReader:
        """Return the calling thread's own GDAL handle."""
        handle = getattr(self._local, "handle", None)
        if handle is None:
            handle = self._local.handle = open_raster(self.path, **self._options)
            self._local.lock = threading.Lock()
            self._handles.append((handle, self._local.lock))
        return handle

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        """Keep the calling thread's handle from being closed meanwhile."""
        self.handle()
        with self._local.lock:
            yield

    def close(self) -> None:
        """Close the file in all threads, but for a handle that is amid a read: its process end closes that."""
        while self._handles:
            handle, lock = self._handles.pop()
            if lock.acquire(blocking=False):  # to close a handle that another thread reads from is a crash
                handle.close()
        self._local.__dict__.clear()

    def __enter__(self) -> Scene:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_scene(
    path: str | Path,
    bands: Sequence[str | int] | None = None,
    needed: Sequence[str] = ("red", "green", "blue"),
    require_crs: bool = False,
    threads: int = 1,
    max_gigapixels: float = MAX_GIGAPIXELS,
) -> Scene:
    """Return the scene behind a path or URL, ready to read.

    Args:
        path: GeoTIFF, COG, VRT, JPEG 2000, JPEG, PNG or whatever else GDAL opens; http(s), s3 and zip URLs too.
        bands: see `choose_bands`.
        needed: the network's inputs.
        require_crs: refuse a scene without CRS instead of using pixel coordinates.
        threads: for decompressing the blocks of one read.
        max_gigapixels: refuse a scene of more pixels, or one with a block of a hundredth as many bytes.

    Raises:
        SceneError: the raster is missing, no raster, empty, too large, complex, has too few bands or no CRS.
    """
    path = str(path)
    handle = open_raster(path)
    try:
        if handle.count == 0 or handle.width == 0 or handle.height == 0:
            inner = ", ".join(handle.subdatasets[:3])
            hint = f"it is a container; give one of its rasters, such as {inner}" if inner else "give another file"
            raise SceneError(f"{path} holds no pixels itself; {hint}")
        if any("complex" in kind for kind in handle.dtypes):
            raise SceneError(f"{path} has complex pixels; make an amplitude image of it first, with gdal_calc.py")
        _check_size(handle, path, max_gigapixels)
        is_tiff = handle.driver in ("GTiff", "COG")
        several = is_tiff and threads > 1 and not is_remote(path)  # there GDAL would not tell what it could not fetch
        options = {"NUM_THREADS": str(threads)} if several else {}
        return _scene(handle, path, bands, needed, require_crs, options)
    except FAULTS as error:  # such as a directory of the file that is found to be damaged when it is looked at
        raise unreadable(path, error) from error
    finally:
        handle.close()


def _scene(
    handle: rasterio.DatasetReader,
    path: str,
    bands: Sequence[str | int] | None,
    needed: Sequence[str],
    require_crs: bool,
    options: dict[str, Any],
) -> Scene:
    """Return the scene that an open file is; `options` are for opening it again."""
    grid, notes = georeference(handle, path, require_crs)
    palette = read_palette(handle) if bands is None else None
    if palette is not None:
        chosen: tuple[int, ...] = (1,)
        reason = "the palette's colours"
    else:
        interpretations = [kind.name.lower() for kind in handle.colorinterp]
        choice = choose_bands(bands, needed, interpretations, band_descriptions(handle), path)
        chosen, reason = choice.indexes, choice.reason
    mask, alpha, masked = describe_mask(handle, chosen)
    return Scene(
        path=path,
        grid=grid,
        bands=chosen,
        dtype=np.dtype(np.uint8) if palette is not None else np.dtype(handle.dtypes[chosen[0] - 1]),
        mask=mask,
        block=handle.block_shapes[chosen[0] - 1],
        driver=handle.driver,
        pixel_bytes=pixel_bytes(handle, chosen),
        has_overviews=bool(handle.overviews(chosen[0])),
        notes=(*notes, f"bands {', '.join(map(str, chosen))}: {reason}"),
        _alpha=alpha,
        _masked=masked,
        _nodata=tuple(handle.nodatavals[band - 1] for band in chosen),
        _palette=palette,
        _options=options,
    )


def _check_size(handle: rasterio.DatasetReader, path: str, max_gigapixels: float) -> None:
    """Raise SceneError where the raster, or a reduced copy in it, has too many pixels or too large blocks."""
    check_size(handle, path, max_gigapixels)
    if not is_remote(path):  # there each look costs a request
        for level in range(len(handle.overviews(1))):
            with open_raster(path, OVERVIEW_LEVEL=str(level)) as reduced:
                check_size(reduced, path, max_gigapixels)


def _both(valid: np.ndarray | None, also: np.ndarray) -> np.ndarray:
    return also if valid is None else valid & also


def _equals(band: np.ndarray, nodata: float | None) -> np.ndarray:
    if nodata is None:
        return np.zeros(band.shape, bool)
    if np.isnan(nodata):
        return np.isnan(band)
    if band.dtype.kind != "f" and not np.iinfo(band.dtype).min <= nodata <= np.iinfo(band.dtype).max:
        return np.zeros(band.shape, bool)  # such as -9999 of a uint8 band: no pixel can have it
    return band == np.asarray(nodata).astype(band.dtype)
