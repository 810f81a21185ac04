"""What the terminal shows while a run goes on."""

from __future__ import annotations

import json
import time
from contextlib import AbstractContextManager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from geodetect.progress import Caution, Reporter

STAGES = {
    "download": "Downloading",
    "detect": "Detecting",
    "merge": "Merging",
    "write": "Writing",
    "look": "Looking",
    "prepare": "Cutting",
    "batch": "Detecting",
    "read": "Reading",
}
# stages that take their time, and what they count
COUNTED = {"detect": "tiles", "look": "images", "prepare": "tiles", "batch": "scenes", "read": "results"}


class BarReporter(Reporter, AbstractContextManager):
    """A progress bar with tiles per second, objects found and time left, on stderr."""

    def __init__(self) -> None:
        self._began = ("", 0, 0.0)  # a stage, how much of it was done at its start, and when that was
        self._bar = Progress(
            TextColumn("{task.description:<11}"),
            BarColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("Opening", total=None, detail="")

    def __enter__(self) -> BarReporter:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def progress(self, stage: str, done: int, total: int, found: int = 0) -> None:
        """Move the bar."""
        detail = f"{found:,} found"
        if stage == "download":
            detail = f"{done / 1e6:,.0f}/{total / 1e6:,.0f} MB"
        elif stage in COUNTED:
            if stage != self._began[0] or done < self._began[1]:
                self._began = stage, done, time.perf_counter()
            _, before, when = self._began
            speed = (done - before) / max(time.perf_counter() - when, 1e-3)
            told = f"{3600 * speed:,.0f}/h" if stage == "batch" else f"{speed:,.1f}/s"
            detail = f"{done:,}/{total:,} {COUNTED[stage]}  {told}  {found:,} found"
        self._bar.update(self._task, description=STAGES.get(stage, stage), detail=detail)
        if stage == "download" or stage in COUNTED:
            self._bar.update(self._task, completed=done, total=total or None)

    def note(self, message: str) -> None:
        """Print a note above the bar."""
        style = "yellow" if isinstance(message, Caution) else "dim"
        self._bar.console.print(message, style=style, highlight=False, markup=False)


class JsonReporter(Reporter, AbstractContextManager):
    """One JSON object a line on stdout, at most ten progress lines a second."""

    def __init__(self) -> None:
        self._last = ("", 0.0)

    def __enter__(self) -> JsonReporter:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def progress(self, stage: str, done: int, total: int, found: int = 0) -> None:
        """Print a progress line, unless one of the same stage was printed just now."""
        now = time.monotonic()
        if stage != self._last[0] or now - self._last[1] >= 0.1 or done == total:
            self._last = stage, now
            self.emit({"type": "progress", "stage": stage, "done": done, "total": total, "found": found})

    def note(self, message: str) -> None:
        """Print a note line."""
        self.emit({"type": "note", "message": message} | ({"caution": True} if isinstance(message, Caution) else {}))

    @staticmethod
    def emit(message: dict) -> None:
        """Print one message."""
        click.echo(json.dumps(message))


class QuietReporter(Reporter, AbstractContextManager):
    """Prints the notes to stderr where a script's log may want them, and nothing else."""

    def __init__(self, notes: bool) -> None:
        self._notes = notes

    def __enter__(self) -> QuietReporter:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def note(self, message: str) -> None:
        """Print a note."""
        if self._notes:
            click.echo(message, err=True)


def make_reporter(progress: str) -> BarReporter | JsonReporter | QuietReporter:
    """Return the reporter for `--progress auto|json|none`; auto shows a bar on a terminal and only notes elsewhere."""
    if progress == "json":
        return JsonReporter()
    if progress == "auto" and Console(stderr=True).is_terminal:
        return BarReporter()
    return QuietReporter(notes=progress == "auto")
