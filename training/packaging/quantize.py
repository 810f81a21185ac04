"""A model to INT8: calibrated on tiles, measured before and after, and refused where it loses too much."""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geodetect import engines
from geodetect.card import Input, ModelCard
from geodetect.errors import ConfigError, EngineError, LabelError, TrainingError
from geodetect.package import ModelPackage, write_package
from geodetect.progress import SILENT, Reporter
from geodetect.selftest import record_selftest
from training.data.canvas import read_canvas
from training.data.index import Index, read_index
from training.packaging.agreement import as_package
from training.packaging.detector import metadata
from training.packaging.export import check_folder, install, with_parameters
from training.packaging.int8 import float_graph, write_int8

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
RUNNERS = ("openvino", "onnxruntime")  # both must run the file, and neither may lose too much
_TIMED = 16  # canvases a round of timing
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class QuantizeSettings:
    """How a model is quantised. Raises ConfigError naming the field that is wrong."""

    images: int = 100  # to calibrate on
    calibration: Path | None = None  # folder of images to calibrate on; None: the data's train split
    max_loss: float = 1.0  # points of AP (per cent) that may be lost
    size: int | None = None  # side of the canvas, px; None: the card's
    name: str | None = None  # of the new model; None: the card's with -int8, or the card's own with `keep_float`
    keep_float: bool = False  # the package holds the source's weights too, and --precision int8 takes the quantised
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.images < 1:
            raise ConfigError(f"images is {self.images}, give 1 or more to calibrate on")
        if not 0 <= self.max_loss <= 100:
            raise ConfigError(f"max_loss is {self.max_loss}, give points of AP from 0 to 100")


@dataclass(frozen=True, slots=True)
class Measured:
    """How good and how quick a model is in one engine."""

    precision: str  # "float32", "bfloat16" or "int8"
    engine: str
    device: str
    ap: float  # 0..1
    ap50: float  # 0..1
    milliseconds: float  # a canvas


@dataclass(frozen=True, slots=True)
class Quantized:
    """What quantising gave."""

    package: ModelPackage
    before: tuple[Measured, ...]  # float32 in OpenVINO first, which the loss is counted from
    after: tuple[Measured, ...]


def quantize(
    source: ModelPackage,
    data: str | Path,
    folder: str | Path,
    settings: QuantizeSettings | None = None,
    reporter: Reporter = SILENT,
) -> Quantized:
    """Write a model package with an INT8 ONNX file that OpenVINO and ONNX Runtime run, and return what it costs.

    Args:
        source: the model, with parameters.
        data: prepared data set, whose val split the AP is taken on.
        folder: to write; it appears whole or not at all.
        settings: what else to choose.
        reporter: is told what is done, and may cancel.

    Raises:
        TrainingError: the AP is 0 already, or falls by more than is allowed in one of the engines; nothing is written.
        LabelError: the data set is wrong or its val split holds no object.
        ModelError: the source has no parameters.
        EngineError: ONNX Runtime is not installed.
        OutputError: the folder is taken.
    """
    settings, folder = settings or QuantizeSettings(), Path(folder)
    check_folder(folder, settings.overwrite)
    _check_engines()
    with_parameters(source)
    card = _card(source.card, settings)
    index = read_index(data, "val", keep_empty=True)
    if index.ignored.all():
        raise LabelError(f"the val split of {data} holds no object, so that no loss of AP could be seen; give another")
    files = calibration_files(data, settings)
    reporter.note(f"calibrating on {len(files)} images")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        work = Path(scratch)
        graph = float_graph(card.network.family, card.network.variant, source.parameters())
        write_int8(graph, _canvases(files, card.input, reporter), work / "model.onnx", metadata=metadata(card))
        quantised = as_package(card, work / "model.onnx")
        wanted = [(source_like(source, card), "openvino", "float32"), *((quantised, name, "auto") for name in RUNNERS)]
        if _has_bfloat16(source, card):
            wanted.insert(1, (source_like(source, card), "openvino", "bfloat16"))
        measured = measure(wanted, index, files, reporter)
        before, after = measured[: -len(RUNNERS)], measured[-len(RUNNERS) :]
        _refuse(before[0], after, settings.max_loss)
        if 100 * before[0].ap <= settings.max_loss:
            reporter.note(f"AP is {100 * before[0].ap:.1f} before already, which tells nothing of what INT8 costs")
        card = _with_figures(card, before[0], after, len(index), settings.keep_float)
        package = _write(work, card, source if settings.keep_float else None)
        install(package.root, folder, work)
    return Quantized(ModelPackage(package.card, folder), before, after)


def _write(work: Path, card: ModelCard, source: ModelPackage | None) -> ModelPackage:
    """Return the package of the quantised file in `work`, and of the source's weights where it is given."""
    file, folder = work / "model.onnx", work / "package"
    if source is not None:
        return write_package(folder, card, source.weights_path, int8=file, selftest=source.selftest_path)
    record_selftest(as_package(card, file), work / "selftest.npz")
    return write_package(folder, card, onnx=file, selftest=work / "selftest.npz")


