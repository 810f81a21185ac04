"""What the terminal shows while `geodetect train` runs."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from geodetect.cli.console import JsonReporter
from training.run.metrics import Row, TrainReporter


class _Clock:
    """Tells the time that is left, from the steps that this process made."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def left(self, row: Row, total: int) -> str:
        """Return hours, minutes and seconds, or nothing as long as nothing can be said."""
        if self._first is None:  # the first row has the compilation in it
            self._first = row.step, time.monotonic()
            return ""
        seconds = (time.monotonic() - self._first[1]) / max(row.step - self._first[0], 1) * (total - row.step)
        minutes, second = divmod(round(seconds), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{second:02} left" if minutes >= 60 else f"{minutes}:{second:02} left"


class BarReporter(TrainReporter, AbstractContextManager):
    """A bar with epoch, step, loss and its terms, learning rate, speed and time left, on stderr."""

    def __init__(self) -> None:
        self._clock = _Clock()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
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
        self._detail = _line(row, self._clock.left(row, total))
        place = f"epoch {row.epoch}/{total // steps} step {(row.step - 1) % steps + 1}/{steps}"
        self._bar.update(self._task, description=place, completed=row.step, total=total, detail=self._detail)
        if row.step % steps == 0:
            self.note(f"{place}  {_line(row, '')}")

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
        values = {key: round(value, 6) if isinstance(value, float) else value for key, value in row.to_dict().items()}
        self.emit({"type": "measured", "steps": steps, "total": total, **values})

    @staticmethod
    def emit(message: dict) -> None:
        """Print one message, with null for what is not a number: JSON has no NaN."""
        JsonReporter.emit({key: None if _is_nan(value) else value for key, value in message.items()})


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
        place = f"epoch {row.epoch}/{total // steps} step {(row.step - 1) % steps + 1}/{steps}"
        self.note(f"{place}  {_line(row, self._clock.left(row, total))}")

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


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _line(row: Row, left: str) -> str:
    terms: Mapping[str, float] = row.terms
    parts = [
        f"loss {row.loss:.3g} ({', '.join(f'{name} {value:.3g}' for name, value in terms.items())})",
        f"lr {row.lr:.2g}",
        f"{row.images_per_s:.1f} images/s",
        *(f"{name} {value:.3f}" for name, value in row.scores.items()),
        left,
    ]
    return "  ".join(part for part in parts if part)
