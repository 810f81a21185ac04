"""The model card: what a model package says of itself (`model.yaml`)."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from geodetect.errors import ModelError
from geodetect.values import LONGEST_NAME, is_plain, numbers, plain_name, whole

STRIDES = {"yolov3": (32, 16, 8), "yolov4": (32, 16, 8), "yolov3-tiny": (32, 16)}  # canvas px a cell, per head
VARIANTS = {
    "yolov3": ("mindspore", "darknet"),
    "yolov4": ("mindspore", "darknet"),
    "yolov3-tiny": ("mindspore", "darknet", "3l"),  # the first two are the same network
}
FAMILIES = tuple(STRIDES)
ANCHORS = 3  # a head
PALETTE = (
    "#e6194b", "#4363d8", "#3cb44b", "#ffe119", "#f58231", "#911eb4", "#46f0f0", "#f032e6", "#bcf60c",
    "#fabebe", "#008080", "#9a6324", "#800000", "#aaffc3", "#808000", "#000075", "#ffd8b1", "#e6beff",
)  # fmt: skip

MOST_SIDE = 8192  # px, of a canvas or tile: memory grows with its square
MOST_CLASSES = 10_000
FILES = ("weights", "onnx", "int8", "selftest")  # what a package may hold
_Section = TypeVar("_Section")


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ModelError(message)


@dataclass(frozen=True, slots=True)
class Network:
    """Which network the weights belong to."""

    family: str
    # "darknet": leaky backbone and symmetric padding, for Darknet's weights; "3l": YOLOv3-Tiny with a third head
    variant: str = "mindspore"

    def __post_init__(self) -> None:
        _check(self.family in FAMILIES, f"network.family is {self.family!r}, one of {', '.join(FAMILIES)} is needed")
        variants = VARIANTS[self.family]
        _check(
            self.variant in variants,
            f"network.variant is {self.variant!r}, for {self.family} one of {', '.join(variants)} is needed",
        )

    @property
    def strides(self) -> tuple[int, ...]:
        """Canvas px a cell, per head, big to small."""
        return (*STRIDES[self.family], 8) if self.variant == "3l" else STRIDES[self.family]


@dataclass(frozen=True, slots=True)
class Input:
    """What the network takes. A pixel value v of 0..255 becomes (v / 255 - mean) / std."""

    size: int  # side of the square canvas, px, a multiple of 32
    tile: int = 0  # side of a tile at the model's ground sample distance, px; 0: as the canvas
    bands: tuple[str, ...] = ("red", "green", "blue")
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    resize: str = "letterbox"  # or "stretch"
    fill: int = 114  # 0..255, where there is no data
    gsd: tuple[float, float] | None = None  # ground sample distances it works for, m/px: (finest, coarsest)

    def __post_init__(self) -> None:
        multiple = whole(self.size, 32, MOST_SIDE) and self.size % 32 == 0
        _check(multiple, f"input.size is {self.size!r}, a multiple of 32 is needed, at most {MOST_SIDE}")
        tile = whole(self.tile, 0, MOST_SIDE)
        _check(tile, f"input.tile is {self.tile!r}, pixels are needed, at most {MOST_SIDE}")
        _check(self.resize in ("letterbox", "stretch"), f"input.resize is {self.resize!r}, not letterbox or stretch")
        _check(whole(self.fill, 0, 255), f"input.fill is {self.fill!r}, not in 0..255")
        triples = all(isinstance(value, tuple) and len(value) == 3 for value in (self.bands, self.mean, self.std))
        _check(triples, "input.bands, mean and std need three values each")
        names = all(isinstance(band, str) and 0 < len(band) <= LONGEST_NAME for band in self.bands)
        _check(names, "input.bands needs names of bands")
        _check(numbers(self.mean), "input.mean needs finite values")
        _check(numbers(self.std, 1e-30), "input.std needs positive values")
        if self.gsd is not None:
            pair = numbers(self.gsd, 1e-4, 1e5) and len(self.gsd) == 2 and self.gsd[0] <= self.gsd[1]
            _check(pair, "input.gsd needs [finest, coarsest] in m/px")


@dataclass(frozen=True, slots=True)
class Heads:
    """How the raw heads are decoded, one entry a head, big stride to small."""

    anchors: tuple[tuple[tuple[float, float], ...], ...]  # [head][anchor](width, height), canvas px
    strides: tuple[int, ...]  # canvas px a cell
    scale_xy: tuple[float, ...]  # cx = (scale * sigmoid(tx) - (scale - 1) / 2 + column) * stride

    def __post_init__(self) -> None:
        rows = all(isinstance(row, tuple) for row in (self.anchors, self.strides, self.scale_xy))
        _check(
            rows and len(self.anchors) == len(self.strides) == len(self.scale_xy) > 0,
            "heads.anchors, strides and scale_xy need one entry a head",
        )
        rows = all(isinstance(head, tuple) for head in self.anchors)
        pairs = rows and all(numbers(size, 1e-3, 1e6) and len(size) == 2 for head in self.anchors for size in head)
        _check(pairs, "heads.anchors needs pairs of positive width and height")
        _check(numbers(self.scale_xy, 1) and max(self.scale_xy) < 2, "heads.scale_xy needs values from 1 to 2")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Defaults of a run; one number for all classes or one a class name."""

    score: float | Mapping[str, float] = 0.25
    iou: float | Mapping[str, float] = 0.45
    overlap: float = 0.2  # of the tile's side


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """One file of the package."""

    file: str  # its name in the package's folder
    sha256: str = ""  # 64 hexadecimal digits

    def __post_init__(self) -> None:
        _check(plain_name(self.file), f"file is {self.file!r}, the name of a file in the package's folder is needed")
        is_hash = re.fullmatch("[0-9a-fA-F]{64}|", self.sha256) is not None
        _check(is_hash, f"sha256 of {self.file} is {self.sha256!r}, 64 hexadecimal digits are needed")


