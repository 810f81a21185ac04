"""The settings of a detection run."""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any

from geodetect.card import ModelCard
from geodetect.errors import ConfigError

SCORE_FLOOR = 0.05
"""Views are joined at seams from this score on, whatever score is asked for.

So the result at a higher score is the result at a lower one, filtered: a layer can be filtered later without
running again. A weak view of an object beyond a seam also still helps to place a strong one.
"""
MAX_GIGAPIXELS = 100.0  # 158 km a side at half a metre


@dataclass(frozen=True)
class DetectConfig:
    """How to detect. Every field but the limit and those of the engine changes the result.

    None takes the model card's value.
    """

    model: str = "planes-ships-yolov3-tiny"  # name, alias, package folder or weights file
    card: str | None = None  # model.yaml for a weights file
    classes: tuple[str, ...] = ()  # keep these only; empty: all
    score: float | Mapping[str, float] | None = None  # least score, 0..1, for all or a class
    iou: float | Mapping[str, float] | None = None  # boxes of a class that overlap more are one object, 0..1
    average: bool = False  # a kept box becomes the score-weighted mean of the boxes it suppressed
    bands: tuple[str, ...] | None = None  # numbers from 1 or colour names, in the model's order
    stretch: str = "auto"  # "auto", "none", "LOW,HIGH" in pixel values, or "LOW%,HIGH%" percentiles
    gsd: str = "auto"  # "auto", "native" or m/px to resample to
    area: str | None = None  # vector file or "left,bottom,right,top"
    area_crs: str | None = None  # of bounds and of files that have none; None: the scene's
    tile: int | None = None  # side, px at the network's ground sample distance
    overlap: float | None = None  # below 1 a share of the tile, else px
    require_crs: bool = False
    max_gigapixels: float = MAX_GIGAPIXELS  # a scene of more is refused, or of a block of a hundredth as many bytes
    engine: str = "auto"  # openvino, onnxruntime, mindspore
    device: str = "auto"  # cpu, gpu, ascend
    precision: str = "auto"  # float32, bfloat16, int8
    batch_size: int | None = None
    threads: int | None = None  # for engine and decompression; None: all cores

    def __post_init__(self) -> None:
        for name in ("model", "stretch", "engine", "device", "precision", "card", "area", "area_crs"):
            optional = name in ("card", "area", "area_crs")
            self._check(name, isinstance(getattr(self, name), (str, NoneType) if optional else str), "text")
        for name in ("average", "require_crs"):
            self._check(name, isinstance(getattr(self, name), bool), "yes or no")
        for name in ("classes", "bands"):
            names = getattr(self, name)
            whole = isinstance(names, tuple) and all(isinstance(item, str) for item in names)
            self._check(name, whole or (name == "bands" and names is None), "a list of names")
        for name in ("score", "iou"):
            value = getattr(self, name)
            parts = value.items() if isinstance(value, Mapping) else [("", value)]
            good = (isinstance(key, str) and (_is_number(part) and 0 <= part <= 1) for key, part in parts)
            self._check(name, value is None or all(good), "a number from 0 to 1, for all classes or each")
        overlap = self.overlap is None or (_is_number(self.overlap) and self.overlap >= 0)
        self._check("overlap", overlap, "a share of the tile below 1 or a number of px")
        for name, most in (("tile", 8192), ("batch_size", 4096), ("threads", 1024)):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most
            self._check(name, value is None or whole, f"a whole number from 1 to {most}")
        metres = isinstance(self.gsd, str) and 1e-4 <= (_number(self.gsd) or 0) <= 1e5
        self._check("gsd", metres or self.gsd in ("auto", "native"), "auto, native or metres per pixel")
        pixels = _is_number(self.max_gigapixels) and self.max_gigapixels > 0
        self._check("max_gigapixels", pixels, "a number above 0, in thousands of millions of pixels")
        self.stretch_limits()  # raises where it cannot be read
        if self.area == "":
            raise ConfigError("area is empty; give a vector file or left,bottom,right,top, or leave it out")
        if self.area_crs and not self.area:
            raise ConfigError("area_crs is given without an area; give the area too")
        if self.card and not os.path.isfile(self.model):
            raise ConfigError(f"card is given, but model is {self.model!r}; give the weights file that it describes")

    def _check(self, name: str, good: bool, expected: str) -> None:
        if not good:
            raise ConfigError(f"{name} is {getattr(self, name)!r}, give {expected}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "the configuration") -> DetectConfig:
        """Return settings from a parsed YAML mapping; an unknown key is an error with the nearest known one."""
        if not isinstance(values, Mapping):
            raise ConfigError(f"{where} is no mapping of settings; write lines such as `model: yolov4`")
        known = {field.name for field in dataclasses.fields(cls)}
        for key in values:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, 1)
                raise ConfigError(
                    f"{where} has the unknown key {key!r}; " + (f"did you mean {near[0]!r}?" if near else "remove it")
                )
        return cls(**plain_settings(values))

    @classmethod
    def from_yaml(cls, path: str | Path) -> DetectConfig:
        """Return settings from a YAML file; raises ConfigError naming the file and the line."""
        from geodetect.yamlfile import read_yaml  # late: most runs have no such file

        values = read_yaml(path, ConfigError)
        return cls.from_dict({} if values is None else values, str(path))

    def stretch_limits(self) -> tuple[str, float, float]:
        """Return (kind, low, high) with kind "auto", "none", "values" or "percent"."""
        if self.stretch in ("auto", "none"):
            return self.stretch, 0.0, 0.0
        parts = [part.strip() for part in self.stretch.split(",")]
        kind = "percent" if all(part.endswith("%") for part in parts) else "values"
        numbers = [number for part in parts if (number := _number(part.rstrip("%"))) is not None]
        mixed = kind == "values" and any(part.endswith("%") for part in parts)
        if len(parts) == len(numbers) == 2 and not mixed:
            low, high = numbers
            if low < high and (kind == "values" or (low >= 0 and high <= 100)):
                return kind, low, high
        raise ConfigError(f"stretch is {self.stretch!r}, give auto, none, LOW,HIGH in pixel values or LOW%,HIGH%")


