"""A folder, such as a run's, kept in an object store as well while work goes on in it.

The local folder is what counts: an upload that fails stops nothing, is tried again, and is told in the end.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from pathlib import Path
from types import TracebackType

from geodetect.errors import OutputError, TrainingError
from geodetect.progress import SILENT, Reporter
from training.storage.addresses import connect, key_of, reason

_BACKOFF, _LONGEST = 1.0, 60.0  # s until a failed upload is tried again: at first, doubled up to
_LAST_ATTEMPTS = 4  # in a row when the run is over


def check_remote(url: str) -> None:
    """Raise OutputError where nothing can be written to an address; for before the work, not after it."""
    store, key = connect(url), f"{key_of(url)}/.geodetect-{secrets.token_hex(4)}"
    try:
        store.pipe_file(key, b"")
        store.rm_file(key)
    except Exception as error:
        raise OutputError(f"nothing can be written to {url} ({reason(error)})") from error


class Mirror:
    """Copies files of a folder to an address, in a thread of its own.

    Args:
        folder: to be kept there.
        url: `s3://` or `obs://` of the folder there.
        reporter: told, from the thread that calls `push` or `close`, when uploads fail and when they work again.
        backoff: s until a failed upload is tried again, doubled each time.
    """

    def __init__(self, folder: Path, url: str, reporter: Reporter = SILENT, backoff: float = _BACKOFF) -> None:
        self._folder, self._url, self._key = folder.resolve(), url.rstrip("/"), key_of(url)
        self._reporter, self._backoff = reporter, backoff
        self._store = connect(url)
        self._change = threading.Condition()
        self._waiting: dict[str, None] = {}  # paths below the folder, in the order of their turns
        self._failures, self._next_attempt = 0, 0.0  # in a row; in the time of time.monotonic()
        self._problem = ""  # why uploads fail at present
        self._notes: list[str] = []
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="mirror", daemon=True)
        self._thread.start()

    def push(self, path: Path) -> None:
        """Have a file, or all files of a folder, uploaded as it then is; returns at once.

        A relative path is one below the folder; names that begin with a dot are left out. A file pushed again before
        its turn is uploaded once, in its newest state; an older state never follows.
        """
        path = self._folder / path
        files = [item for item in path.rglob("*") if item.is_file()] if path.is_dir() else [path.absolute()]
        with self._change:
            for file in files:
                name = file.relative_to(self._folder)
                if not any(part.startswith(".") for part in name.parts):  # not yet whole, or of this machine alone
                    self._waiting[name.as_posix()] = None
            self._change.notify_all()
        self._tell()

    def close(self) -> None:
        """Wait until all is uploaded, with a few more attempts where it fails.

        Raises TrainingError, naming the folder and what was not uploaded, where some of it is not.
        """
        with self._change:
            self._is_closing = True
            self._failures, self._next_attempt = 0, 0.0
            self._change.notify_all()
        self._thread.join()
        self._tell()
        if self._waiting:
            names = sorted(self._waiting)
            shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            raise TrainingError(
                f"{len(names)} files could not be uploaded to {self._url} ({self._problem}): {shown}; "
                f"they are all in {self._folder}, copy them from there"
            )

    def __enter__(self) -> Mirror:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Close; what could not be uploaded is only noted where another error is on its way."""
        if kind is None:
            return self.close()
        with contextlib.suppress(KeyboardInterrupt):
            try:
                self.close()
            except TrainingError as failed:
                self._reporter.note(str(failed))
        return None

    def _work(self) -> None:
        """Upload what waits until all is done or given up: the thread."""
        while (name := self._next()) is not None:
            failed: Exception | None = None
            try:
                self._upload(name)
            except Exception as error:  # botocore, aiohttp and s3fs have no base in common
                failed = error
            with self._change:
                self._finish(name, failed)

    def _next(self) -> str | None:
        """Return the next file once there is one; None at the end."""
        with self._change:
            while True:
                if self._is_closing and (not self._waiting or self._failures >= _LAST_ATTEMPTS):
                    return None
                pause = self._next_attempt - time.monotonic()
                if self._waiting and pause <= 0:
                    name = next(iter(self._waiting))
                    del self._waiting[name]
                    return name
                self._change.wait(pause if self._waiting else None)

    def _upload(self, name: str) -> None:
        file = self._folder / name
        if file.is_file():  # else the run has removed an old checkpoint
            self._store.put_file(str(file), f"{self._key}/{name}")

    def _finish(self, name: str, error: Exception | None) -> None:
        """Note how an upload ended; after a failure the others have their turn first."""
        if error is None:
            if self._problem:
                self._notes.append(f"uploads to {self._url} work again")
            self._failures, self._problem = 0, ""
            return
        self._waiting[name] = None
        self._next_attempt = time.monotonic() + min(self._backoff * 2**self._failures, _LONGEST)
        self._failures += 1
        if not self._problem:
            self._notes.append(
                f"uploads to {self._url} fail ({reason(error)}); work goes on, its files stay in {self._folder} and "
                "are tried again"
            )
        self._problem = reason(error)

    def _tell(self) -> None:
        with self._change:
            notes, self._notes = self._notes, []
        for note in notes:
            self._reporter.note(note)
