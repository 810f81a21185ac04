"""The tiles that a run has finished, kept beside its output: a run that was stopped or killed goes on from them.

SQLite in WAL mode: what is committed survives the end of the process at any moment; after a power failure the file is
whole, if perhaps some tiles short. Its lock, which ends with the process, keeps two runs from writing one output.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import numpy as np

from geodetect import __version__
from geodetect.config import ClassRules
from geodetect.detections import Detections
from geodetect.engines import Engine
from geodetect.errors import BusyError, OutputError
from geodetect.package import ModelPackage
from geodetect.plan import Plan
from geodetect.scene import Scene
from geodetect.sqlitefile import FAULTS, refuse_queries
from geodetect.survey import sample

_ROW = np.dtype([("box", "<f8", 4), ("score", "<f4"), ("label", "<i4"), ("tile", "<i4")])
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS identity (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS finished (first INTEGER PRIMARY KEY, past INTEGER NOT NULL, detections BLOB NOT NULL);
"""
_DAMAGED = "not a database", "malformed", "no such", "unsupported", "decode"
_CHANGED = {  # what is said where a part of the identity differs
    "geodetect": "it was begun by another version of geodetect",
    "scene": "the scene has changed",
    "model": "the model is another",
    "plan": "tiles, bands, stretch or area are others",
    "score": "a lower score is asked for",
    "engine": "engine, device or precision are others",
}


