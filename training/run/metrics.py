"""What is measured while a run goes on: metrics.csv and TensorBoard's event files."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geodetect.errors import OutputError
from geodetect.files import replacing
from geodetect.progress import Reporter

CSV = "metrics.csv"
_FIRST = ("step", "epoch", "loss")
_LAST = ("gradient_norm", "lr", "images_per_s", "AP50", "AP")


@dataclass(frozen=True)
class Row:
    """The means over a few steps of one epoch.

    Attributes:
        step: done since the start of the run.
        epoch: from 1.
        loss: an image.
        terms: of the loss, by name.
        gradient_norm: before the update.
        lr: learning rate of the last of the steps.
        images_per_s: over all devices, loading included.
        scores: AP50 and AP, where the epoch was evaluated after this step.
    """

    step: int
    epoch: int
    loss: float
    terms: Mapping[str, float]
    gradient_norm: float
    lr: float
    images_per_s: float
    scores: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the row as metrics.csv has it, one value a column."""
        return {
            "step": self.step,
            "epoch": self.epoch,
            "loss": self.loss,
            **self.terms,
            "gradient_norm": self.gradient_norm,
            "lr": self.lr,
            "images_per_s": self.images_per_s,
            **self.scores,
        }


class TrainReporter(Reporter):
    """Receives what a training run has to say; this one is silent, subclasses show it."""

    def measured(self, row: Row, steps: int, total: int) -> None:
        """Receive a row as it is written; `steps` an epoch, `total` of the run."""


class Metrics:
    """Writes rows to metrics.csv and to TensorBoard. A resumed run goes on behind the last row that it had."""

    def __init__(self, folder: Path, terms: Sequence[str], after: int = 0) -> None:
        """Open the files of a run; rows of steps behind `after`, which are to be done again, are removed."""
        self.columns = (*_FIRST, *terms, *_LAST)
        self.path = folder / CSV
        kept = [row for row in read_metrics(self.path) if int(row["step"]) <= after] if after else []
        try:
            with replacing(self.path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, self.columns, extrasaction="ignore")
                writer.writeheader()
                writer.writerows(kept)
            self._file = open(self.path, "a", newline="", encoding="utf-8")  # noqa: SIM115 - open for the whole run
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written ({error.strerror or error})") from error
        self._writer = csv.DictWriter(self._file, self.columns)
        self._events = _Events(folder / "tensorboard", after)

    def write(self, row: Row) -> None:
        """Append a row; it is on the disk when this returns."""
        values = row.to_dict()
        try:
            self._writer.writerow({key: _text(value) for key, value in values.items()})
            self._file.flush()
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written ({error.strerror or error})") from error
        self._events.write(row.step, {key: value for key, value in values.items() if key != "step"})

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        self._events.close()


def read_metrics(path: Path) -> list[dict[str, str]]:
    """Return the rows of a metrics.csv, empty where there is none; a row that a kill cut off is left out."""
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if None not in row.values() and (row["step"] or "").isdigit()]


class _Events:
    """TensorBoard's event file, by its own writer; nothing where TensorBoard is not installed."""

    def __init__(self, folder: Path, after: int) -> None:
        self._writer: Any = None
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError:
            return
        self._event, self._summary = event_pb2, summary_pb2
        self._writer = EventFileWriter(str(folder), flush_secs=10)
        if after:  # TensorBoard forgets what it has from this step on
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._writer.add_event(event_pb2.Event(wall_time=time.time(), step=after + 1, session_log=start))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        if self._writer is None:
            return
        summary = self._summary.Summary()
        for name, value in values.items():
            summary.value.add(tag=name, simple_value=value)
        self._writer.add_event(self._event.Event(wall_time=time.time(), step=step, summary=summary))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _text(value: float) -> str:
    """Return a number such that reading it gives the same float; float32 needs nine digits."""
    return str(value) if isinstance(value, int) else "nan" if math.isnan(value) else f"{value:.9g}"
