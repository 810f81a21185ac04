"""Where a batch stands: one row a scene in an SQLite file, in the batch's folder.

Each change is a transaction, so the file is whole whenever the batch is killed. A lock of its own, which ends with the
process, keeps two runs from one folder; others may read meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from geodetect.batch.record import STATES, Record
from geodetect.errors import OutputError
from geodetect.progress import Caution
from geodetect.sqlitefile import FAULTS, refuse_queries

FILE = "batch.sqlite"
_LOCK = ".batch.lock"
_MOST = 2**53  # of whatever is counted
_NAME = 255  # bytes of a file's name
_TEXT = 100_000  # characters of a text
_TEXTS = "title", "model", "model_version", "model_sha256", "licence", "attribution", "begun", "engine", "ending"
_KINDS = {"palette": dict, "settings": dict, "geodetect": str} | dict.fromkeys(_TEXTS, str)
_FIELDS = tuple(field.name for field in fields(Record))
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS batch (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS scenes (
        scene TEXT PRIMARY KEY, output TEXT UNIQUE NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
        attempts INTEGER NOT NULL, seconds REAL NOT NULL, tiles INTEGER NOT NULL, counts TEXT NOT NULL,
        footprint TEXT NOT NULL, ended TEXT NOT NULL, notes TEXT NOT NULL);
"""


class State:
    """The state of the batch in a folder. A context manager.

    Attributes:
        folder: of the batch.
    """

    def __init__(self, folder: Path, write: bool = False) -> None:
        """Open the state, or begin one where it is to be written.

        Raises:
            OutputError: there is none, it is damaged, or another run writes it.
        """
        self.folder = folder
        self._lock = _locked(folder) if write else None
        path = folder / FILE
        try:
            if not write:
                check_begun(folder)
            self._database = sqlite3.connect(path, timeout=10)
            refuse_queries(self._database)
            if write:
                self._database.executescript(_SCHEMA)
            else:  # a run that was killed amid a change leaves one to be undone, so it is not opened for reading only
                self._database.execute("PRAGMA query_only = ON")
            self._database.execute("SELECT 1 FROM scenes, batch LIMIT 1").fetchone()
        except FAULTS as error:
            self._release()
            broken = any(sign in str(error) for sign in ("not a database", "malformed", "no such"))
            hint = "is it the state of a batch? move it away to begin anew" if broken else "check the folder's rights"
            hint = "make room and run the same command again" if "full" in str(error) else hint
            raise OutputError(f"{path} cannot be used ({error}); {hint}") from error
        except OutputError:
            self._release()
            raise

    def __enter__(self) -> State:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()
        self._release()

    @property
    def running(self) -> bool:
        """Whether a run is writing this state now."""
        if self._lock is not None:
            return True
        try:
            _locked(self.folder).close()
        except OutputError as error:
            return "another run" in str(error)
        return False

    def about(self) -> dict[str, Any]:
        """Return what holds for the whole batch: settings, model, when it was begun."""
        try:
            rows = self._database.execute("SELECT key, value FROM batch").fetchall()
            return _about({key: json.loads(value) for key, value in rows})
        except (sqlite3.Error, ValueError, TypeError, RecursionError) as error:
            raise self._damaged(error) from error

    def describe(self, about: Mapping[str, Any]) -> None:
        """Write down what holds for the whole batch; keys that are there already are replaced."""
        with self._writing():
            rows = [(key, json.dumps(value)) for key, value in about.items()]
            self._database.executemany("INSERT OR REPLACE INTO batch VALUES (?, ?)", rows)

    def records(self) -> list[Record]:
        """Return all scenes in the order in which they were given."""
        try:
            rows = self._database.execute(f"SELECT {', '.join(_FIELDS)} FROM scenes ORDER BY rowid").fetchall()
            return [_record(dict(zip(_FIELDS, row, strict=True))) for row in rows]
        except (sqlite3.Error, ValueError, TypeError, RecursionError) as error:
            raise self._damaged(error) from error

    def add(self, records: Iterable[Record]) -> None:
        """Add scenes that are not there yet."""
        marks = ", ".join(f":{name}" for name in _FIELDS)
        with self._writing():
            statement = f"INSERT OR IGNORE INTO scenes ({', '.join(_FIELDS)}) VALUES ({marks})"
            self._database.executemany(statement, map(_row, records))

    def update(self, records: Sequence[Record]) -> None:
        """Replace what is known of some scenes, all in one transaction."""
        if records:
            changes = ", ".join(f"{name} = :{name}" for name in _FIELDS[2:])
            with self._writing():
                self._database.executemany(f"UPDATE scenes SET {changes} WHERE scene = :scene", map(_row, records))

    def drop(self, records: Iterable[Record]) -> None:
        """Forget some scenes."""
        with self._writing():
            self._database.executemany("DELETE FROM scenes WHERE scene = ?", [(record.scene,) for record in records])

    def clear(self) -> None:
        """Forget an earlier batch; its outputs stay."""
        with self._writing():
            self._database.execute("DELETE FROM scenes")
            self._database.execute("DELETE FROM batch")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with self._database:
                yield
        except sqlite3.Error as error:
            raise OutputError(
                f"{self.folder / FILE} cannot be written ({error}); make room, then go on with --continue"
            ) from error

    def _damaged(self, error: Exception) -> OutputError:
        return OutputError(f"{self.folder / FILE} is damaged ({error}); move it away to begin anew")

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()


