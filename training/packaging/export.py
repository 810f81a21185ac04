"""A trained network to a model package: parameters, ONNX and MindIR, run side by side before they are let out."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geodetect.card import ModelCard
from geodetect.errors import ConfigError, EngineError, ModelError, OutputError, TrainingError
from geodetect.networks.graphs import to_onnx
from geodetect.networks.parameters import read_parameters
from geodetect.package import CARD, PARAMETER_FORMATS, ModelPackage, convert_weights, write_package
from geodetect.progress import SILENT, Reporter
from geodetect.selftest import record_selftest
from training.packaging import agreement
from training.packaging.agreement import Agreement
from training.packaging.detector import detector_onnx, metadata

FORMATS = ("safetensors", "onnx", "mindir", "air")
DTYPES = ("float32", "float16")
TOLERANCE = 1e-4  # of a head's largest value; seen: 1e-6 to 1e-5


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """What an export writes. Raises ConfigError naming the field that is wrong."""

    formats: tuple[str, ...] = ("safetensors", "onnx", "mindir")
    dtype: str = "float32"  # of the stored parameters; float16 halves the file, the arithmetic stays float32
    size: int | None = None  # side of the canvas, px; None: the card's
    batch: int = 1  # images that the MindIR and AIR files take at once; ONNX takes any number
    keep_detect: bool = False  # also write the network with its detection layer
    name: str | None = None  # of the model; None: the card's
    overwrite: bool = False

    def __post_init__(self) -> None:
        unknown = [name for name in self.formats if name not in FORMATS]
        if unknown:
            raise ConfigError(f"formats names {unknown[0]!r}, give some of {', '.join(FORMATS)}")
        if not {"safetensors", "onnx"} & set(self.formats):
            raise ConfigError("formats has neither safetensors nor onnx, which a model package needs; add one")
        if self.dtype not in DTYPES:
            raise ConfigError(f"dtype is {self.dtype!r}, give one of {', '.join(DTYPES)}")
        if self.batch < 1:
            raise ConfigError(f"batch is {self.batch}, give 1 or more")


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote."""

    package: ModelPackage
    files: tuple[str, ...]
    agreements: tuple[Agreement, ...]


def export(
    source: ModelPackage, folder: str | Path, settings: ExportSettings | None = None, reporter: Reporter = SILENT
) -> Exported:
    """Write a model package whose files are one network, and return how exactly they agree.

    `weights.safetensors`, `model.onnx` (any batch, any multiple of 32) and `model.mindir` (fixed batch and size) give
    raw heads. With `keep_detect` there are `detector.onnx` and `detector.mindir` beside them, which give boxes. The
    folder appears whole or not at all.

    Raises:
        TrainingError: the files do not agree; nothing is written.
        ModelError: the source has no parameters, or they do not fit its card.
        EngineError: what a format needs is not installed.
        OutputError: the folder is taken.
    """
    settings, folder = settings or ExportSettings(), Path(folder)
    check_folder(folder, settings.overwrite)
    original = with_parameters(source)
    if "air" in settings.formats:
        _check_air(settings, source.card)
    card = _card(source.card, settings)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        work = Path(scratch)
        weights = convert_weights(original, card, work, settings.dtype)
        reporter.note("writing the files")
        raw, detectors = _write(card, weights, settings)
        reporter.note("running all of them on the same input")
        agreements = (*agreement.check_files(card, weights, raw), *agreement.check_detectors(card, weights, detectors))
        _refuse(agreements)
        if settings.dtype == "float16":
            reporter.note(_rounding(card, original, weights))
        package = _assemble(card, work, settings)
        install(package.root, folder, work)
    files = tuple(sorted(path.name for path in folder.iterdir()))
    return Exported(ModelPackage(package.card, folder), files, agreements)


def check_folder(folder: Path, overwrite: bool) -> None:
    """Raise OutputError where a package cannot be written to a folder; called before the work."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"the output {folder} is a file; give the name of a folder")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / CARD).exists():
        raise OutputError(f"the output {folder} is not empty and no model package; give another name")
    if not overwrite:
        raise OutputError(f"the output {folder} exists; give another name, or --overwrite to replace it")


def with_parameters(source: ModelPackage) -> Path:
    """Return the file of the source's parameters; raises ModelError where it has none but an exported network."""
    if source.weights_path is None or source.weights_path.suffix not in PARAMETER_FORMATS:
        raise ModelError(f"{source.root} holds no parameters of {source.card.name}; give a checkpoint of it")
    return source.weights_path


