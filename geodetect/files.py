"""Writing a file so that it is there whole or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import secrets
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from geodetect.errors import OutputError

_FULL = 64 * 1024  # bytes left on a disk that is as good as full: writers stop before the last of them

# What `_beside` names, and what libraries write beside that, such as `-journal` and `.aux.xml`.
_LEFT = re.compile(r"\.(?P<stem>.+)\.[0-9a-f]{8}(?P<suffix>(?:\.\w+)?)(?:[-.].*)?", re.DOTALL)


def check_writable(path: Path, overwrite: bool) -> None:
    """Raise OutputError where `path` cannot become a new file; called before the work, not after it."""
    if path.is_dir():
        raise OutputError(f"the output {path} is a folder; give a file name")
    if path.exists() and not path.is_file():
        raise OutputError(f"the output {path} is no ordinary file; give a file name")
    if path.exists() and not overwrite:
        raise OutputError(f"the output {path} exists; give another name, or --overwrite to replace it")
    if not path.parent.is_dir():
        raise OutputError(f"the folder {path.parent} of the output does not exist; create it first")
    check_not_open(path)
    probe = _beside(path)
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(
            f"the output {path} cannot be written ({error.strerror}); give another name or folder"
        ) from error


def check_not_open(path: Path) -> None:
    """Raise OutputError where another program has the SQLite file at `path` open in WAL mode, as QGIS has layers.

    That program's `-wal` and `-shm` files would outlive the replaced file and be taken for the new one's.
    """
    for ending in ("-wal", "-shm"):
        if path.with_name(path.name + ending).exists():
            raise OutputError(
                f"the output {path} is open in another program, such as QGIS; close it there, or give another name"
            )


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`, with its ending; a clean exit renames it to `path`, any other removes it.

    Raises:
        OutputError: the disk is full or the folder not writable.
    """
    path = path.resolve()  # a link stays a link
    temporary = _beside(path)
    try:
        yield temporary
        check_not_open(path)
        os.replace(temporary, path)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        if path.parent.is_dir() and shutil.disk_usage(path.parent).free < _FULL:
            reason = "the disk is full"
        raise OutputError(f"the output {path} could not be written ({reason})") from error
    finally:
        for left in path.parent.glob(glob.escape(temporary.name) + "*"):  # SQLite leaves a journal beside its file
            left.unlink()


def clear_leftovers(path: Path) -> None:
    """Remove what writers of `path` left that were killed; only while no other can be writing it."""
    path = path.resolve()
    clear_folder(path.parent, [path.name])


def clear_folder(folder: Path, names: Iterable[str]) -> None:
    """Remove what killed writers of files of these names left in a folder, which is listed once for all of them."""
    wanted = {(Path(name).stem, Path(name).suffix) for name in names}
    for left in folder.glob(".*"):
        parts = _LEFT.fullmatch(left.name)
        if parts and (parts["stem"], parts["suffix"]) in wanted:
            with contextlib.suppress(OSError):
                left.unlink()


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
