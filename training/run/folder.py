"""Where a run's files are, and what is left of it in the end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geodetect.card import ModelCard
from geodetect.errors import ConfigError, OutputError
from geodetect.files import replacing
from geodetect.package import CARD, read_card
from training.run.card import model_name
from training.run.config import TrainConfig
from training.run.remote import catch_up, holds_run, local_folder
from training.run.settings import read_settings
from training.run.state import LAST

CONFIG = "config.yaml"
RUNS = "runs"


@dataclass(frozen=True)
class Run:
    """What a run has come to.

    Attributes:
        folder: with `last.ckpt`, `best.ckpt` where it was evaluated, `model.yaml`, `metrics.csv` and `curve.png`.
        epochs: trained.
        steps: made.
        loss: an image, mean over the last logged steps.
        ap50: of the best weights, None where it was not evaluated.
        seconds: that this process took.
        is_master: whether this process wrote the files.
    """

    folder: Path
    epochs: int
    steps: int
    loss: float
    ap50: float | None
    seconds: float
    is_master: bool = True


def choose_folder(config: TrainConfig) -> Path:
    """Return the folder of a run on this machine; nothing is made but, on resuming, a copy of what a URL holds.

    Without `ckpt_path` that is runs/NETWORK-DATA, with a number behind it where there are such runs, and on resuming
    the last of them. With a URL, it is runs/BUCKET/KEY; on resuming, the store's run is fetched where it is further.

    Raises:
        OutputError: the folder holds a run and is not to be resumed, or it is to be and there is none.
        DownloadError: the run cannot be fetched, or the store does not tell whether there is one.
    """
    path, goes_on = config.ckpt_path, config.resume or bool(config.resume_ckpt)
    if "://" in path:
        folder = local_folder(path, Path(RUNS))
        if config.resume:
            catch_up(path, folder, CONFIG)
    elif path:
        folder = Path(path)
    else:
        base = Path(RUNS) / f"{config.network}-{model_name(config.data_dir.rstrip('/').rpartition('/')[2])}"
        numbers = [_number(path, base) for path in base.parent.glob(f"{base.name}*") if (path / LAST).exists()]
        last = max(numbers, default=0)
        folder = _numbered(base, max(last, 1) if config.resume else last + 1)
    if not goes_on:
        _check_free(folder, path)
    if config.resume and not config.resume_ckpt and not (folder / LAST).is_file():
        raise OutputError(f"{folder} holds no {LAST} to go on from; give the run's folder as --ckpt-path")
    return folder


def _check_free(folder: Path, path: str) -> None:
    """Raise OutputError where a new run would replace another one, here or at its URL."""
    taken: str | Path | None = folder if (folder / LAST).exists() else None
    if taken is None and "://" in path and holds_run(path):
        taken = path
    if taken is not None:
        raise OutputError(f"{taken} holds a run already; give --resume to go on with it, or another --ckpt-path")


def collect_settings(file: str | Path | None, values: Mapping[str, Any]) -> TrainConfig:
    """Return the settings of a file or recipe with `values` replacing them; of a run that is to be resumed, its own.

    Args:
        file: YAML or the name of a recipe, None for the defaults.
        values: by name, as people write them; a mapping `augment` replaces single entries.

    Raises:
        ConfigError: a setting is wrong.
        OutputError: the run is to be resumed and is not there.
    """
    base = read_settings(file) if file else {}
    config = TrainConfig.from_dict(_merged(base, values), str(file or "the options"))
    if not config.resume and not config.resume_ckpt:
        return config
    folder = choose_folder(config)
    if not (folder / CONFIG).is_file() and config.resume_ckpt:
        return config  # a new folder goes on with a checkpoint of another one
    own = _merged(run_settings(folder), _merged(base, values))
    path = own.get("ckpt_path") or str(folder)
    return TrainConfig.from_dict({**own, "ckpt_path": path}, str(folder / CONFIG))


def _merged(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    nested = {**(base.get("augment") or {}), **(values.get("augment") or {})}
    return {**base, **values} | ({"augment": nested} if nested else {})


def make_folder(folder: Path, config: TrainConfig, card: ModelCard) -> None:
    """Make a run's folder with its settings and its model card."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the run's folder {folder} cannot be made ({error.strerror}); give another") from error
    write_settings(folder, config)
    write_card(folder, card)


def write_settings(folder: Path, config: TrainConfig) -> None:
    """Write config.yaml, from which the run can be repeated."""
    import yaml

    settings = {name: value for name, value in config.to_dict().items() if value not in (None, "", [])}
    for name in ("resume", "resume_ckpt", "rank", "group_size"):  # of this process alone
        settings.pop(name, None)
    with replacing(folder / CONFIG) as temporary:
        temporary.write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), encoding="utf-8")


def write_card(folder: Path, card: ModelCard) -> None:
    """Write model.yaml."""
    from geodetect.package import dump_card

    with replacing(folder / CARD) as temporary:
        temporary.write_text(dump_card(card), encoding="utf-8")


def run_settings(folder: Path) -> dict[str, Any]:
    """Return what config.yaml of a run says; raises ConfigError where there is none."""
    if not (folder / CONFIG).is_file():
        raise ConfigError(f"{folder} has no {CONFIG}, so it is no run that could be resumed; give a run's folder")
    return read_settings(folder / CONFIG)


def run_card(folder: Path) -> ModelCard:
    """Return the model card of a run."""
    return read_card(folder / CARD)


def _number(path: Path, base: Path) -> int:
    """Return 1 for BASE, n for BASE-n, 0 for another folder."""
    match = re.fullmatch(rf"{re.escape(base.name)}(?:-(\d+))?", path.name)
    return 0 if match is None else int(match[1] or 1)


def _numbered(base: Path, number: int) -> Path:
    return base if number <= 1 else base.with_name(f"{base.name}-{number}")
