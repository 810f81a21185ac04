"""A look at a file in an object store without fetching it."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from geodetect.errors import DownloadError
from training.storage.addresses import connect, key_of, patiently, reason

_ATTEMPTS, _BACKOFF = 4, 0.5


def peek(url: str, size: int) -> bytes | None:
    """Return the last `size` bytes of a file, None where there is none; raises DownloadError where no one can tell."""
    store = connect(url)
    try:
        return patiently(partial(_end, store, key_of(url), size), time.sleep, _ATTEMPTS, _BACKOFF)
    except FileNotFoundError:
        return None
    except Exception as error:  # botocore, aiohttp and s3fs have no base in common
        raise DownloadError(f"{url} cannot be read ({reason(error)})") from error


def _end(store: Any, key: str, size: int) -> bytes:
    info = store.info(key)
    if info["type"] != "file":
        raise FileNotFoundError(key)
    end = int(info["size"])
    return bytes(store.cat_file(key, start=max(end - size, 0), end=end)) if end else b""