def check_begun(folder: Path) -> None:
    """Raise OutputError where no batch was begun in a folder."""
    if not (folder / FILE).is_file():
        raise OutputError(f"no batch is in {folder}: it has no {FILE}; give the folder of a batch")


def none_begun(folder: Path) -> OutputError:
    """Return the error of a batch that ended before it took its scenes."""
    return OutputError(f"the batch in {folder} has no scenes yet; give them, as if it were new")


def as_left(record: Record, folder: Path) -> Record:
    """Return a scene as a run takes it over: what is not settled waits again, and that of which the output is gone."""
    is_done = record.state == "done" and (folder / record.output).exists()
    return (
        record
        if is_done or record.state == "outside"
        else replace(record, state="waiting", counts={}, tiles=0, notes=())
    )


def _row(record: Record) -> dict[str, Any]:
    notes = [(note, isinstance(note, Caution)) for note in record.notes]
    texts = {"counts": json.dumps(dict(record.counts)), "notes": json.dumps(notes)}
    return {name: getattr(record, name) for name in _FIELDS} | texts


def _record(row: dict[str, Any]) -> Record:
    """Return a row as it is trusted: of the right types and within bounds; raises ValueError or TypeError."""
    texts = ("scene", "output", "state", "reason", "footprint", "ended", "counts", "notes")
    if not all(isinstance(row[name], str) and len(row[name]) <= _TEXT for name in texts) or row["state"] not in STATES:
        raise ValueError("a scene's texts are none")
    counts, notes = json.loads(row["counts"]), json.loads(row["notes"])
    if not isinstance(counts, dict) or not all(map(_is_count, counts.values())):
        raise ValueError("counts are no numbers by class")
    if not isinstance(notes, list) or not all(isinstance(note, str) for note, _ in notes):
        raise ValueError("a note is no text")
    name = row["output"]
    if Path(name).name != name or name in ("", ".", "..") or "\0" in name or len(name.encode()) > _NAME:
        raise ValueError("an output is not in the batch's folder")
    if not (_is_count(row["attempts"]) and _is_count(row["tiles"]) and _is_time(row["seconds"])):
        raise ValueError("a scene's numbers are none")
    told = tuple(Caution(note) if cautions else note for note, cautions in notes)
    return Record(**(row | {"counts": counts, "notes": told}))


def _about(values: dict[str, Any]) -> dict[str, Any]:
    """Return what holds for a batch as it is trusted; raises ValueError."""
    for key, kind in _KINDS.items():
        if key in values and not isinstance(values[key], kind):
            raise ValueError(f"its {key} is of another kind")
    if not all(isinstance(colour, str) for colour in values.get("palette", {}).values()):
        raise ValueError("its palette is no colours by class")
    if not _is_time(values.get("seconds", 0)) or not re.fullmatch(r"\.[a-z]+", values.get("ending", ".gpkg")):
        raise ValueError("its seconds or its format are none")
    return values


def _is_count(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < _MOST


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and 0 <= value < _MOST


def _locked(folder: Path) -> sqlite3.Connection:
    """Return a lock on the folder that ends with this process or when it is closed."""
    try:
        lock = sqlite3.connect(folder / _LOCK, timeout=0.5, isolation_level=None)  # s: others ask for a moment
        lock.execute("PRAGMA journal_mode = MEMORY")  # no file beside it
        lock.execute("BEGIN EXCLUSIVE")
    except FAULTS as error:
        if "locked" in str(error):
            raise OutputError(
                f"another run is working in {folder}; wait for its end, or give another folder"
            ) from error
        raise OutputError(f"the folder {folder} cannot be locked ({error}); give another folder") from error
    return lock
