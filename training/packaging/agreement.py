"""Whether the files of an export are one network: all are run on one input and their heads compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geodetect import decode, engines
from geodetect.card import Input, ModelCard, WeightsFile
from geodetect.errors import TrainingError
from geodetect.package import ModelPackage
from geodetect.radiometry import Normaliser, Stretch

IMAGES = 2  # more than one, to see that a file for any batch takes it


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the outputs of one file are from the reference's, as fractions of the reference's largest value."""

    file: str
    engine: str
    deviations: tuple[float, ...]  # one a head, big stride to small; of a detector: boxes, probabilities

    @property
    def worst(self) -> float:
        """The largest of them; NaN where one is."""
        return float(np.max(self.deviations))


def as_package(card: ModelCard, path: Path) -> ModelPackage:
    """Return one file, parameters, MindIR or ONNX, as a package of its own; nothing is copied or checked."""
    return ModelPackage(as_card(card, path), path.parent)


def as_card(card: ModelCard, path: Path) -> ModelCard:
    """Return the card of a package that holds one file alone."""
    role = "onnx" if path.suffix == ".onnx" else "weights"
    return dataclasses.replace(card, source=None).holding(**{role: WeightsFile(path.name)})


def sample_pixels(size: int) -> np.ndarray:
    """Return images that are always the same, (B, 3, S, S) uint8: coloured blocks of 8 px."""
    cells = np.random.default_rng(2023).integers(0, 256, (IMAGES, 3, size // 8, size // 8), dtype=np.uint8)
    return np.kron(cells, np.ones((1, 1, 8, 8), np.uint8))


def normalised(pixels: np.ndarray, takes: Input) -> np.ndarray:
    """Return pixels (B, 3, S, S) uint8 as the network takes them, float32."""
    out = np.empty(pixels.shape, np.float32)
    normalise = Normaliser(Stretch.identity(3), takes.mean, takes.std, takes.fill)
    for image, canvas in zip(pixels, out, strict=True):
        normalise(image, None, canvas)
    return out


def heads_of(package: ModelPackage, engine: str, images: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return what an engine gives for all images, in float32 on the CPU, or on the Ascend where MindSpore has one."""
    batch = len(images) if engine == "onnxruntime" else None
    opened = engines.open_engine(package, engine, precision="float32", batch_size=batch)
    try:
        step = opened.batch_size
        parts = [opened.predict(images[start : start + step]) for start in range(0, len(images), step)]
    finally:
        opened.close()
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def compare(file: str, engine: str, found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> Agreement:
    """Return how far arrays are from the expected ones; infinitely where their shapes differ."""
    if [array.shape for array in found] != [array.shape for array in expected]:
        return Agreement(file, engine, (float("inf"),))
    pairs = zip(found, expected, strict=True)
    deviations = tuple(float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-12)) for a, b in pairs)
    return Agreement(file, engine, deviations)


def check_files(card: ModelCard, reference: Path, files: Sequence[Path]) -> tuple[Agreement, ...]:
    """Return how far every file that an engine here can run is from the reference's parameters in MindSpore.

    Args:
        card: what the files are.
        reference: the parameters; without MindSpore OpenVINO computes the reference.
        files: .safetensors, .mindir and .onnx.

    Raises:
        TrainingError: no engine here can run a file, or the reference itself gives what is not finite.
    """
    images = normalised(sample_pixels(card.input.size), card.input)
    here = engines.available()
    first = "mindspore" if "mindspore" in here else "openvino"
    expected = heads_of(as_package(card, reference), first, images)
    if not all(np.isfinite(head).all() for head in expected):
        raise TrainingError(
            f"the network itself gives values that are not finite in {first}; its training diverged or its weights are "
            "damaged: take another checkpoint"
        )
    found = []
    for file in files:
        able = [name for name in _engines(file) if name in here and (file, name) != (reference, first)]
        if not able and file != reference:
            raise TrainingError(
                f"nothing here can run {file.name}, so it cannot be checked; install {_engines(file)[0]}"
            )
        for name in able:
            found.append(compare(file.name, name, heads_of(as_package(card, file), name, images), expected))
    return (compare(reference.name, first, expected, expected), *found)


def check_detectors(card: ModelCard, reference: Path, files: Sequence[Path]) -> tuple[Agreement, ...]:
    """Return how far files with a detection layer are from decoding the heads that OpenVINO gives for the parameters.

    Two numbers a file: of cx, cy, w, h, as a fraction of the largest, and of objectness and classes.
    """
    pixels = sample_pixels(card.input.size)[:1]
    heads = heads_of(as_package(card, reference), "openvino", normalised(pixels, card.input))
    expected = _parts(decode.predictions(heads, card.heads))
    images = pixels.astype(np.float32) / 255
    found = []
    for file in files:
        if file.suffix == ".mindir":
            found.append(compare(file.name, "mindspore", _parts(_run_mindir(file, images)), expected))
            continue
        for name in (name for name in _engines(file) if name in engines.available()):
            (predictions,) = heads_of(as_package(card, file), name, images)
            found.append(compare(file.name, name, _parts(predictions), expected))
    return tuple(found)


def _parts(predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return predictions[..., :4], predictions[..., 4:]


def _run_mindir(path: Path, images: np.ndarray) -> np.ndarray:
    from geodetect.networks.runtime import mindspore, nn

    output: np.ndarray = nn.GraphCell(mindspore.load(str(path)))(mindspore.Tensor(images)).asnumpy()
    return output


def _engines(file: Path) -> tuple[str, ...]:
    return {".onnx": ("onnxruntime", "openvino"), ".mindir": ("mindspore",)}.get(file.suffix, ("mindspore", "openvino"))
