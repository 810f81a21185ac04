"""A run whose folder is an address: where it is on this machine, and how a run of the store gets there."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from geodetect.errors import OutputError
from geodetect.package import CARD
from training.run.metrics import CSV
from training.run.state import BEST, LAST

_FETCHED = ".fetched"  # below the run's folder, while files arrive
_TAIL = 1 << 20  # bytes at a checkpoint's end within which it says where the run stands, some KB
_TOTAL = re.compile(rb'\{"epoch": \d+, "step": \d+, "total": (\d+)')


def local_folder(url: str, runs: Path) -> Path:
    """Return the folder of an address's run on this machine, another one for each bucket and key."""
    from training.storage.addresses import key_of

    return runs / key_of(url)


def holds_run(url: str) -> bool:
    """Return whether a run is at an address; raises DownloadError where the store does not tell."""
    from training.storage import peek

    return peek(f"{url.rstrip('/')}/{LAST}", 1) is not None


def catch_up(url: str, folder: Path, config: str) -> None:
    """Fetch the run of an address where it is further than the one in the folder, or there is none.

    `last.ckpt` comes to its place last, so that what was broken off is begun again.

    Args:
        url: of the run.
        folder: of the run on this machine.
        config: name of the file of the run's settings.

    Raises:
        DownloadError: the store or a file of the run cannot be read; the folder's run is as it was.
    """
    from training.storage import alone, peek

    url = url.rstrip("/")
    theirs = _steps(peek(f"{url}/{LAST}", _TAIL))
    if theirs <= _steps(_tail(folder / LAST)):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder / "run"):  # of a run's processes one fetches, the others find it done
            if theirs > _steps(_tail(folder / LAST)):
                _replace(url, folder, config)
    except OSError as error:
        raise OutputError(f"the run's folder {folder} cannot be written ({error.strerror}); free or mend it") from error


def _replace(url: str, folder: Path, config: str) -> None:
    """Fetch all files of a run, and only then put them in their places."""
    from training.storage import fetch, peek

    there = [name for name in (CSV, BEST) if peek(f"{url}/{name}", 1) is not None]
    files = [fetch(f"{url}/{name}", folder / _FETCHED) for name in (config, CARD, *there, LAST)]
    for file in files:
        os.replace(file, folder / file.name)
    shutil.rmtree(folder / _FETCHED, ignore_errors=True)


def _tail(path: Path) -> bytes | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _TAIL, 0))
        return file.read()


def _steps(tail: bytes | None) -> int:
    """Return the steps that a run had made, by the end of its last checkpoint; -1 where there is none."""
    if tail is None:
        return -1
    found = _TOTAL.findall(tail)
    return int(found[-1]) if found else 0  # a checkpoint that does not say is left to whoever reads it
