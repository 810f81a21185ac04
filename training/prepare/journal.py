"""What of a data set is written already, so that a run that was killed goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from geodetect.errors import OutputError
from geodetect.files import replacing

NAME = ".prepare.jsonl"


def read_journal(folder: Path) -> tuple[dict[str, Any] | None, dict[str, list[str]]]:
    """Return the settings of the data set in `folder`, None where there is no journal, and its finished jobs.

    A job is its key with the files that hold no data. A last line that is cut off is left out.
    """
    settings, done = None, {}
    path = folder / NAME
    for line in path.read_text("utf-8").splitlines() if path.is_file() else []:
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if "settings" in entry:
            settings = entry["settings"]
        else:
            done[entry["key"]] = entry["blank"]
    return settings, done


def write_journal(folder: Path, settings: Mapping[str, Any], done: Mapping[str, list[str]]) -> None:
    """Write a journal anew."""
    with replacing(folder / NAME) as temporary:
        lines = [json.dumps({"settings": settings}), *(_line(key, blank) for key, blank in done.items())]
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def open_journal(folder: Path) -> IO[str]:
    """Return the journal to add jobs to."""
    return open(folder / NAME, "a", encoding="utf-8")


def add(journal: IO[str], key: str, blank: Iterable[str]) -> None:
    """Add a finished job; raises OutputError where the disk is full."""
    try:
        journal.write(_line(key, list(blank)) + "\n")
        journal.flush()
    except OSError as error:
        raise OutputError(f"the journal {journal.name} could not be written ({error.strerror})") from error


def _line(key: str, blank: list[str]) -> str:
    return json.dumps({"key": key, "blank": blank})
