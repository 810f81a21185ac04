"""Model packages: folders that hold a card (`model.yaml`), weights and, where made, the same network as ONNX."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from geodetect.card import FILES, ModelCard, WeightsFile
from geodetect.checksum import file_sha256
from geodetect.errors import ModelError
from geodetect.networks.darknet import read_darknet
from geodetect.networks.graphs import shapes_of
from geodetect.networks.parameters import check_parameters, read_parameters, write_safetensors
from geodetect.yamlfile import read_yaml

CARD = "model.yaml"
PARAMETER_FORMATS = (".safetensors", ".npz", ".ckpt")
WEIGHTS_FORMATS = (*PARAMETER_FORMATS, ".mindir")


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A model that is on this disk: its card and the folder that its files are relative to."""

    card: ModelCard
    root: Path

    @property
    def weights_path(self) -> Path | None:
        """The MindSpore parameters, None where the package has none."""
        return self._path(self.card.weights)

    @property
    def onnx_path(self) -> Path | None:
        """The ONNX file, None where the package has none."""
        return self._path(self.card.onnx)

    @property
    def int8_path(self) -> Path | None:
        """The quantised ONNX file beside the others, None where the package has none."""
        return self._path(self.card.int8)

    @property
    def selftest_path(self) -> Path | None:
        """The stored input and heads, None where the package has none."""
        return self._path(self.card.selftest)

    @property
    def sha256(self) -> str:
        """The checksum of the weights (of the ONNX file where there are no other), for a result's provenance."""
        file = self.card.weights or self.card.onnx
        return file.sha256 if file else ""

    @property
    def licence_note(self) -> str:
        """One line to show whenever the model is used."""
        note = f"{self.card.name}: {self.card.licence or 'no licence is stated, ask its author before use'}"
        return f"{note}. Contains: {self.card.attribution}" if self.card.attribution else note

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the network's parameters by name, float32; raises ModelError where the package holds none."""
        if self.weights_path is None:
            raise ModelError(f"{self.card.name} has an ONNX file only, no parameters; use another engine for it")
        return read_parameters(self.weights_path)

    def _path(self, file: WeightsFile | None) -> Path | None:
        return self.root / file.file if file else None


def open_package(path: str | Path, verify: bool = True) -> ModelPackage:
    """Return the package in a folder.

    Its files must be there and inside it; with `verify` their checksums must agree with the card, and the shapes of
    the weights with the network, the classes and the anchors.

    Raises ModelError naming the file and the field that is wrong.
    """
    root = Path(path)
    package = ModelPackage(read_card(root / CARD), root)
    check_package(package, checksums=verify, parameters=verify)
    return package


def check_package(package: ModelPackage, checksums: bool = True, parameters: bool = True) -> None:
    """Raise ModelError unless the package's files are there, unchanged and fit the card."""
    where = package.root / CARD
    if package.card.weights is None and package.card.onnx is None:
        raise ModelError(f"{where}: neither weights nor onnx is given, so there is nothing to run")
    for role, file in _files(package.card):
        found = package.root / file.file
        if not found.is_file():
            raise ModelError(
                f"{where}: {role}.file is {file.file}, which is not in the folder; install the model again"
            )
        if not found.resolve().is_relative_to(package.root.resolve()):
            raise ModelError(f"{where}: {role}.file is {file.file}, which leads out of the folder")
        if not checksums:
            continue
        if not file.sha256:
            raise ModelError(f"{where}: {role}.sha256 is missing; `sha256sum {file.file}` prints it")
        if (sha256 := file_sha256(found)) != file.sha256.lower():
            raise ModelError(
                f"{found} is damaged or was changed: its SHA-256 is {sha256[:12]}…, {role}.sha256 of {CARD} says "
                f"{file.sha256[:12].lower()}…; install the model again"
            )
    weights = package.weights_path
    if parameters and weights is not None and weights.suffix in PARAMETER_FORMATS:
        _check_parameters(weights, package.card)