def install(package: Path, folder: Path, work: Path) -> None:
    """Move a finished package to its place; one that is there already goes to the folder `work`, to be removed."""
    try:
        if folder.exists():
            os.replace(folder, work / "replaced")
        os.replace(package, folder)
    except OSError as error:
        raise OutputError(f"the output {folder} could not be written ({error.strerror})") from error


def _card(card: ModelCard, settings: ExportSettings) -> ModelCard:
    takes = dataclasses.replace(card.input, size=settings.size or card.input.size)
    return dataclasses.replace(card, input=takes, name=settings.name or card.name)


def _write(card: ModelCard, weights: Path, settings: ExportSettings) -> tuple[list[Path], list[Path]]:
    """Write the files beside the weights; return those with raw heads and those with the detection layer."""
    parameters = read_parameters(weights)  # as stored: rounded where they are float16
    network, work = card.network, weights.parent
    raw, detectors = [weights], []
    if "onnx" in settings.formats:
        raw.append(work / "model.onnx")
        to_onnx(network.family, network.variant, parameters, raw[-1], metadata=metadata(card))
        if settings.keep_detect:
            detectors.append(work / "detector.onnx")
            detector_onnx(card, parameters, detectors[-1])
    if {"mindir", "air"} & set(settings.formats):
        _write_mindspore(card, weights, settings, raw, detectors)
    return raw, detectors


def _write_mindspore(
    card: ModelCard, weights: Path, settings: ExportSettings, raw: list[Path], detectors: list[Path]
) -> None:
    from geodetect.networks import build, load_parameters
    from geodetect.networks.export import export_mindir
    from geodetect.networks.runtime import mindspore
    from training.packaging.detector_cell import DetectorCell

    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    cell = build(card.network.family, len(card.classes), card.network.variant)
    load_parameters(cell, weights)
    cell.set_train(False)
    size, work = card.input.size, weights.parent
    if "mindir" in settings.formats:
        raw.append(work / "model.mindir")
        export_mindir(cell, raw[-1], size, settings.batch)
        if settings.keep_detect:
            detectors.append(work / "detector.mindir")
            export_mindir(DetectorCell(cell, card).set_train(False), detectors[-1], size, 1)
    if "air" in settings.formats:
        images = mindspore.Tensor(np.zeros((settings.batch, 3, size, size), np.float32))
        mindspore.export(cell, images, file_name=str(work / "model"), file_format="AIR")


def _check_air(settings: ExportSettings, card: ModelCard) -> None:
    """Raise EngineError, with the other way to an Ascend, where this MindSpore cannot write AIR."""
    from geodetect.networks.runtime import mindspore

    if mindspore.get_context("device_target") == "Ascend":
        return
    size = settings.size or card.input.size
    raise EngineError(
        "AIR files are written by MindSpore on an Ascend only, and there is none here; leave air out and convert the "
        "ONNX file with Ascend's ATC: atc --framework=5 --model=model.onnx --output=model "
        f'--input_shape="images:{settings.batch},3,{size},{size}" --soc_version=Ascend310P3 (`npu-smi info` names the '
        "chip)"
    )


def _refuse(agreements: tuple[Agreement, ...]) -> None:
    for found in agreements:
        if not found.worst <= TOLERANCE:  # a NaN is no agreement
            raise TrainingError(
                f"{found.file} run by {found.engine} is off by {found.worst:.1e} of the largest value, {TOLERANCE:.0e} "
                "is allowed; nothing was written"
            )


def _rounding(card: ModelCard, source: Path, weights: Path) -> str:
    """Return a sentence on what float16 parameters change."""
    images = agreement.normalised(agreement.sample_pixels(card.input.size), card.input)
    exact, rounded = (
        agreement.heads_of(agreement.as_package(card, path), "openvino", images) for path in (source, weights)
    )
    moved = agreement.compare(weights.name, "openvino", rounded, exact).worst
    return f"float16 parameters move the heads by up to {moved:.1e} of their largest value"


def _assemble(card: ModelCard, work: Path, settings: ExportSettings) -> ModelPackage:
    """Return the package, written to a folder inside `work`, with its self-test."""
    weights = work / "weights.safetensors" if "safetensors" in settings.formats else None
    onnx = work / "model.onnx" if "onnx" in settings.formats else None
    tested = agreement.as_package(card, onnx or work / "weights.safetensors")
    record_selftest(tested, work / "selftest.npz")
    card = dataclasses.replace(card, source=None)
    package = write_package(work / "package", card, weights, onnx, selftest=work / "selftest.npz")
    for name in ("model.mindir", "model.air", "detector.onnx", "detector.mindir"):
        if (work / name).exists():
            os.replace(work / name, package.root / name)
    return package
