"""Checkpoints of a run: weights under the model zoo's names, the optimiser's state, and where the run stands.

A checkpoint is MindSpore's own kind of file, so that whatever loads the model zoo's loads these: `NAME` for the
network's parameters, `moments.NAME` and `global_step` for the optimiser's. Where the run stands is JSON in a column of
bytes, `moments.run`: every loader leaves out what begins so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from geodetect.errors import ModelError, OutputError, TrainingError
from geodetect.files import replacing
from geodetect.networks.checkpoint import read_checkpoint
from geodetect.networks.parameters import read_parameters

LAST, BEST = "last.ckpt", "best.ckpt"
_RUN = "moments.run"
_EPOCH = re.compile(r"epoch_(\d+)\.ckpt")
_OPTIMISER = ("moments.", "global_step")


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes:
        epoch: being trained, from 0; after the last one the number of epochs.
        step: in that epoch, of steps done.
        total: steps done since the start of the run.
        seed: of the run; with epoch and step all the random state there is.
        settings: what a resumed run must share, see `TrainConfig.fixed`.
        images: to learn from; this and the next two a resumed run must share as well, since `total` counts steps.
        batch: images a step, on all devices together.
        steps: an epoch.
        best: AP50 of the best weights, None before the first evaluation.
        pending: measurements of steps since the last row of metrics.csv.
    """

    epoch: int = 0
    step: int = 0
    total: int = 0
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    images: int = 0
    batch: int = 0
    steps: int = 0
    best: float | None = None
    pending: tuple[tuple[float, ...], ...] = ()

    def after(self, values: tuple[float, ...]) -> Progress:
        """Return where the run stands after one more step with these measurements."""
        return replace(self, step=self.step + 1, total=self.total + 1, pending=(*self.pending, values))

    def next_epoch(self, ap50: float | None) -> Progress:
        """Return where the run stands at the start of the next epoch; `ap50` of this one, None: not evaluated."""
        best = self.best if ap50 is None or (self.best is not None and self.best >= ap50) else ap50
        return replace(self, epoch=self.epoch + 1, step=0, best=best)


def save(path: Path, parameters: Mapping[str, np.ndarray], optimiser: Mapping[str, np.ndarray], at: Progress) -> None:
    """Write a checkpoint; the file appears whole or not at all.

    Args:
        path: `.ckpt`.
        parameters: of the network, by name.
        optimiser: from `training.run.optimiser.optimiser_state`.
        at: where the run stands.

    Raises:
        TrainingError: a parameter is not finite; no file is written then.
        OutputError: the disk is full or the folder not writable.
    """
    broken = [name for name, array in parameters.items() if not np.isfinite(array).all()]
    if broken:
        raise TrainingError(f"{len(broken)} parameters are not finite after step {at.total}, first {broken[0]}")
    run = np.frombuffer(json.dumps(asdict(at)).encode(), np.uint8)
    write_checkpoint(path, {**parameters, **optimiser, _RUN: run})


def write_checkpoint(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as a checkpoint of MindSpore's; the file appears whole or not at all.

    Raises OutputError where the disk is full or the folder not writable.
    """
    from geodetect.networks.runtime import mindspore

    with replacing(path) as temporary:
        items = [{"name": name, "data": mindspore.Tensor(array)} for name, array in arrays.items()]
        try:
            mindspore.save_checkpoint(items, str(temporary))
        except RuntimeError as error:
            raise OutputError(f"the output {path} could not be written ({str(error).splitlines()[0]})") from error
        temporary.chmod(0o644)  # MindSpore leaves it to its owner, who may not even write it


def load(path: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], Progress]:
    """Return the network's parameters, the optimiser's state and where the run stands.

    Raises:
        ModelError: the file is missing or damaged, or no checkpoint of a run of geodetect.
    """
    if not path.is_file():
        raise ModelError(f"{path} is not there, so no run can be resumed from it; give resume_ckpt, or start a new run")
    stored = read_checkpoint(path)
    if _RUN not in stored:
        raise ModelError(f"{path} holds weights but no run to go on with; give it as pretrained_checkpoint instead")
    run = json.loads(stored.pop(_RUN).tobytes())
    pending = tuple(tuple(row) for row in run.pop("pending"))
    optimiser = {name: np.array(array) for name, array in stored.items() if name.startswith(_OPTIMISER)}
    return read_parameters(path), optimiser, Progress(**run, pending=pending)


def check_resumable(at: Progress, settings: Mapping[str, Any], where: Path) -> None:
    """Raise ModelError where a run would go on with other settings than it began with."""
    differing = [key for key, value in settings.items() if key in at.settings and at.settings[key] != value]
    if differing:
        key = differing[0]
        raise ModelError(
            f"{where} is of a run with {key} {at.settings[key]!r}, now it is {settings[key]!r}; "
            f"give the former, or start a new run with --pretrained-checkpoint {where}"
        )


def check_same_steps(at: Progress, now: Progress, where: Path) -> None:
    """Raise ModelError where a step would not be what it was: the learning rate is a function of its number."""
    for what, way, was, is_now in (
        ("images to learn from", "give the data set that it began with", at.images, now.images),
        ("images a step", "give the number of devices that it began with", at.batch, now.batch),
        ("steps an epoch", "give the data set and devices that it began with", at.steps, now.steps),
    ):
        if was != is_now:
            raise ModelError(
                f"{where} is of a run with {was:,} {what}, now it would be {is_now:,}; {way}, or start a new run with "
                f"--pretrained-checkpoint {where}"
            )


def epoch_file(folder: Path, epoch: int) -> Path:
    """Return the name of the checkpoint after so many epochs."""
    return folder / f"epoch_{epoch:04d}.ckpt"


def prune(folder: Path, keep: int) -> None:
    """Remove all but the last `keep` checkpoints of epochs."""
    found = {int(match[1]): path for path in folder.iterdir() if (match := _EPOCH.fullmatch(path.name))}
    for epoch in sorted(found)[:-keep]:
        found[epoch].unlink(missing_ok=True)
