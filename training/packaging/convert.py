"""Darknet's weights files, complete or cut after any convolution, to checkpoints and model packages."""

from __future__ import annotations

import dataclasses
import itertools
import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geodetect.card import FAMILIES, ModelCard
from geodetect.errors import ConfigError, ModelError
from geodetect.files import check_writable
from geodetect.networks.darknet import convolutions, read_darknet, read_values
from geodetect.networks.graphs import expected_shapes, graph_path
from geodetect.networks.parameters import write_safetensors
from geodetect.package import ModelPackage, read_card
from geodetect.registry import import_file
from training.packaging.darknet_cards import COCO, classes_of, darknet_card, plain_name
from training.packaging.export import check_folder
from training.run.state import write_checkpoint

CHECKPOINTS = (".safetensors", ".ckpt")
_HINTS = (
    ("tiny", "yolov3-tiny"),
    ("yolov4", "yolov4"),
    ("csp", "yolov4"),
    ("yolov3", "yolov3"),
    ("darknet53", "yolov3"),
)
_MOST_CLASSES = 2000  # a file that fits a network of more fits by chance


@dataclass(frozen=True, slots=True)
class ConvertSettings:
    """What a Darknet file is, as far as it does not tell, and what becomes of it."""

    family: str | None = None  # None: what fits the file's length, then its name
    card: Path | None = None  # of the package, else one is made from Darknet's own configuration
    names: Path | None = None  # the classes, one a line; not needed for the 80 of COCO
    name: str | None = None  # of the model; None: the file's
    size: int | None = None  # side of the package's canvas, px; None: the configuration's
    licence: str = ""
    dtype: str = "float32"
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class DarknetFile:
    """What a file holds."""

    family: str
    n_classes: int | None  # None where it ends before the first head
    convolutions: int
    total: int  # convolutions of the whole network

    @property
    def is_complete(self) -> bool:
        """Whether all of the network is there."""
        return self.convolutions == self.total


def recognise(file: str | Path, family: str | None = None) -> DarknetFile:
    """Return which network a Darknet file is for and how much of it is there, by its length and then its name.

    Args:
        file: the file.
        family: of the network, where it is known.

    Raises:
        ModelError: the length fits no network at a border between convolutions, or several equally well.
    """
    file = Path(file)
    if family not in (None, *FAMILIES):
        raise ConfigError(f"family is {family!r}, give one of {', '.join(FAMILIES)}")
    values = read_values(file).size
    fitting = [found for name in ([family] if family else FAMILIES) if (found := _fit(name, values))]
    if not fitting:
        if family:  # says where the file ends
            read_darknet(file, family, expected_shapes(family, len(COCO)))
        raise ModelError(
            f"{file} has {values} values, which fit none of {', '.join(FAMILIES)} at a border between convolutions; "
            "is the file complete?"
        )
    hinted = next((name for sign, name in _HINTS if sign in file.name.lower()), None)
    best = [found for found in fitting if found.family == hinted] if len(fitting) > 1 else fitting
    if len(best) != 1:
        names = " and ".join(found.family for found in fitting)
        raise ModelError(f"{file} could be the start of {names}; give --family")
    return best[0]


def convert(
    file: str | Path, out: str | Path, settings: ConvertSettings | None = None
) -> tuple[DarknetFile, ModelPackage | None]:
    """Write a Darknet file's parameters to a checkpoint (.ckpt, .safetensors), or to a model package elsewhere.

    A cut file gives a checkpoint of the parameters up to the cut, to start a training from. A package is of the
    variant "darknet", whose network computes what Darknet computes. A .ckpt is always float32.

    Returns:
        What the file holds, and the package where one is written.

    Raises:
        ModelError: the file is damaged, or a package is asked of a part of a network.
        OutputError: the output cannot be written.
    """
    settings, file, out = settings or ConvertSettings(), Path(file), Path(out)
    is_checkpoint = out.suffix in CHECKPOINTS
    check_writable(out, settings.overwrite) if is_checkpoint else check_folder(out, settings.overwrite)
    found = recognise(file, settings.family)
    parameters = read_darknet(file, found.family, expected_shapes(found.family, found.n_classes or 1))
    if is_checkpoint:
        _write_checkpoint(out, parameters, settings.dtype)
        return found, None
    if not found.is_complete or found.n_classes is None:
        raise ModelError(
            f"{file} holds the first {found.convolutions} of {found.total} convolutions of {found.family}, which is no "
            f"model yet; write a checkpoint to start a training from: {out.with_suffix('.ckpt').name}"
        )
    return found, _write_package(out, parameters, _card(file, found.family, found.n_classes, settings), settings.dtype)


def _card(file: Path, family: str, n_classes: int, settings: ConvertSettings) -> ModelCard:
    if settings.card is None:
        classes = classes_of(n_classes, settings.names)
        card = darknet_card(family, classes, settings.name or plain_name(file), settings.size)
        return dataclasses.replace(card, licence=settings.licence)
    card = read_card(settings.card)
    same = card.network.family == family and graph_path(family, card.network.variant) == graph_path(family, "darknet")
    if not same:
        raise ModelError(
            f"{settings.card} describes {card.network.family} of variant {card.network.variant}, {file} is {family} of "
            "variant darknet; correct network: in the card"
        )
    takes = dataclasses.replace(card.input, size=settings.size or card.input.size)
    name, licence = settings.name or card.name, settings.licence or card.licence
    return dataclasses.replace(card, input=takes, name=name, licence=licence)


def _write_package(folder: Path, parameters: Mapping[str, np.ndarray], card: ModelCard, dtype: str) -> ModelPackage:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        weights = Path(scratch) / "weights.safetensors"
        write_safetensors(weights, parameters)
        return import_file(weights, card, folder, dtype)


def _write_checkpoint(path: Path, parameters: Mapping[str, np.ndarray], dtype: str) -> None:
    if path.suffix == ".safetensors":
        try:
            return write_safetensors(path, parameters, dtype)
        except ValueError as error:
            raise ModelError(f"the parameters cannot be stored as {dtype}: {error}") from error
    write_checkpoint(path, parameters)


def _fit(family: str, values: int) -> DarknetFile | None:
    """Return what a file of so many values holds of a network, None where none ends there."""
    prefixes = list(convolutions(family))
    one, two = (_ends(family, prefixes, n_classes) for n_classes in (1, 2))
    head = next(index for index, ends in enumerate(zip(one, two, strict=True)) if ends[0] != ends[1])
    if values in one[:head]:
        return DarknetFile(family, None, one.index(values) + 1, len(prefixes))
    each = two[-1] - one[-1]  # values that a class adds
    n_classes, rest = divmod(values - one[-1], each)
    if rest == 0 and 0 <= n_classes < _MOST_CLASSES:
        return DarknetFile(family, n_classes + 1, len(prefixes), len(prefixes))
    coco = _ends(family, prefixes, len(COCO))
    if values in coco:  # cut behind a head
        return DarknetFile(family, len(COCO), coco.index(values) + 1, len(prefixes))
    return None


def _ends(family: str, prefixes: list[str], n_classes: int) -> list[int]:
    """Return the number of values up to the end of each convolution."""
    sizes: dict[str, int] = {}
    for name, shape in expected_shapes(family, n_classes).items():
        stem = name.rsplit(".", 2)[0] if name.split(".")[-2] in ("0", "1") else name.rsplit(".", 1)[0]
        sizes[stem] = sizes.get(stem, 0) + math.prod(shape)
    return list(itertools.accumulate(sizes[prefix] for prefix in prefixes))
