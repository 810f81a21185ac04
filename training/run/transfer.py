"""The weights that a run starts from: fresh ones, and over them those of a trained model or of a backbone."""

from __future__ import annotations

import itertools
import math
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geodetect.card import ANCHORS, ModelCard
from geodetect.errors import DownloadError, ModelError
from geodetect.networks.darknet import convolutions, read_darknet
from geodetect.networks.graphs import expected_shapes
from geodetect.networks.parameters import read_parameters
from geodetect.package import CARD, PARAMETER_FORMATS, open_package, read_card
from geodetect.progress import SILENT, Reporter
from geodetect.registry import BUILT_IN, resolve
from training.run.config import TrainConfig

BACKBONE = "feature_map.backbone."
_BOX = 5  # a head's channels an anchor before its classes: tx, ty, tw, th, objectness
_HEADER = 20  # bytes of a Darknet file before its values

Parameters = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Pretrained:
    """Weights to start from.

    Attributes:
        name: what they are, for messages.
        parameters: by the network's names; some may be missing.
        card: of their model, None where only the file is known.
    """

    name: str
    parameters: Parameters
    card: ModelCard | None = None


def initial(shapes: Mapping[str, Sequence[int]], seed: int) -> Parameters:
    """Return fresh parameters, float32, the same for the same seed whatever else is drawn.

    Convolutions are uniform within 1 / sqrt(fan in), which is Kaiming's rule with a = sqrt(5); their biases likewise.
    Batch normalisation changes nothing at first.

    Source: He et al., "Delving Deep into Rectifiers", 2015, equation 10, as the model zoo uses it.
    """
    parameters = {}
    for name, shape in shapes.items():
        if name.endswith((".gamma", ".moving_variance")):
            parameters[name] = np.ones(shape, np.float32)
        elif name.endswith((".beta", ".moving_mean")):
            parameters[name] = np.zeros(shape, np.float32)
        else:
            bound = 1 / math.sqrt(
                math.prod(shapes[name.removesuffix(".bias") + ".weight"][1:])
                if name.endswith(".bias")
                else math.prod(shape[1:])
            )
            generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
            parameters[name] = generator.uniform(-bound, bound, tuple(shape)).astype(np.float32)
    return parameters


def open_pretrained(config: TrainConfig, reporter: Reporter = SILENT) -> Pretrained | None:
    """Return what the settings say to start from, None for fresh weights.

    Where they name nothing, that is geodetect's own best model of the family, never one that the user imported; it is
    downloaded on first use, and where it cannot be had, fresh weights are taken and a note says so.

    Raises:
        ModelError: the file or model that is named is not there, or is wrong.
        DownloadError: the model that is named cannot be fetched.
    """
    asked = config.pretrained_checkpoint
    if not config.transfer_train or asked in ("", "none"):
        return None
    if asked == "auto":
        return None if config.pretrained_backbone else _known(config.network, reporter)
    from training.source import open_source
    from training.storage import fetch, is_remote

    path = fetch(asked, reporter=reporter) if is_remote(asked) else Path(asked)
    if path.is_file():
        card = read_card(path.parent / CARD) if (path.parent / CARD).is_file() else None
        return Pretrained(path.name, read_weights(path, config.network), card)
    package = open_source(asked)
    if package.card.network.family != config.network:
        raise ModelError(
            f"{asked} is a {package.card.network.family}, the network is to be a {config.network}; give two that agree"
        )
    return Pretrained(package.card.name, package.parameters(), package.card)


def open_backbone(config: TrainConfig, reporter: Reporter = SILENT) -> Pretrained | None:
    """Return the backbone that the settings name, None where they name none.

    Raises:
        ModelError: the file is not there or is wrong, or holds no backbone of the network.
    """
    if not config.pretrained_backbone:
        return None
    from training.storage import fetch

    path = fetch(config.pretrained_backbone, reporter=reporter)
    parameters = read_weights(path, config.network)
    backbone = {name: array for name, array in parameters.items() if name.startswith(BACKBONE)}
    if not backbone:
        raise ModelError(
            f"{path} holds no backbone of {config.network}; its names begin with {next(iter(parameters), '')!r}"
        )
    return Pretrained(path.name, backbone)


def variant(config: TrainConfig, start: ModelCard | None) -> str:
    """Return the network's variant: that of the weights it starts from, else as asked for.

    A YOLOv3-Tiny with three heads may start from one with two, and the other way round, as what both have is the same;
    the number of anchors tells how many heads it is to have, where the settings do not.

    Raises:
        ModelError: the model that it starts from is of another variant than is asked for.
    """
    if config.network == "yolov3-tiny":
        told = {0: None, 12: "mindspore", 18: "3l"}[len(config.anchors)]
        return config.variant or told or (start.network.variant if start else "mindspore")
    if start is not None:
        if config.variant not in (None, start.network.variant):
            raise ModelError(
                f"{start.name} is of variant {start.network.variant}, the network is to be of variant "
                f"{config.variant}; give two that agree"
            )
        return start.network.variant
    files = (Path(file) for file in (config.pretrained_backbone, config.pretrained_checkpoint))
    darknets = any(file.suffix not in ("", *PARAMETER_FORMATS) for file in files)
    return config.variant or ("darknet" if darknets else "mindspore")


def read_weights(path: Path, family: str) -> Parameters:
    """Return the parameters in a file of any kind, by the network's names.

    A checkpoint, .safetensors or .npz; or a Darknet file, complete for any number of classes, or the first
    convolutions alone. Backbones that were saved alone get their full names.

    Raises:
        ModelError: the file is not there, or is neither.
    """
    if not path.is_file():
        raise ModelError(f"{path} is not there; give a weights file or the name of a model")
    if path.suffix in PARAMETER_FORMATS:
        found = read_parameters(path)
        return {f"feature_map.{name}" if name.startswith("backbone.") else name: found[name] for name in found}
    return read_darknet(path, family, expected_shapes(family, darknet_classes(path, family)))


