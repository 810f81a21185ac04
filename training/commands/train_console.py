"""What the terminal shows while `geodetect train` runs."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from geodetect.cli.console import JsonReporter
from training.run.metrics import Row, TrainReporter

_BAR = 12  # columns


class _Clock:
    """Tells speed and time left, from the steps that this process made."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def pace(self, row: Row, total: int) -> tuple[str, ...]:
        """Return images a second and the time left; nothing for the first row, which has the compilation in it."""
        if self._first is None:
            self._first = row.step, time.monotonic()
            return ()
        seconds = (time.monotonic() - self._first[1]) / max(row.step - self._first[0], 1) * (total - row.step)
        minutes, second = divmod(round(seconds), 60)
        left = f"{minutes // 60}:{minutes % 60:02}:{second:02}" if minutes >= 60 else f"{minutes}:{second:02}"
        return f"{row.images_per_s:.1f} images/s", f"{left} left"


class BarReporter(TrainReporter, AbstractContextManager):
    """A bar with epoch, step, loss, speed and time left, and what else the terminal has room for, on stderr."""

    def __init__(self) -> None:
        self._clock = _Clock()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=_BAR),
            TextColumn("{task.fields[detail]}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("Reading and compiling", total=None, detail="")
        self._detail = ""

    def __enter__(self) -> BarReporter:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def measured(self, row: Row, steps: int, total: int) -> None:
        """Move the bar; print the last row of an epoch above it."""
        pace, place, width = self._clock.pace(row, total), _place(row, steps, total), self._bar.console.width
        self._detail = fitting([*_facts(row, pace), _terms(row)], width - len(place) - _BAR - 3)
        self._bar.update(self._task, description=place, completed=row.step, total=total, detail=self._detail)
        if row.step % steps == 0:
            line = "  ".join([f"epoch {row.epoch}/{total // steps}", *_facts(row, pace[:1])])
            terms = _terms(row)
            self.note(f"{line}  {terms}" if len(line) + 2 + len(terms) <= width else f"{line}\n  {terms}")

    def progress(self, stage: str, done: int, total: int, found: int = 0) -> None:
        """Show a download or an evaluation beside the bar."""
        shown = f"{done / 1e6:,.0f}/{total / 1e6:,.0f} MB" if stage == "download" else f"evaluating {done:,}/{total:,}"
        self._bar.update(self._task, detail=self._detail if done == total else shown)

    def note(self, message: str) -> None:
        """Print a note above the bar."""
        self._bar.console.print(message, style="dim", highlight=False, markup=False)


class JsonTrainReporter(JsonReporter, TrainReporter):
    """One JSON object a line on stdout."""

    def __enter__(self) -> JsonTrainReporter:
        return self

    def measured(self, row: Row, steps: int, total: int) -> None:
        """Print a row."""
        self.emit({"type": "measured", "steps": steps, "total": total, **row.to_dict()})

    @staticmethod
    def emit(message: dict) -> None:
        """Print one message, numbers with six digits and null for what is none: JSON has no NaN."""
        JsonReporter.emit(
            {key: _number(value) if isinstance(value, float) else value for key, value in message.items()}
        )


class LineReporter(TrainReporter, AbstractContextManager):
    """A line a row, for logs; with `quiet`, nothing at all."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet, self._clock = quiet, _Clock()

    def __enter__(self) -> LineReporter:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def measured(self, row: Row, steps: int, total: int) -> None:
        """Print a row."""
        facts = _facts(row, self._clock.pace(row, total))
        self.note("  ".join([_place(row, steps, total), *facts, _terms(row)]))

    def note(self, message: str) -> None:
        """Print a note."""
        if not self._quiet:
            click.echo(message, err=True)


def make_train_reporter(progress: str) -> BarReporter | JsonTrainReporter | LineReporter:
    """Return the reporter for `--progress auto|json|none`; auto shows a bar on a terminal and lines elsewhere."""
    if progress == "json":
        return JsonTrainReporter()
    if progress == "auto" and Console(stderr=True).is_terminal:
        return BarReporter()
    return LineReporter(quiet=progress == "none")


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def fitting(parts: Sequence[str], width: int) -> str:
    """Return as many of the first parts as fit into a width, two spaces between them."""
    lines = ("  ".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((line for line in lines if len(line) <= width), "")


def _place(row: Row, steps: int, total: int) -> str:
    return f"epoch {row.epoch}/{total // steps} step {(row.step - 1) % steps + 1}/{steps}"


def _facts(row: Row, pace: Sequence[str]) -> list[str]:
    """Return what a row says, the most wanted first."""
    scores = [f"{name} {value:.3f}" for name, value in row.scores.items()]
    return [f"loss {row.loss:.3g}", *pace, *scores, f"lr {row.lr:.2g}"]


def _terms(row: Row) -> str:
    return f"({', '.join(f'{name} {value:.3g}' for name, value in row.terms.items())})"
