"""Writing a file so that it is there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from geodetect.errors import OutputError


def check_writable(path: Path, overwrite: bool) -> None:
    """Raise OutputError where `path` cannot become a new file; called before the work, not after it."""
    if path.is_dir():
        raise OutputError(f"the output {path} is a folder; give a file name")
    if path.exists() and not overwrite:
        raise OutputError(f"the output {path} exists; give another name, or --overwrite to replace it")
    if not path.parent.is_dir():
        raise OutputError(f"the folder {path.parent} of the output does not exist; create it first")
    probe = _beside(path)
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(f"the output {path} cannot be written ({error.strerror}); give another folder") from error


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`, with its ending; a clean exit renames it to `path`, any other removes it.

    Raises:
        OutputError: the disk is full or the folder not writable.
    """
    temporary = _beside(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"the output {path} could not be written ({reason})") from error
    finally:
        for left in path.parent.glob(temporary.name + "*"):  # SQLite leaves a journal beside its file
            left.unlink()


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
