"""Batches in processes of their own, for tests that disturb them."""

from __future__ import annotations

import contextlib
import io
import os
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import psutil
import pytest
from running import features

from geodetect.batch.run import status
from geodetect.batch.workers import LocalWorkers
from geodetect.cli.main import cli

SETTINGS = ("--engine", "openvino", "--precision", "float32", "--score", "0.3", "--progress", "none", "--no-quicklooks")


class Here(LocalWorkers):
    """Does the work in this very process, where to start another for each case would take too long."""

    def submit(self, work, *words) -> Future:
        told: Future = Future()
        told.set_result(work(*words))
        return told


def told(*words: str | Path, progress: str = "none") -> tuple[int, str]:
    """Return how a batch in this very process ends and what it says, which is nothing that it did not expect."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()), pytest.raises(SystemExit) as end:
        cli.main(["batch", *map(str, words), "--progress", progress])
    assert "Traceback" not in said.getvalue()
    assert "unexpected" not in said.getvalue()
    return end.value.code or 0, said.getvalue()


def command(*words: str | Path, name: str = "batch") -> list[str]:
    return [sys.executable, "-m", "geodetect", name, *map(str, words), *SETTINGS[: None if name == "batch" else -1]]


def ended(words: list[str], **how) -> tuple[int, str]:
    """Run a command; return how it ended and what it said, which is no traceback."""
    run = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, **how)
    assert "Traceback" not in run.stderr
    return run.returncode, run.stderr


def faulty(folder: Path, code: str, **environment: str | Path) -> dict[str, str]:
    """Return an environment in which every Python process runs some code before all else."""
    (folder / "sitecustomize.py").write_text(code)
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, **{name: str(value) for name, value in environment.items()}}


def begun(folder: Path, done: int, limit: float = 120) -> None:
    """Wait until some scenes are done and others are worked on."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(folder / "batch.sqlite")) as state:
            states = [row[0] for row in state.execute("SELECT state FROM scenes")]
            if states.count("done") >= done and "running" in states:
                return
        time.sleep(0.02)
    raise TimeoutError("the batch did not get so far")


def workers_of(parent: psutil.Process) -> list[psutil.Process]:
    return [child for child in parent.children() if any("spawn_main" in word for word in child.cmdline())]


def whole(folder: Path) -> None:
    """Every file under a final name is whole."""
    for path in folder.glob("*_detections.gpkg"):
        with contextlib.closing(sqlite3.connect(path)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert database.execute("SELECT count(*) FROM geodetect_runs").fetchone() == (1,)


def finished(folder: Path, undisturbed: dict[str, list]) -> None:
    """The next run does what is left, and then all is there once."""
    subprocess.run(command("--continue", "-o", folder), check=True, timeout=300)
    complete(folder, undisturbed)


def complete(folder: Path, undisturbed: dict[str, list]) -> None:
    """All is there once, and nothing else is."""
    assert features(folder) == undisturbed
    assert {record.state for record in status(folder)[0].records} == {"done"}
    assert [path.name for path in folder.glob(".*")] == [".batch.lock"]  # no journal, no half file