class Journal:
    """What is finished of a run with one output.

    As a context manager: a run that ends well removes it, one that fails leaves it for the next.

    Attributes:
        path: of the file, hidden beside the output.
        finished: the plan's tiles that are finished, as spans of indices in the order in which they were added.
        found: what an earlier run found in them, as far as it is of use; see `recall`.
        lacking: why nothing can be kept on this disk, "" where it can.
    """

    def __init__(self, output: Path) -> None:
        """Open the output's journal or begin one.

        Raises:
            BusyError: another run is writing the output.
        """
        output = output.resolve()
        self.path = output.with_name(f".{output.name}.journal")
        self.finished: list[range] = []
        self.found = Detections.empty()
        self.lacking = ""
        try:
            self._database = self._opened()
        except FAULTS as error:
            if "is locked" in str(error):
                raise BusyError(f"another run is writing {output}; wait for its end, or give another name") from error
            if any(sign in str(error) for sign in _DAMAGED):
                self._remove()  # what it held is lost, and soon done again
            self._begin()

    @property
    def done(self) -> int:
        """How many of the plan's tiles are finished."""
        return sum(map(len, self.finished))

    def missing(self, span: range) -> list[range]:
        """Return what of a span of the plan's tiles is not finished, in order."""
        gaps, at = [], span.start
        for part in sorted(self.finished, key=lambda part: part.start):
            if at < part.start:
                gaps.append(range(at, min(part.start, span.stop)))
            at = max(at, part.stop)
            if at >= span.stop:
                break
        else:
            gaps.append(range(at, span.stop))
        return [gap for gap in gaps if gap]

    def recall(self, identity: Mapping[str, str], tiles: int, n_classes: int) -> str:
        """Take over what an earlier run finished; returns why it is of no use, "" where it is or there was none.

        Args:
            identity: of this run, see `identity`; the earlier run's must be the same.
            tiles, n_classes: of this run; the journal is not trusted to keep within them.
        """
        why = ""
        try:
            before = dict(self._database.execute("SELECT key, value FROM identity"))
            if before:
                why = next((_CHANGED[key] for key, value in identity.items() if before.get(key) != value), "")
                if not why:
                    self.finished, self.found = self._stored(tiles, n_classes)
                    return ""
        except (*FAULTS, ValueError):
            why = "its journal is damaged"
        self.clear()
        try:
            with self._database:
                self._database.executemany("INSERT INTO identity VALUES (?, ?)", identity.items())
        except FAULTS as error:
            raise self._unwritable(error) from error
        return why

    def clear(self) -> None:
        """Forget an earlier run."""
        self.finished, self.found = [], Detections.empty()
        try:
            with self._database:
                self._database.execute("DELETE FROM finished")
                self._database.execute("DELETE FROM identity")
        except FAULTS:  # damaged, or of another make
            self._database.close()
            self._remove()
            self._begin()

    def add(self, span: range, found: Detections) -> None:
        """Write down that a span of the plan's tiles is finished, and what was found in it.

        Raises:
            OutputError: the disk is full; what was written down before stays.
        """
        rows = np.empty(len(found), _ROW)
        rows["box"], rows["score"], rows["label"], rows["tile"] = found.boxes, found.scores, found.labels, found.tiles
        try:
            with self._database:
                values = span.start, span.stop, rows.tobytes()
                self._database.execute("INSERT INTO finished VALUES (?, ?, ?)", values)
        except FAULTS as error:
            raise self._unwritable(error) from error
        self.finished.append(span)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close(keep=kind is not None)

    def close(self, keep: bool) -> None:
        """Give the output free; `keep` what is finished, if anything is, for another run to go on with."""
        with contextlib.suppress(*FAULTS):
            self._database.close()
        if not (keep and (self.done or self.lacking)):  # another run's may be there, and sound
            self._remove()

    def _begin(self) -> None:
        """Make a new file; where there can be none, one in memory."""
        try:
            self._database = self._opened()
        except FAULTS as error:  # a folder of that name, a network that knows no locks
            self.lacking = str(error)
            self._database = self._opened(":memory:")

    def _unwritable(self, error: Exception) -> OutputError:
        return OutputError(
            f"the journal {self.path} cannot be written ({error}); make room and run the same command again: it "
            f"goes on after {self.done:,} tiles"
        )

    def _opened(self, path: str | None = None) -> sqlite3.Connection:
        database = sqlite3.connect(path or self.path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            # exclusive before the first access: WAL then needs no shared memory, which network folders lack
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            refuse_queries(database)
            database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        except BaseException:
            database.close()
            raise
        database.isolation_level = "DEFERRED"
        return database

    def _stored(self, tiles: int, n_classes: int) -> tuple[list[range], Detections]:
        """Return the spans written down and what was found; raises ValueError where they are of no such run."""
        spans, parts, past = [], [], 0
        for first, stop, data in self._database.execute("SELECT * FROM finished ORDER BY first"):
            if not past <= first <= stop <= tiles:
                raise ValueError(f"tiles {first} to {stop} of {tiles}, after {past}")
            rows = np.frombuffer(data, _ROW)
            boxes, labels, seen_by = rows["box"], rows["label"], rows["tile"]
            good = np.isfinite(boxes).all() and (boxes[:, 2:] > boxes[:, :2]).all()
            good &= ((rows["score"] >= 0) & (rows["score"] <= 1)).all()
            good &= ((labels >= 0) & (labels < n_classes) & (seen_by >= first) & (seen_by < stop)).all()
            if not good:
                raise ValueError(f"no detections of {n_classes} classes in {tiles} tiles")
            spans.append(range(first, stop))
            parts.append(Detections.of(boxes, rows["score"], labels, seen_by))
            past = stop
        return spans, Detections.concatenate(parts)

    def _remove(self) -> None:
        for ending in ("", "-wal", "-shm", "-journal"):
            with contextlib.suppress(OSError):
                os.unlink(f"{self.path}{ending}")


def identity(scene: Scene, package: ModelPackage, plan: Plan, rules: ClassRules, engine: Engine) -> dict[str, str]:
    """Return all that decides what a network sees in a tile, as texts by the name of its kind."""
    stretch, card = plan.normaliser.stretch, package.card
    windows = np.array([window.bounds for window in plan.windows], np.float64)
    seen = [scene.bands, plan.canvas, plan.shape, plan.tile, plan.overlap, stretch.low, stretch.high]
    return {
        "geodetect": __version__,
        "scene": _stamp(scene),
        "model": f"{package.sha256} {_hash(json.dumps(card.to_dict(), sort_keys=True, default=str).encode())}",
        "plan": _hash(repr(seen).encode(), windows.tobytes()),
        "score": repr(rules.floor),
        "engine": engine_identity(engine),
    }


def engine_identity(engine: Engine) -> str:
    """Return what of an engine decides its numbers; how many threads it has makes no difference."""
    return f"{engine.name} {engine.version} {engine.device.split(',')[0]} {engine.precision}"


def _stamp(scene: Scene) -> str:
    """Return what changes with the scene: its files' sizes and times, of what is no file a sample of its pixels."""
    told: list[object] = [scene.path, scene.dtype, tuple(scene.grid.transform), scene.grid.height, scene.grid.width]
    pixels = b""
    for name in sorted(scene.handle().files):
        try:
            state = os.stat(name)
            told.append((name, state.st_size, state.st_mtime_ns))
        except OSError:  # on a server, in an archive
            told.append(name)
            pixels = pixels or sample(scene)[0].tobytes()
    return _hash(repr(told).encode(), pixels)


def _hash(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