def calibration_files(data: str | Path, settings: QuantizeSettings) -> list[Path]:
    """Return the images to calibrate on, spread evenly over those there are.

    Raises LabelError where there are none.
    """
    if settings.calibration is not None:
        folder = settings.calibration
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
        if not found:
            raise LabelError(
                f"{folder} holds no image ({', '.join(IMAGE_SUFFIXES)}) to calibrate on; give another folder"
            )
    else:
        index = read_index(data, "train")
        found = [index.path(number) for number in range(len(index))]
    places = np.unique(np.linspace(0, len(found) - 1, min(settings.images, len(found))).round().astype(int))
    return [found[place] for place in places]


def measure(
    models: Sequence[tuple[ModelPackage, str, str]], index: Index, files: Sequence[Path], reporter: Reporter = SILENT
) -> tuple[Measured, ...]:
    """Return how good and how quick models are, each (package, engine, precision), on all cores of the CPU.

    They are timed in turn, A B A B, so that whatever else the machine does meets all of them alike.

    Args:
        models: what to measure.
        index: images and objects.
        files: images to time on.
        reporter: is told progress.
    """
    from training.scoring import score

    opened, scores = [], []
    try:
        for package, name, precision in models:
            opened.append(engines.open_engine(package, name, "cpu", precision))
            reporter.note(f"scoring {opened[-1].precision} in {name}")
            scores.append(score(opened[-1], package.card, index, reporter=reporter))
        images = np.stack(list(_canvases(files[:_TIMED], models[0][0].card.input)))
        times: list[list[float]] = [[] for _ in opened]
        for _ in range(_ROUNDS):
            for engine, own in zip(opened, times, strict=True):
                own.append(_seconds(engine, images) / len(images) * 1e3)
    finally:
        for engine in opened:
            engine.close()
    return tuple(
        Measured(engine.precision, engine.name, engine.device, own.ap, own.ap50, statistics.median(spent))
        for engine, own, spent in zip(opened, scores, times, strict=True)
    )


def source_like(source: ModelPackage, card: ModelCard) -> ModelPackage:
    """Return the source's parameters as a package with the new card's input, without its ONNX file."""
    return ModelPackage(card.holding(weights=source.card.weights), source.root)


def _seconds(engine: engines.Engine, images: np.ndarray) -> float:
    start = time.perf_counter()
    for first in range(0, len(images), engine.batch_size):
        engine.predict(images[first : first + engine.batch_size])
    return time.perf_counter() - start


def _canvases(files: Sequence[Path], takes: Input, reporter: Reporter = SILENT) -> Iterator[np.ndarray]:
    for number, file in enumerate(files, 1):
        yield read_canvas(file, takes)[0]
        reporter.progress("calibrate", number, len(files))


def _has_bfloat16(source: ModelPackage, card: ModelCard) -> bool:
    """Return whether OpenVINO would compute in bfloat16 here, which then is the speed to beat."""
    engine = engines.open_engine(source_like(source, card), "openvino", "cpu", canvas=64)
    engine.close()
    return engine.precision == "bfloat16"


def _check_engines() -> None:
    missing = [name for name in RUNNERS if name not in engines.available()]
    if missing:
        raise EngineError(
            f'{missing[0]} is not installed, and the file must run in it: pip install "geodetect[quantize]"'
        )


def _card(card: ModelCard, settings: QuantizeSettings) -> ModelCard:
    takes = dataclasses.replace(card.input, size=settings.size or card.input.size)
    name = settings.name or (card.name if settings.keep_float else f"{card.name}-int8")
    return dataclasses.replace(card, input=takes, name=name, source=None)


def _with_figures(
    card: ModelCard, before: Measured, after: Sequence[Measured], images: int, keep_float: bool
) -> ModelCard:
    figures = {f"AP50 INT8, {row.engine}": round(row.ap50, 4) for row in after}
    figures |= {f"AP INT8, {row.engine}": round(row.ap, 4) for row in after}
    figures |= {"AP50 float32": round(before.ap50, 4), "AP float32": round(before.ap, 4)}
    metrics = {**card.metrics, f"all classes, {images} validation tiles, INT8 beside float32": figures}
    if keep_float:
        return dataclasses.replace(card, metrics=metrics)
    text = f"{card.description.rstrip('. ')}. Quantised to INT8, for CPUs." if card.description else "INT8, for CPUs."
    return dataclasses.replace(card, metrics=metrics, description=text)


def _refuse(before: Measured, after: Sequence[Measured], max_loss: float) -> None:
    if not before.ap > 0:
        raise TrainingError(
            "the model finds nothing of the val split before INT8 (AP 0), so that no loss could be seen; nothing was "
            "written. Train it longer, or give the data that it was made for"
        )
    worst = min(after, key=lambda row: row.ap)
    loss = 100 * (before.ap - worst.ap)
    if not loss <= max_loss:  # a NaN is no pass
        raise TrainingError(
            f"INT8 takes {loss:.1f} points of AP in {worst.engine} ({100 * before.ap:.1f} before, {100 * worst.ap:.1f} "
            f"after), {max_loss:g} are allowed; nothing was written. Try more --images, or a higher --max-loss"
        )
