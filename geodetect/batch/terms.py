"""On what terms a batch is done, and whether they are those that it was begun with."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from geodetect import __version__
from geodetect.card import FAMILIES
from geodetect.config import DetectConfig, plain_settings
from geodetect.errors import ConfigError
from geodetect.exports import check_format
from geodetect.package import ModelPackage
from geodetect.registry import catalogue

_PACE = ("threads", "batch_size", "max_gigapixels")  # settings that change no result


def settled(about: dict[str, Any], config: DetectConfig | None, settings: dict[str, Any]) -> DetectConfig:
    """Return the settings of a batch: those that it was begun with, which new ones may not contradict."""
    if "settings" not in about:
        return _absolute(replace(config or DetectConfig(), **plain_settings(settings)))
    begun = DetectConfig.from_dict(about["settings"], "the batch's state")
    config = _absolute(replace(config or begun, **plain_settings(settings)))
    pairs = zip(dataclasses.asdict(begun).items(), dataclasses.asdict(config).values(), strict=True)
    others = [name for (name, old), new in pairs if old != new and name not in _PACE]
    if others:
        raise ConfigError(
            f"{', '.join(others)} differ{'s' if len(others) == 1 else ''} from what the batch was begun with; leave "
            "settings out with --continue, or begin anew by --overwrite"
        )
    return config


def ending_of(about: dict[str, Any], ending: str | None) -> str:
    """Return the outputs' ending; raises where it is none, or not the batch's."""
    begun = about.get("ending")
    if begun and ending not in (None, begun):
        raise ConfigError(f"the batch's results are {begun}; leave --format out with --continue")
    ending = begun or ending or ".gpkg"
    check_format(Path(f"x{ending}"))
    return ending


def describe(folder: Path, config: DetectConfig, package: ModelPackage, before: dict[str, Any]) -> dict[str, Any]:
    """Return what is written down of a batch: its model and settings, and when it was begun."""
    card = package.card
    return {
        "title": folder.name,
        "model": card.name,
        "model_version": card.version,
        "model_sha256": package.sha256,
        "licence": card.licence,
        "attribution": card.attribution,
        "palette": dict(zip(card.classes, card.palette, strict=True)),
        "settings": dataclasses.asdict(config),
        "geodetect": __version__,
        "begun": before.get("begun") or datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def check_same(before: dict[str, Any], about: dict[str, Any]) -> None:
    """Raise ConfigError where what is left would be done by another model, engine or version than what is done."""
    words = {"model_sha256": "the model's weights", "engine": "the engine", "geodetect": "geodetect's version"}
    for key, word in words.items():
        if key in before and before[key] != about[key]:
            raise ConfigError(
                f"{word} changed since the batch was begun ({before[key]}, now {about[key]}), and results would not be "
                "of one make; put back what it was, or begin anew by --overwrite"
            )


def _absolute(config: DetectConfig) -> DetectConfig:
    """Return the settings with files named from the root: workers have folders of their own."""
    named = {name: getattr(config, name) for name in ("model", "card", "area")}
    if config.model in (*FAMILIES, *(entry.name for entry in catalogue())):  # a name wins over a folder called so
        named.pop("model")
    found = {name: str(Path(value).resolve()) for name, value in named.items() if value and Path(value).exists()}
    return replace(config, **found)  # type: ignore[arg-type]
