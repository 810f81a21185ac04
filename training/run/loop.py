"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from geodetect.errors import Cancelled, ConfigError, TrainingError
from geodetect.progress import SILENT, Reporter
from training.devices.parallel import Devices, average, barrier, is_worker, start
from training.run.config import TrainConfig
from training.run.folder import Run, choose_folder
from training.run.inputs import Inputs, read_inputs
from training.run.interrupt import Stop, stopping
from training.run.metrics import Row
from training.run.outputs import Outputs
from training.run.profiling import Profiler
from training.run.state import Progress
from training.run.validation import evaluate

if TYPE_CHECKING:
    from training.run.trainer import Trainer
    from training.scoring import Scores


def train(config: TrainConfig, reporter: Reporter = SILENT) -> Run:
    """Train a network and return what has come of it.

    The run's folder then holds `last.ckpt`, `best.ckpt` (by AP50 on the val split), `epoch_NNNN.ckpt`, `model.yaml`,
    `metrics.csv`, `tensorboard/`, `curve.png` and `config.yaml`. A run that was stopped or killed goes on with
    `resume=True`, and gives what it would have given. This process trains on one device;
    `training.devices.launch` starts one for each of several.

    Args:
        config: settings.
        reporter: is told notes, downloads and, if it is a `TrainReporter`, measurements.

    Raises:
        InputError: data, weights or settings are wrong; before the first step.
        TrainingError: the loss or a gradient is not finite, or the device is not there.
        Cancelled: Ctrl-C; `last.ckpt` holds the last step.
    """
    if not config.data_dir:
        raise ConfigError("data_dir is not given; name the folder of a data set that `geodetect prepare` made")
    devices = start(config.is_distributed or is_worker(), config.device)
    _check_place(config, devices)
    reporter = reporter if devices.is_master else SILENT
    if config.bind_cpu and config.device_num == 1:
        reporter.note("bind_cpu does nothing without a device_num above 1; under your own msrun give --bind_core=True")
    inputs = read_inputs(config, choose_folder(config), devices, reporter)
    with stopping() as stop:
        return _Loop(inputs, devices, reporter, stop).run()


