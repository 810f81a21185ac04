"""How GDAL opens a path or URL, what it is told of networks, and what its errors mean."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError

from geodetect.errors import SceneError

_REMOTE_SCHEMES = ("http://", "https://", "ftp://", "s3://", "gs://", "az://", "oss://")
_REMOTE_SYSTEMS = ("/vsicurl", "/vsis3", "/vsigs", "/vsiaz", "/vsioss", "/vsiswift", "/vsiwebhdfs")
_REMOTE_SETTINGS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "1",
    "GDAL_HTTP_CONNECTTIMEOUT": "10",  # s
    "GDAL_HTTP_LOW_SPEED_TIME": "30",  # s at less than LOW_SPEED_LIMIT bytes/s: the server has stalled
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
}
FAULTS = (RasterioError, CPLE_BaseError, CRSError, UnicodeError)  # of rasterio, documented or not


@contextlib.contextmanager
def gdal_settings(path: str, cache_bytes: int) -> Iterator[None]:
    """Set GDAL's block cache and network options for the reads inside; enter it in every reading thread."""
    with rasterio.Env(GDAL_CACHEMAX=cache_bytes, **(_REMOTE_SETTINGS if is_remote(path) else {})):
        yield


def scene_name(path: str) -> str:
    """Return the file's name of a path, or of a URL without its query."""
    if "://" in path:
        return re.split("[?#]", path)[0].rstrip("/").rsplit("/", 1)[-1]
    return Path(path).name


def is_remote(path: str) -> bool:
    """Whether GDAL reads a path over a network."""
    return path.startswith((*_REMOTE_SCHEMES, *_REMOTE_SYSTEMS))


def check_scene(path: str | Path) -> None:
    """Raise SceneError where GDAL does not open the path; quick, so that it can come before a long download."""
    open_raster(str(path)).close()


def open_raster(path: str, **options: str) -> rasterio.DatasetReader:
    """Return the raster behind a path or URL, opened with GDAL's options; raises SceneError."""
    if "://" not in path and not path.startswith("/vsi") and ":" not in path and not os.path.exists(path):
        raise SceneError(f"{path} does not exist; check the path")
    try:
        if os.path.isdir(path) and not os.listdir(path):
            raise SceneError(f"{path} is an empty folder; give a raster file")
        with warnings.catch_warnings(), rasterio.Env(**(_REMOTE_SETTINGS if is_remote(path) else {})):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return rasterio.open(path, **options)
    except (*FAULTS, OSError) as error:
        raise unreadable(path, error) from error


def fetch_anew(path: str) -> None:
    """Have GDAL forget what it has of a URL: it would take the part that came of a broken answer for all there is."""
    with contextlib.suppress(SceneError), rasterio.Env(CPL_VSIL_CURL_NON_CACHED=":".join(_REMOTE_SYSTEMS)):
        open_raster(path).close()


def unreadable(path: str, error: BaseException) -> SceneError:
    """Return the error that tells why GDAL does not open a path."""
    return SceneError(
        f"{path} cannot be opened as a raster; check that it is an image that GDAL reads, with gdalinfo "
        f"(GDAL: {reason_of(error)})"
    )


def reason_of(error: BaseException) -> str:
    """Return what GDAL says of an error, in one line."""
    cause = error.__cause__ or error
    return " ".join(str(cause).split()).rstrip(".")
