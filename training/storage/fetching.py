"""Data sets and checkpoints from an object store: fetched once, in parallel, resumed where it broke off.

Beside what is fetched lies `.NAME.fetched`, a JSON line a file with the size and ETag that it had; a later call fetches
only what has changed since.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from geodetect.errors import Cancelled, DownloadError
from geodetect.files import replacing
from geodetect.progress import SILENT, Reporter
from geodetect.registry import home
from training.storage.addresses import connect, is_remote, key_of, patiently, reason

_CHUNK = 16 << 20  # bytes asked for at once, and lost when a transfer breaks off
_THREADS = 16  # images are small: it is waiting, not work
_ATTEMPTS, _BACKOFF = 4, 0.5


@dataclass(frozen=True, slots=True)
class _Object:
    """A file in the store: its key, its path below what is fetched, and what tells its versions apart."""

    key: str
    path: str
    size: int  # bytes
    etag: str

    @property
    def line(self) -> str:
        return json.dumps([self.path, self.size, self.etag])


def fetch(url: str | Path, into: Path | None = None, reporter: Reporter = SILENT) -> Path:
    """Return a local copy of a file or folder of an object store; a local path comes back as it is.

    Files that are here and have not changed in the store are not fetched again, files that have gone from the store
    are removed. Of several processes that call it at once one fetches and the others wait.

    Args:
        url: `s3://BUCKET/KEY`, `obs://BUCKET/KEY` or a local path.
        into: the folder to put it into; None for one beside the user's models.
        reporter: told of `download` in bytes.

    Raises:
        DownloadError: something cannot be fetched; what has arrived is kept, and the next call goes on from there.
        ConfigError: no bucket, or no endpoint, is given.
        Cancelled: Ctrl-C.
    """
    if not is_remote(url):
        return Path(url)
    url, key = str(url), key_of(str(url))
    target = (into or home() / "remote" / Path(key).parent) / PurePosixPath(key).name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with alone(target):
            store = connect(url)
            _Fetch(url, target, reporter).run(store, _listing(store, url, key))
    except KeyboardInterrupt:
        raise Cancelled(f"Stopped fetching {url}; the same command goes on from what is in {target}.") from None
    except OSError as error:
        raise DownloadError(f"{url} cannot be saved as {target} ({error.strerror or error})") from error
    return target


def _listing(store: Any, url: str, key: str) -> list[_Object]:
    """Return the file, or all files of the folder."""
    try:
        found = patiently(lambda: _find(store, key), time.sleep, _ATTEMPTS, _BACKOFF)
    except Exception as error:
        raise DownloadError(f"{url} cannot be fetched ({reason(error)})") from error
    objects = [
        _Object(name, name[len(key) + 1 :], int(info["size"]), str(info.get("ETag", "")).strip('"'))
        for name, info in sorted(found.items())
        if info["type"] == "file" and not name.endswith("/")
    ]
    if not objects:
        raise DownloadError(f"{url} cannot be fetched (nothing is there)")
    for item in objects:
        if ".." in PurePosixPath(item.path).parts or item.path.startswith("/"):
            raise DownloadError(f"{url} cannot be fetched (its file {item.key} would land outside of the folder)")
    return objects


def _find(store: Any, key: str) -> dict[str, Any]:
    info = store.info(key)
    return {key: info} if info["type"] == "file" else store.find(key, detail=True)


class _Fetch:
    """One call of `fetch`."""

    def __init__(self, url: str, target: Path, reporter: Reporter) -> None:
        self._url, self._target, self._reporter = url, target, reporter
        self._record = target.with_name(f".{target.name}.fetched")
        self._lock, self._stop, self._done = threading.Lock(), threading.Event(), 0

    def run(self, store: Any, objects: list[_Object]) -> None:
        known = self._known()
        total = sum(item.size for item in objects)
        missing = [item for item in objects if known.get(item.path) != item.line or not self._is_whole(item)]
        self._done = total - sum(item.size for item in missing)
        self._remove(set(known) - {item.path for item in objects})
        self._check_space(missing)
        self._record.touch()
        with ThreadPoolExecutor(_THREADS) as pool:
            tasks = [pool.submit(self._get, store, item) for item in missing]
            try:
                self._wait(tasks, total)
            finally:
                self._stop.set()
                pool.shutdown(cancel_futures=True)
        with replacing(self._record) as record:
            record.write_text("".join(f"{item.line}\n" for item in objects), encoding="utf-8")

    def _wait(self, tasks: list[Future[None]], total: int) -> None:
        """Report until all are done; raise the first error."""
        left: set[Future[None]] = set(tasks)
        while left:
            done, left = wait(left, timeout=0.1, return_when=FIRST_EXCEPTION)
            for task in done:
                task.result()
            self._reporter.progress("download", self._done, total)

    def _get(self, store: Any, item: _Object) -> None:
        path = self._path(item)
        path.parent.mkdir(parents=True, exist_ok=True)
        version = hashlib.sha256(item.etag.encode()).hexdigest()[:8]  # never goes on with a part of another one
        part = path.with_name(f".{path.name}.{version}.part")
        with part.open("ab") as file:
            start = min(file.tell(), item.size)
            self._count(start)
            while start < item.size and not self._stop.is_set():
                data = self._read(store, item, start)
                file.write(data)
                start += len(data)
                self._count(len(data))
        if self._stop.is_set():
            return
        if part.stat().st_size != item.size or (item.size > _CHUNK and self._etag(store, item) != item.etag):
            part.unlink()
            raise DownloadError(f"{self._url} cannot be fetched ({item.key} changed meanwhile); run it again")
        os.replace(part, path)
        with self._lock, self._record.open("a", encoding="utf-8") as record:
            record.write(f"{item.line}\n")

    def _read(self, store: Any, item: _Object, start: int) -> bytes:
        end = min(start + _CHUNK, item.size)
        try:
            data = patiently(partial(_range, store, item.key, start, end), self._stop.wait, _ATTEMPTS, _BACKOFF)
        except Exception as error:
            raise DownloadError(
                f"{self._url} cannot be fetched ({item.key}: {reason(error)}); what has arrived is kept in "
                f"{self._target}, and the same command goes on from there"
            ) from error
        return data

    def _etag(self, store: Any, item: _Object) -> str:
        try:
            return str(store.info(item.key).get("ETag", "")).strip('"')
        except Exception as error:
            raise DownloadError(f"{self._url} cannot be fetched ({item.key}: {reason(error)})") from error

    def _path(self, item: _Object) -> Path:
        return self._target / item.path if item.path else self._target

    def _is_whole(self, item: _Object) -> bool:
        path = self._path(item)
        return path.is_file() and path.stat().st_size == item.size

    def _known(self) -> dict[str, str]:
        """Return the lines of an earlier call's record, by path."""
        with contextlib.suppress(OSError, ValueError):
            return {json.loads(line)[0]: line for line in self._record.read_text(encoding="utf-8").splitlines()}
        return {}

    def _remove(self, gone: set[str]) -> None:
        for path in gone:
            with contextlib.suppress(OSError):
                (self._target / path).unlink()

    def _check_space(self, missing: list[_Object]) -> None:
        needed, free = sum(item.size for item in missing), shutil.disk_usage(self._target.parent).free
        if needed > free:
            raise DownloadError(
                f"{self._url} needs {needed / 1e6:.0f} MB and {self._target.parent} has {free / 1e6:.0f} MB free; "
                "make room, or set GEODETECT_HOME to a folder on another disk"
            )

    def _count(self, size: int) -> None:
        with self._lock:
            self._done += size


def _range(store: Any, key: str, start: int, end: int) -> bytes:
    """Return the bytes [start, end) of a file; a transfer that broke off is an error."""
    data = store.cat_file(key, start=start, end=end)
    if len(data) != end - start:
        raise OSError(f"{len(data)} of {end - start} bytes arrived")
    return data


@contextlib.contextmanager
def alone(target: Path) -> Iterator[None]:
    """Hold the lock of a path, a file beside it, that ends with the process; others wait for it."""
    with target.with_name(f".{target.name}.lock").open("w") as file:
        with contextlib.suppress(ImportError):  # Windows, where no two processes train
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