def darknet_classes(path: Path, family: str) -> int:
    """Return for how many classes a Darknet file was made, from its length; 80 where it ends before the heads."""

    def values(n_classes: int) -> int:
        shapes = expected_shapes(family, n_classes)
        owners = set(convolutions(family))
        return sum(math.prod(shape) for name, shape in shapes.items() if _owner(name, owners))

    one, step = values(1), values(2) - values(1)
    classes, left = divmod((path.stat().st_size - _HEADER) // 4 - one, step)
    return classes + 1 if left == 0 and classes >= 0 else 80


def combine(
    fresh: Parameters, given: Pretrained, classes: Sequence[str], keep_heads: bool = True
) -> tuple[Parameters, str]:
    """Return fresh parameters with the given ones in their place, and a sentence on what was taken.

    A head is taken whole where the classes are the same. Where some are, their channels are taken, and those of boxes
    and objectness; where none is, or the names are not known and their number is another, the head stays fresh.

    Args:
        fresh: of the whole network.
        given: to be put over them.
        classes: that the network is to know.
        keep_heads: False leaves all heads fresh.

    Raises:
        ModelError: nothing fits, or a parameter that does not depend on the classes has another shape.
    """
    heads = {name.removesuffix(".bias") for name in fresh if name.endswith(".bias")}
    result, taken = dict(fresh), 0
    known = given.card.classes if given.card else None
    how = ""
    for name, array in given.parameters.items():
        if name not in fresh:
            continue
        if name.rpartition(".")[0] in heads:
            if not keep_heads:
                how = "fresh heads, as asked for"
                continue
            array, how = _head(array, fresh[name], known, classes)
        elif array.shape != fresh[name].shape:
            raise ModelError(
                f"{given.name} has {name} of {_text(array.shape)}, the network of {_text(fresh[name].shape)}; "
                "is it of another family?"
            )
        result[name] = np.asarray(array, np.float32)
        taken += 1
    if not taken:
        raise ModelError(f"{given.name} holds no parameter of this network; is it of another family?")
    return result, f"Starting from {given.name}: {taken} of {len(fresh)} parameters{'; ' + how if how else ''}"


def _head(
    array: np.ndarray, fresh: np.ndarray, known: Sequence[str] | None, classes: Sequence[str]
) -> tuple[np.ndarray, str]:
    """Return a head's weight or bias for these classes, and in words what became of it."""
    if known is not None and tuple(known) == tuple(classes):
        return array, "its classes are the same"
    if known is None:
        if array.shape == fresh.shape:
            return array, "its classes are taken to be the same, as it does not name them"
        return (
            fresh,
            f"fresh heads, since it has {len(array) // ANCHORS - _BOX} classes and there are {len(classes)} here",
        )
    shared = [name for name in classes if name in known]
    if not shared:
        return fresh, f"fresh heads, since it knows {_list(known)} and none of {_list(classes)}"
    old = array.reshape(ANCHORS, _BOX + len(known), -1)
    new = fresh.reshape(ANCHORS, _BOX + len(classes), -1).copy()
    new[:, :_BOX] = old[:, :_BOX]
    for number, name in enumerate(classes):
        if name in shared:
            new[:, _BOX + number] = old[:, _BOX + list(known).index(name)]
    others = [name for name in classes if name not in shared]
    return new.reshape(fresh.shape), f"of its heads {_list(shared)} are taken" + (
        f", {_list(others)} are fresh" if others else ""
    )


def _known(family: str, reporter: Reporter) -> Pretrained | None:
    """Return geodetect's own best model of a family, fetched where it can be."""
    try:
        card = _best_built_in(family)
        if card.source is None:  # bundled; an imported one may have taken its name
            package = open_package(BUILT_IN / card.name)
        else:
            package = resolve(card.name, progress=lambda done, total: reporter.progress("download", done, total or 0))
            if package.card.source is None or package.card.source.url != card.source.url:
                raise ModelError(f"the {card.name} here is another one, imported under that name")
    except (ModelError, DownloadError) as error:
        reporter.note(
            f"Starting from fresh weights, which takes many images and epochs: no trained {family} can be had ({error})"
        )
        return None
    return Pretrained(package.card.name, package.parameters(), package.card)


def _best_built_in(family: str) -> ModelCard:
    """Return the card of geodetect's own best model of a family: bundled before to be fetched, then the newest."""
    cards = [read_card(path) for path in BUILT_IN.glob(f"*/{CARD}")]
    known = [card for card in cards if card.network.family == family]
    if not known:
        raise ModelError(f"geodetect comes with no {family}")
    return max(known, key=lambda card: (card.source is None, [int(part) for part in re.findall(r"\d+", card.version)]))


def first_layers(family: str, count: int) -> tuple[str, ...]:
    """Return what the names of the parameters of a network's first convolutions begin with, in Darknet's order."""
    return tuple(f"{prefix}." for prefix in itertools.islice(convolutions(family), count))


def _owner(name: str, prefixes: set[str]) -> bool:
    """Return whether a parameter belongs to one of these convolutions."""
    parts = name.split(".")
    return ".".join(parts[:-1]) in prefixes or ".".join(parts[:-2]) in prefixes


def _list(names: Sequence[str]) -> str:
    shown = [*names[:6], *(["..."] if len(names) > 6 else [])]
    return ", ".join(shown)


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
