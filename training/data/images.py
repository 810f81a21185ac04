"""Training images: quick checks beforehand, pixels when they are needed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from geodetect.errors import LabelError, SceneError
from geodetect.scene import open_scene

_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")  # of 8 bits or fewer
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}  # what stands at the end of a whole file
_TAIL = 4096  # bytes looked through for it
_COMMON = (".jpg", ".jpeg", ".png")  # others may be rasters that Pillow does not know
_READERS = 8
_UNREADABLE = (OSError, ValueError, SyntaxError)  # what Pillow raises for a broken file
_MOST_PIXELS = 1_000_000_000  # of an image, which is decoded whole: 3 GB
Image.MAX_IMAGE_PIXELS = None  # a scene of 20 000 px a side is no attack; `_check_size` asks instead


def check_images(root: Path, files: Sequence[str], to_train: bool = False) -> np.ndarray:
    """Return the sizes (N, 2) int64, width and height px, of images below `root`; reads headers and ends of files.

    Raises:
        LabelError: an image is missing, cannot be opened or is cut off; or `read_image` could not read its kind and it
            is one `to_train` with.
    """
    missing = [name for name in files if not (root / name).is_file()]
    if missing:
        more = f", and {len(missing) - 1} more are" if len(missing) > 1 else " is"
        raise LabelError(f"the image {root / missing[0]}{more} missing; restore it, or prepare the dataset anew")
    with ThreadPoolExecutor(_READERS) as pool:
        sizes = list(pool.map(lambda name: _check(root / name, to_train), files))
    return np.array(sizes, np.int64).reshape(-1, 2)


def _check(path: Path, to_train: bool) -> tuple[int, int]:
    if not to_train and path.suffix.lower() not in _COMMON:
        return _raster_size(path)
    try:
        with path.open("rb") as file, Image.open(file) as image:
            _check_size(image, path)
            if to_train:
                _check_mode(image, path)
            end = _ENDS.get(image.format or "")
            file.seek(max(0, path.stat().st_size - _TAIL))
            if end is not None and end not in file.read():  # cut off, or something was appended
                image.load()
            return image.size
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def _raster_size(path: Path) -> tuple[int, int]:
    try:
        with open_scene(path, ("1", "1", "1")) as scene:
            return scene.grid.width, scene.grid.height
    except SceneError as error:
        raise LabelError(str(error)) from error


def read_image(path: Path, fill: int) -> np.ndarray:
    """Return an image's pixels (h, w, 3) uint8, transparent ones as grey of value `fill`.

    Raises:
        LabelError: it cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            _check_size(image, path)
            _check_mode(image, path)
            if image.has_transparency_data:
                coloured = image.convert("RGBA")
                pixels = np.array(coloured)[..., :3]
                pixels[np.asarray(coloured.getchannel("A")) == 0] = fill
                return pixels
            return np.asarray(image.convert("RGB"))
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def _check_size(image: Image.Image, path: Path) -> None:
    """Raise LabelError where an image claims more pixels than memory should hold; few bytes can claim very many."""
    width, height = image.size
    if width * height > _MOST_PIXELS:
        raise LabelError(
            f"{path} has {width:,} x {height:,} px, at most {_MOST_PIXELS:,} px can be trained with; cut it into tiles "
            "with geodetect prepare"
        )


def _check_mode(image: Image.Image, path: Path) -> None:
    if image.mode not in _MODES:
        raise LabelError(f"{path} has pixels of the kind {image.mode}; make 8-bit images of it with geodetect prepare")


def _unreadable(path: Path, error: Exception) -> LabelError:
    reason = " ".join(str(error).split()).replace(f" {str(path)!r}", "")
    return LabelError(
        f"the image {path} cannot be read ({reason}); it is damaged or cut off: copy it again, or remove it"
    )


@dataclass(frozen=True, eq=False)
class ImageStore:
    """Reads images and keeps the first of them in memory, decoded, up to a number of bytes.

    Nothing is thrown out again: an epoch visits each image once, in an order of its own, so that no other choice of
    what to keep would be hit more often. Safe from any thread.
    """

    limit: int = 0  # bytes
    _kept: dict[tuple[Path, int], np.ndarray] = field(default_factory=dict, init=False, repr=False)
    _used: list[int] = field(default_factory=lambda: [0], init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def read(self, path: Path, fill: int) -> np.ndarray:
        """Return the pixels as `read_image` does; they must not be written to."""
        key = path, fill
        pixels = self._kept.get(key)
        if pixels is None:
            pixels = read_image(path, fill)
            with self._lock:
                if self._used[0] + pixels.nbytes <= self.limit and key not in self._kept:
                    self._kept[key] = pixels
                    self._used[0] += pixels.nbytes
        return pixels