def plain_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in `DetectConfig`'s types from what people write: numbers, lists, comma-separated text.

    None means the default, wherever it comes from, and is left out.
    """
    plain = {key: value for key, value in values.items() if value is not None}
    for key, value in plain.items():
        if key in ("classes", "bands"):
            parts = (
                value.split(",") if isinstance(value, str) else value if isinstance(value, (list, tuple)) else [value]
            )
            plain[key] = tuple(part.strip() if isinstance(part, str) else part for part in parts)
            if key == "bands":
                plain[key] = tuple(str(part) if type(part) is int else part for part in plain[key])
        elif key == "area" and isinstance(value, (list, tuple)):
            plain[key] = ",".join(map(str, value))
        elif (key == "gsd" and _is_number(value)) or (key in ("model", "card", "area") and isinstance(value, Path)):
            plain[key] = str(value)
    return plain


@dataclass(frozen=True)
class ClassRules:
    """What holds for each class of the model, one entry a class in the model's order.

    Attributes:
        scores: least score; above 1 for classes that are filtered out.
        ious: IoU above which two boxes are one object.
    """

    scores: tuple[float, ...]
    ious: tuple[float, ...]

    @property
    def floor(self) -> float:
        """The score from which on detections are decoded."""
        return min(SCORE_FLOOR, *self.scores)

    @classmethod
    def of(cls, config: DetectConfig, card: ModelCard) -> ClassRules:
        """Return the rules of a run; raises ConfigError where a class is not the model's."""
        _known(config.classes, card, "classes")
        scores = _per_class("score", config.score, card.thresholds.score, card, otherwise=0.25)
        ious = _per_class("iou", config.iou, card.thresholds.iou, card, otherwise=0.45)
        if config.classes:
            scores = tuple(
                s if name in config.classes else math.inf for name, s in zip(card.classes, scores, strict=True)
            )
        return cls(scores, ious)


def _per_class(name: str, asked: Any, default: Any, card: ModelCard, otherwise: float) -> tuple[float, ...]:
    """Merge one option over the card's default; both are a number or a mapping by class."""
    values = dict.fromkeys(card.classes, otherwise)
    for source in (default, asked):
        if isinstance(source, Mapping):
            _known(source, card, name)
            values.update(source)
        elif source is not None:
            values = dict.fromkeys(card.classes, float(source))
    return tuple(float(values[c]) for c in card.classes)


def _known(names: Sequence[str] | Mapping[str, Any], card: ModelCard, option: str) -> None:
    for name in names:
        if name not in card.classes:
            near = difflib.get_close_matches(name, card.classes, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it knows {', '.join(card.classes)}"
            raise ConfigError(f"{option} names {name!r}, which is no class of {card.name}; {hint}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300  # NaN is not


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