@dataclass(frozen=True, slots=True)
class Source:
    """Where the original weights come from; the package is made from that file."""

    url: str
    file: str  # the file's own name
    size: int = 0  # bytes, about; 0: unknown
    sha256: str = ""  # empty where the publisher states none; an installed package records what was found

    def __post_init__(self) -> None:
        web = isinstance(self.url, str) and self.url.startswith(("https://", "http://"))
        _check(web, f"source.url is {self.url!r}, an http(s) address is needed")
        _check(plain_name(self.file), f"source.file is {self.file!r}, a plain file name is needed")
        _check(whole(self.size, 0, 1 << 50), f"source.size is {self.size!r}, a number of bytes is needed")
        is_hash = re.fullmatch("[0-9a-fA-F]{64}|", self.sha256) is not None
        _check(is_hash, f"source.sha256 is {self.sha256!r}, 64 hexadecimal digits are needed")


@dataclass(frozen=True, slots=True)
class ModelCard:
    """All that a run must know of a model, read from `model.yaml`. Raises ModelError naming the field that is wrong."""

    name: str
    network: Network
    classes: tuple[str, ...]
    input: Input
    heads: Heads
    version: str = "0"
    description: str = ""
    licence: str = ""
    attribution: str = ""
    training_data: str = ""
    limitations: str = ""  # what the model is known to be bad at
    metrics: Mapping[str, Any] = field(default_factory=dict)
    colours: tuple[str, ...] = ()  # "#rrggbb", one a class
    thresholds: Thresholds = field(default_factory=Thresholds)
    weights: WeightsFile | None = None  # MindSpore parameters, .safetensors, .npz or .ckpt
    onnx: WeightsFile | None = None  # the same network for OpenVINO and ONNX Runtime
    int8: WeightsFile | None = None  # the same network quantised, .onnx, for CPUs
    selftest: WeightsFile | None = None  # a stored input and the heads that the network gives for it
    source: Source | None = None  # what was, or is to be, downloaded

    def __post_init__(self) -> None:
        letters = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name) is not None
        is_name = letters and plain_name(self.name)  # it becomes a folder's name
        _check(is_name, f"name is {self.name!r}, letters, digits, dots, dashes and underscores are needed")
        for field_name in ("version", "description", "licence", "attribution", "training_data", "limitations"):
            value = getattr(self, field_name)
            _check(isinstance(value, str), f"{field_name} is {value!r}, text is needed: put it in quotes")
        _check(isinstance(self.metrics, Mapping), "metrics is no mapping")
        _check(is_plain(self.metrics), "metrics needs text as keys, and text, numbers or mappings of these as values")
        self._check_heads()
        self._check_classes()
        self._check_thresholds()

    def _check_heads(self) -> None:
        network, strides = self.network, self.network.strides
        _check(
            self.heads.strides == strides,
            f"heads.strides is {self.heads.strides}, {network.family} of variant {network.variant} has {strides}",
        )
        full = all(len(head) == ANCHORS for head in self.heads.anchors)
        _check(full, f"heads.anchors needs {ANCHORS} anchors a head")

    def _check_classes(self) -> None:
        _check(isinstance(self.classes, tuple), "classes is no list of names")
        _check(len(self.classes) > 0, "classes is empty")
        _check(
            len(self.classes) <= MOST_CLASSES, f"classes has {len(self.classes)} names, at most {MOST_CLASSES} can be"
        )
        for name in self.classes:
            _check(isinstance(name, str) and name != "", f"classes has {name!r}, a name is needed")
            _check(len(name) <= LONGEST_NAME, f"classes has a name of {len(name)} characters, {LONGEST_NAME} can be")
        _check(len(set(self.classes)) == len(self.classes), "classes has a name twice")
        listed = isinstance(self.colours, tuple) and len(self.colours) in (0, len(self.classes))
        _check(listed, "colours needs one entry a class")
        for colour in self.colours:
            _check(re.fullmatch("#[0-9a-fA-F]{6}", colour) is not None, f"colours has {colour!r}, #rrggbb is needed")

    def _check_thresholds(self) -> None:
        for kind, value in (("score", self.thresholds.score), ("iou", self.thresholds.iou)):
            values = value if isinstance(value, Mapping) else dict.fromkeys(self.classes, value)
            for name, number in values.items():
                _check(name in self.classes, f"thresholds.{kind} names {name!r}, which is no class of this model")
                _check(numbers((number,), 0, 1), f"thresholds.{kind} is {number!r}, not in 0..1")
        overlap = self.thresholds.overlap
        _check(numbers((overlap,), 0, 1) and overlap < 1, f"thresholds.overlap is {overlap!r}, not in 0..1")

    @property
    def palette(self) -> tuple[str, ...]:
        """One "#rrggbb" a class: the card's own colours or the default ones."""
        return self.colours or tuple(PALETTE[i % len(PALETTE)] for i in range(len(self.classes)))

    def holding(self, **files: WeightsFile | None) -> ModelCard:
        """Return the card of a package with these files, `weights`, `onnx`, `int8` or `selftest`, and no others."""
        changes: dict[str, Any] = {name: files.get(name) for name in FILES}
        return dataclasses.replace(self, **changes)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "model.yaml") -> ModelCard:
        """Return the card that a parsed YAML mapping holds; raises ModelError naming `where` and the field."""
        try:
            return _section(cls, values, "")
        except ModelError as error:
            raise ModelError(f"{where}: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, dicts and scalars, ready for YAML, such that `from_dict` gives an equal card."""
        values: dict[str, Any] = _plain(self)
        return values


_NESTED: dict[str, type] = {
    "network": Network,
    "input": Input,
    "heads": Heads,
    "thresholds": Thresholds,
    "weights": WeightsFile,
    "onnx": WeightsFile,
    "int8": WeightsFile,
    "selftest": WeightsFile,
    "source": Source,
}


def _section(kind: type[_Section], values: Any, path: str) -> _Section:
    """Return one dataclass from its mapping; `path` is the section's name with a dot, for messages."""
    _check(isinstance(values, Mapping), f"{path.rstrip('.') or 'the file'} is no mapping")
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, 1)
            raise ModelError(f"unknown field {path}{key}" + (f", did you mean {path}{near[0]}?" if near else ""))
    for name, f in fields.items():
        needed = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        _check(not needed or name in values, f"{path}{name} is missing")
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        if key in _NESTED and kind is ModelCard and not (value is None and fields[key].default is None):
            arguments[key] = _section(_NESTED[key], value, f"{key}.")
        else:
            arguments[key] = _frozen(value)
    try:
        return kind(**arguments)
    except ModelError as error:
        raise ModelError(f"{path}{error}" if kind is WeightsFile else str(error)) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise ModelError(f"{path.rstrip('.') or 'the file'} has a value of the wrong type ({error})") from None


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        pairs = ((f.name, _plain(getattr(value, f.name))) for f in dataclasses.fields(value))
        return {name: item for name, item in pairs if item not in (None, "", {}, [])}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value
