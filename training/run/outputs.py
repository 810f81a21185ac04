"""What a run writes. Only the first device writes, but for checkpoints of the others where that is asked for."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from geodetect.files import replacing
from geodetect.progress import Reporter
from training.devices.parallel import Devices
from training.run.card import with_scores
from training.run.config import TrainConfig
from training.run.curve import CURVE, draw_curve
from training.run.folder import CONFIG, make_folder, write_card
from training.run.inputs import Inputs
from training.run.metrics import CSV, Metrics, Row, TrainReporter
from training.run.state import BEST, LAST, Progress, epoch_file, prune

if TYPE_CHECKING:
    from training.scoring import Scores

Save = Callable[[Path, Progress], None]
_REDRAW = 20.0  # s between two drawings of the curve


class Outputs:
    """Writes a run's files, and sends them where the run's folder is a URL.

    Attributes:
        folder: of the run on this machine.
        has_last: whether a checkpoint is there to go on from.
    """

    def __init__(
        self, inputs: Inputs, devices: Devices, terms: tuple[str, ...], save: Save, reporter: Reporter
    ) -> None:
        """Make the folder with settings and model card; `save` writes a checkpoint."""
        config: TrainConfig = inputs.config
        self.config, self.folder, self._card, self._save = config, inputs.folder, inputs.card, save
        self._is_master, self._reporter = devices.is_master, reporter
        self._saves = devices.is_master or not config.is_save_on_master
        self._own = self.folder if devices.is_master else self.folder / f"rank_{devices.rank}"
        self._saved = self._drawn = time.monotonic()
        self._mirror = None
        if "://" in config.ckpt_path and devices.is_master:
            from training.storage import Mirror, check_remote

            check_remote(config.ckpt_path)
            self._mirror = Mirror(self.folder, config.ckpt_path, reporter)
        if devices.is_master:
            if not inputs.progress.total or not (self.folder / CONFIG).is_file():  # a new run, or a new folder of one
                make_folder(self.folder, config, inputs.card)
                self._push(CONFIG, "model.yaml")
            self._metrics = Metrics(self.folder, terms, after=inputs.progress.total)
        if self._saves:
            self._own.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Draw the curve, and close and send what is open."""
        if not self._is_master:
            return
        self._metrics.close()
        if draw_curve(self.folder):
            self._push(CURVE)
        self._push(CSV, *(str(path.relative_to(self.folder)) for path in self.folder.glob("tensorboard/*")))
        if self._mirror is not None:
            self._mirror.__exit__(kind, error, where)

    @property
    def last(self) -> Path:
        """The checkpoint to go on from."""
        return self._own / LAST

    def write(self, row: Row, steps: int, total: int) -> None:
        """Write and tell a row of measurements; `steps` an epoch, `total` of the run."""
        if not self._is_master:
            return
        self._metrics.write(row)
        if isinstance(self._reporter, TrainReporter):
            self._reporter.measured(row, steps, total)

    def save(self, at: Progress) -> None:
        """Write last.ckpt."""
        if self._saves:
            self._save(self.last, at)
            self._saved = time.monotonic()
            self._push(LAST, CSV)

    def is_due(self) -> bool:
        """Whether it is so long since the last checkpoint that another should be written."""
        minutes = self.config.save_minutes
        return minutes > 0 and time.monotonic() - self._saved > 60 * minutes

    def end_epoch(self, at: Progress, best: Scores | None) -> None:
        """Write the checkpoints of a finished epoch, after which the run is at `at`; `best` if no epoch was better."""
        self.save(at)
        if self._saves and (at.epoch % self.config.ckpt_interval == 0 or at.epoch == self.config.max_epoch):
            path = epoch_file(self._own, at.epoch)
            _same_file(self.last, path)
            prune(self._own, self.config.keep_checkpoint_max)
            self._push(path.name)
        if not self._is_master:
            return
        if best is not None:
            _same_file(self.last, self.folder / BEST)
            write_card(self.folder, with_scores(self._card, best))
            self._push(BEST, "model.yaml")
        if time.monotonic() - self._drawn > _REDRAW:
            draw_curve(self.folder)
            self._drawn = time.monotonic()
            self._push(CURVE, CSV)

    def _push(self, *names: str) -> None:
        if self._mirror is not None:
            for name in names:
                self._mirror.push(Path(name))


def _same_file(source: Path, target: Path) -> None:
    """Give a finished file a second name; checkpoints are replaced, never written to, so the names stay equal."""
    with replacing(target) as temporary:
        with contextlib.suppress(OSError):  # a file system without links
            os.link(source, temporary)
        if not temporary.exists():
            shutil.copyfile(source, temporary)