def write_package(
    folder: str | Path,
    card: ModelCard,
    weights: str | Path | None = None,
    onnx: str | Path | None = None,
    int8: str | Path | None = None,
    selftest: str | Path | None = None,
) -> ModelPackage:
    """Write a package from a card and copies of its files, fill in their checksums, and return it.

    The folder appears whole or not at all; a package that is there already is replaced.
    Raises ModelError when card and files do not fit together or the folder holds something else.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()) and not (folder / CARD).exists():
        raise ModelError(f"{folder} is not empty and is no model package; name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        card = card.holding(
            weights=_take(weights, new, "weights"),
            onnx=_take(onnx, new, "model"),
            int8=_take(int8, new, "model-int8"),
            selftest=_take(selftest, new, "selftest"),
        )
        (new / CARD).write_text(dump_card(card), encoding="utf-8")
        check_package(ModelPackage(card, new), checksums=False)
        if folder.exists():
            os.replace(folder, Path(scratch) / "old")
        os.replace(new, folder)
    return ModelPackage(card, folder)


def convert_weights(file: str | Path, card: ModelCard, folder: str | Path, dtype: str = "float32") -> Path:
    """Write the parameters of a file to `weights.safetensors` in a folder and return its path.

    Args:
        file: .safetensors, .npz or .ckpt, or Darknet's .weights, whose order of parameters the card's network tells.
        card: what the file is.
        folder: where to write.
        dtype: "float32", or "float16" for all that it can hold.

    Raises:
        ModelError: the file cannot be read.
        ValueError: another type.
    """
    file, weights, network = Path(file), Path(folder) / "weights.safetensors", card.network
    if file.suffix != ".weights":
        parameters = read_parameters(file)
    elif network.variant in ("darknet", "3l"):
        parameters = read_darknet(file, network.family, shapes_of(card), network.variant)
    else:
        raise ModelError(
            f"{file} is a Darknet file and the card of {card.name} has network.variant {network.variant}; "
            f"give a card with network: {{family: {network.family}, variant: darknet}}"
        )
    write_safetensors(weights, parameters, dtype)
    return weights


def read_card(path: str | Path) -> ModelCard:
    """Return the card in a YAML file; raises ModelError naming the file and the field that is wrong."""
    path = Path(path)
    if not os.path.exists(path):
        raise ModelError(f"{path.parent} is no model package: it has no {path.name}")
    values = read_yaml(path, ModelError)
    return ModelCard.from_dict(values, str(path))


def dump_card(card: ModelCard) -> str:
    """Return the card as YAML; `read_card` of it gives an equal card."""
    return yaml.dump(card.to_dict(), Dumper=_CardDumper, sort_keys=False, allow_unicode=True, width=110)


def _files(card: ModelCard) -> Iterator[tuple[str, WeightsFile]]:
    for role in FILES:
        if (file := getattr(card, role)) is not None:
            yield role, file


def _take(file: str | Path | None, folder: Path, stem: str) -> WeightsFile | None:
    """Copy a file into the folder under the name that packages use and return its entry."""
    if file is None:
        return None
    target = folder / f"{stem}{Path(file).suffix}"
    try:
        shutil.copyfile(file, target)
    except OSError as error:
        raise ModelError(f"{file} cannot be copied to {target} ({error.strerror})") from error
    return WeightsFile(target.name, file_sha256(target))


def _check_parameters(weights: Path, card: ModelCard) -> None:
    check_parameters(read_parameters(weights), shapes_of(card), where=str(weights))


class _CardDumper(yaml.SafeDumper):
    """YAML as one would write it by hand: a row of values on one line, rows of rows below each other."""

    def ignore_aliases(self, data: Any) -> bool:
        return True  # the loader refuses them


def _represent_list(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.Node:
    rows_of_rows = any(isinstance(item, list) and any(isinstance(part, list) for part in item) for item in value)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=not rows_of_rows)


def _represent_dict(dumper: yaml.SafeDumper, value: dict[str, Any]) -> yaml.Node:
    numbers = bool(value) and all(isinstance(item, int | float) for item in value.values())
    return dumper.represent_mapping("tag:yaml.org,2002:map", value, flow_style=numbers)


_CardDumper.add_representer(list, _represent_list)
_CardDumper.add_representer(dict, _represent_dict)
