"""What a run works on, read and checked before the first step."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geodetect.card import ModelCard
from geodetect.engines import usable_cores
from geodetect.errors import LabelError
from geodetect.networks.graphs import shapes_of
from geodetect.progress import Reporter
from training.data.index import Index, read_index
from training.devices.parallel import Devices, barrier
from training.losses.targets import RULES, Targets
from training.run.card import make_card
from training.run.config import TrainConfig
from training.run.folder import run_card
from training.run.state import BEST, LAST, Progress, check_resumable, check_same_steps, load
from training.run.transfer import Parameters, combine, initial, open_backbone, open_pretrained

if TYPE_CHECKING:
    from training.data.loader import Loader

_CACHE = 512 << 20  # bytes of decoded images that each device keeps
_MOST_IGNORED = 1024  # boxes an example; each is compared with every prediction, and the graph grows with them


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a run starts with.

    Attributes:
        config: its settings.
        folder: its folder on this machine.
        index: training images.
        validation: images to evaluate on, None where the run is not evaluated.
        card: of the model.
        parameters: of the network, by name.
        optimiser: its state, empty for a new run.
        progress: where the run stands.
    """

    config: TrainConfig
    folder: Path
    index: Index
    validation: Index | None
    card: ModelCard
    parameters: Parameters
    optimiser: Parameters
    progress: Progress

    def loader(self, devices: Devices) -> Loader:
        """Return what makes this device's batches."""
        from training.data.loader import Loader, LoaderSettings

        config = self.config
        smooth = config.label_smooth_factor if config.label_smooth else 0.0
        rule, classes = RULES[config.network], len(self.card.classes)
        room = ignored_room(self.index, config)
        targets = Targets(self.card.heads, classes, rule, config.max_box, max_ignored=room, label_smooth=smooth)
        settings = LoaderSettings(
            batch_size=config.per_batch_size,
            sizes=config.sizes,
            augment=config.augment,
            input=self.card.input,
            resize_rate=config.resize_rate,
            seed=config.seed,
            balance=config.balance,
            crowds=config.crowds,
            rank=devices.rank,
            devices=devices.size,
            workers=config.workers or max(1, usable_cores() // devices.size),
            cache_bytes=_CACHE,
        )
        return Loader(self.index, settings, targets)


def read_inputs(config: TrainConfig, folder: Path, devices: Devices, reporter: Reporter) -> Inputs:
    """Return what the settings name, read and checked.

    Raises:
        LabelError: the data set is wrong.
        ModelError: the weights to start from, or the checkpoint to resume from, are wrong.
    """
    from training.storage import fetch

    root = fetch(config.data_dir, reporter=reporter)
    if config.resume or config.resume_ckpt:
        return _resumed(config, folder, root, devices, reporter)
    index = read_index(root, "train", config.labels or None, keep_empty=config.keep_empty)
    _tell(index, config, reporter)
    if not devices.is_master:
        barrier(devices)  # the first one downloads what is to be downloaded
    pretrained, backbone = open_pretrained(config, reporter), open_backbone(config, reporter)
    if devices.is_master:
        barrier(devices)
    card = make_card(config, index, pretrained.card if pretrained else None, folder)
    parameters = initial(shapes_of(card), config.seed)
    for given in (pretrained, backbone):
        if given is not None:
            parameters, note = combine(parameters, given, card.classes, not config.filter_weight)
            reporter.note(note)
    progress = _beginning(config, index, devices)
    return Inputs(config, folder, index, _validation(config, root, card, reporter), card, parameters, {}, progress)


def _beginning(config: TrainConfig, index: Index, devices: Devices) -> Progress:
    """Return where a new run stands."""
    batch = config.per_batch_size * devices.size
    steps = math.ceil(len(index) / batch)
    return Progress(seed=config.seed, settings=config.fixed, images=len(index), batch=batch, steps=steps)


def _resumed(config: TrainConfig, folder: Path, root: Path, devices: Devices, reporter: Reporter) -> Inputs:
    """Return what a run goes on with; its classes and its card are those that it began with."""
    from training.storage import fetch

    path = fetch(config.resume_ckpt, reporter=reporter) if config.resume_ckpt else folder / LAST
    parameters, optimiser, progress = load(path)
    check_resumable(progress, config.fixed, path)
    card = run_card(folder if (folder / "model.yaml").is_file() else path.parent)
    index = read_index(root, "train", card.classes, keep_empty=config.keep_empty)
    check_same_steps(progress, _beginning(config, index, devices), path)
    if config.resume_ckpt and not (folder / BEST).is_file():
        progress = replace(progress, best=None)  # those weights are elsewhere; this folder is to have its own
    if progress.epoch < config.max_epoch:
        reporter.note(f"Going on from {path}, step {progress.total}, epoch {progress.epoch + 1} of {config.max_epoch}")
    else:
        reporter.note(
            f"{path} is of a run that is finished, after {progress.epoch} epochs; there is nothing left to do"
        )
    return Inputs(
        config, folder, index, _validation(config, root, card, reporter), card, parameters, optimiser, progress
    )


def _validation(config: TrainConfig, root: Path, card: ModelCard, reporter: Reporter) -> Index | None:
    """Return the val split, None where it is not asked for or the data set has none."""
    if not config.run_eval:
        return None
    if not any((root / "annotations").glob("*val*.json")):
        reporter.note(f"{root} has no val split, so the run is not evaluated and no best.ckpt is kept")
        return None
    importlib.import_module("training.scoring")  # what it needs and is not installed should be told now
    index = read_index(root, "val", card.classes)
    if not (~index.ignored).any():
        raise LabelError(f"the val split of {root} holds no object; label some, or give --run-eval false")
    return index


def ignored_room(index: Index, config: TrainConfig) -> int:
    """Return how many ignored boxes an example has to have room for.

    These are labelled as ignored, or objects that the canvas cuts or that are more than `max_box`, of one image or of
    the four of a mosaic.
    """
    every, objects = np.diff(index.offsets), _objects_by_image(index)
    images = 4 if config.augment.mosaic else 1
    if config.augment.keep_cut:
        most = images * (every - objects).max() + max(images * objects.max() - config.max_box, 0)
    else:
        most = images * every.max()
    return min(max(int(most), 1), _MOST_IGNORED)


def _objects_by_image(index: Index) -> np.ndarray:
    """Return the number of objects (N,) that are not ignored."""
    before = np.concatenate([[0], np.cumsum(~index.ignored)])
    return np.diff(before[index.offsets])


def _tell(index: Index, config: TrainConfig, reporter: Reporter) -> None:
    for note in index.notes:
        reporter.note(f"train: {note}")
    crowded = int((_objects_by_image(index) > config.max_box).sum())
    if crowded:
        reporter.note(
            f"train: images with more than {config.max_box} objects: {crowded:,}; {config.max_box} of them are learned "
            "from, others in each epoch, the rest is ignored (--max-box)"
        )
    objects = int((~index.ignored).sum())
    reporter.note(f"{len(index):,} images with {objects:,} objects of {len(index.classes)} classes to learn from")