class _Loop:
    """One run: the loop, and what it does now and then."""

    def __init__(self, inputs: Inputs, devices: Devices, reporter: Reporter, stop: Stop) -> None:
        from training.run.trainer import Trainer

        self.inputs, self.config, self.devices = inputs, inputs.config, devices
        self.reporter, self.stop = reporter, stop
        self.loader = inputs.loader(devices)
        self.trainer: Trainer = Trainer(inputs, devices, self.loader.steps)
        self.at: Progress = inputs.progress
        self.loss = float("nan")
        self.begun = time.monotonic()
        self.since = self.begun, self.at.total  # when and at which step the last row was written

    def run(self) -> Run:
        """Train."""
        folder = self.inputs.folder / "profile" if self.config.need_profiler else None
        profiler = Profiler(folder, self.reporter.note)
        with Outputs(self.inputs, self.devices, self.trainer.terms, self.trainer.save, self.reporter) as self.outputs:
            try:
                try:
                    self.epochs(profiler)
                except Cancelled:
                    self.outputs.save(self.at)
                    raise Cancelled(f"Stopped after step {self.at.total}; {self.way_on()}") from None
            except KeyboardInterrupt:  # a second request, amid a step or the save after the first
                raise Cancelled(f"Stopped at once; {self.way_on()}") from None
            finally:
                profiler.stop()
        seconds = time.monotonic() - self.begun
        at, is_master = self.at, self.devices.is_master
        return Run(self.inputs.folder, at.epoch, at.total, self.loss, at.best, seconds, is_master)

    def epochs(self, profiler: Profiler) -> None:
        """Train the epochs that are left, and write what each leaves."""
        for epoch in range(self.at.epoch, self.config.max_epoch):
            self.trainer.begin(epoch)
            if not self.at.total:
                self.outputs.save(self.at)  # so that there is always one to go on from
            for number, batch in enumerate(self.loader.epoch(epoch, self.at.step), self.at.step):
                self.stop.listen()  # MindSpore's data pipelines take the signals for themselves
                profiler.step()
                values = self.trainer.step(batch)
                if not np.isfinite(values).all():
                    raise self.not_finite(values, self.loader.names(epoch, number))
                self.at = self.at.after(values)
                if self.at.total % self.config.log_interval == 0 and self.at.step < self.loader.steps:
                    self.log()
                if self.outputs.is_due() and (self.devices.size == 1 or not self.at.pending):
                    self.outputs.save(self.at)  # what is pending differs from device to device
                self.check()
            scores = self.evaluate(epoch + 1)
            self.log({"AP50": scores.ap50, "AP": scores.ap} if scores else {})
            best, self.at = self.at.best, self.at.next_epoch(scores.ap50 if scores else None)
            self.outputs.end_epoch(self.at, scores if self.at.best != best else None)
            barrier(self.devices)

    def check(self) -> None:
        """Raise Cancelled where the user asked to stop; the first device decides for all."""
        if self.stop.asked and self.devices.is_master:
            raise Cancelled

    def log(self, scores: Mapping[str, float] | None = None) -> None:
        """Write a row for the steps since the last one."""
        loss, *terms, norm = average(np.mean(self.at.pending, axis=0), self.devices).astype(float).tolist()
        now, steps = time.monotonic(), self.at.total - self.since[1]
        images = steps * self.config.per_batch_size * self.devices.size
        row = Row(
            step=self.at.total,
            epoch=self.at.epoch + 1,
            loss=loss,
            terms=dict(zip(self.trainer.terms, terms, strict=True)),
            gradient_norm=norm,
            lr=float(self.trainer.rates[self.at.total - 1]),
            images_per_s=images / max(now - self.since[0], 1e-9),
            scores=scores or {},
        )
        self.loss, self.since = loss, (now, self.at.total)
        self.at = replace(self.at, pending=())
        self.outputs.write(row, self.loader.steps, self.config.max_epoch * self.loader.steps)

    def evaluate(self, epoch: int) -> Scores | None:
        """Return the scores after an epoch, counted from 1, None where it is not to be evaluated."""
        config, index = self.config, self.inputs.validation
        since = epoch - config.eval_start
        wanted = epoch == config.max_epoch or (since >= 0 and since % config.eval_interval == 0)
        if index is None or not wanted or not self.devices.is_master:
            return None
        begun = time.monotonic()
        scores = evaluate(self.trainer.best_network, self.inputs.card, index, _Watch(self))
        self.since = self.since[0] + time.monotonic() - begun, self.since[1]  # images a second are of training alone
        return scores

    def not_finite(self, values: tuple[float, ...], files: list[str]) -> TrainingError:
        """Return the error that a step went wrong, with what a user needs to find out why."""
        names = ("loss", *self.trainer.terms, "gradient norm")
        wrong = next(f"{name} is {value}" for name, value in zip(names, values, strict=True) if not np.isfinite(value))
        at, rate = self.at, float(self.trainer.rates[self.at.total])
        shown = ", ".join(files[:8]) + (", ..." if len(files) > 8 else "")
        return TrainingError(
            f"the {wrong} in step {at.total + 1} (epoch {at.epoch + 1}, step {at.step + 1} of {self.loader.steps}) "
            f"with {shown}; look at these labels or give a lower lr than {self.config.lr:g} (here {rate:.3g}); "
            f"the last good checkpoint is {self.outputs.last}"
        )

    def way_on(self) -> str:
        """Return how the run can be gone on with."""
        return f"go on with: geodetect train --ckpt-path {self.config.ckpt_path or self.inputs.folder} --resume"


class _Watch(Reporter):
    """Tells an evaluation's progress, and ends it where the user asked to stop."""

    def __init__(self, loop: _Loop) -> None:
        self._loop = loop

    def progress(self, stage: str, done: int, total: int, found: int = 0) -> None:
        self._loop.reporter.progress("evaluate", done, total, found)
        self._loop.check()


def _check_place(config: TrainConfig, devices: Devices) -> None:
    """Raise ConfigError where the settings tell another place among the processes than the launcher."""
    for name, told, true in (("rank", config.rank, devices.rank), ("group_size", config.group_size, devices.size)):
        if told not in (None, true):
            raise ConfigError(f"{name} is {told}, but the launcher says {true}; leave it out")
    if config.device_num in (1, devices.size):
        return
    if is_worker():
        raise ConfigError(
            f"device_num is {config.device_num}, but the launcher started {devices.size} processes; leave it out, or "
            f"give {devices.size}"
        )
    raise ConfigError(
        f"device_num is {config.device_num}, but this process trains alone; run `geodetect train --device-num "
        f"{config.device_num}`, which starts one for each device"
    )
