"""The self-test of a model package: a small stored input, and the raw heads that the network gives for it.

It tells whether an engine on this machine computes what the package's author computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geodetect import engines
from geodetect.card import MOST_SIDE, Input
from geodetect.errors import ModelError
from geodetect.networks.npz import read_npz
from geodetect.package import ModelPackage, open_package

SIDE = 96  # px: three cells of the big stride, so that every padding and every upsampling counts
TOLERANCES = {"float32": 1e-3, "int8": 0.15}  # of a head's largest value; int8 moves YOLOv3-Tiny's by 0.075
_MOST_BYTES = 1 << 30  # of its arrays; those of the largest network at 608 px have 24 MB
TOLERANCE_REDUCED = 0.06  # bfloat16 moves YOLOv4's heads by up to 0.027, less exact types by more


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What a self-test found."""

    engine: str
    device: str
    precision: str
    deviation: float  # largest difference of a raw head, as a fraction of that head's largest value
    tolerance: float

    @property
    def passed(self) -> bool:
        """True where the deviation is within the tolerance; a NaN is not."""
        return self.deviation <= self.tolerance


def run_selftest(
    package: ModelPackage, engine: str = "auto", device: str = "auto", precision: str = "auto"
) -> SelfTest:
    """Return how far an engine's heads are from the stored ones.

    Raises:
        ModelError: the package has no self-test, or its file is damaged.
        EngineError: the engine or the device is not there.
    """
    if package.selftest_path is None:
        raise ModelError(f"{package.root} has no self-test; `geodetect models import` writes one")
    pixels, expected = _read(package.selftest_path)
    opened, heads = _predict(package, pixels, engine, device, precision)
    if [head.shape for head in heads] != [head.shape for head in expected]:
        raise ModelError(f"{package.selftest_path} holds the heads of another network; install the model again")
    pairs = zip(heads, expected, strict=True)
    deviation = max(float(np.abs(found - head).max() / np.abs(head).max()) for found, head in pairs)
    tolerance = TOLERANCES.get(opened.precision, TOLERANCE_REDUCED)
    return SelfTest(opened.name, opened.device, opened.precision, deviation, tolerance)


def verify(folder: str | Path, engine: str = "auto", device: str = "auto", precision: str = "auto") -> SelfTest | None:
    """Check everything of the package in a folder and return what its self-test found, None where it has none.

    Raises:
        ModelError: something is missing, was changed or does not fit, or the self-test failed.
        EngineError: the engine or the device is not there.
    """
    package = open_package(folder)
    if package.selftest_path is None:
        return None
    found = run_selftest(package, engine, device, precision)
    if not found.passed:
        raise ModelError(
            f"{package.root} fails its self-test on {found.engine} ({found.device}, {found.precision}): its heads are "
            f"off by {found.deviation:.2g} of their largest value, {found.tolerance:.2g} is allowed; try another engine"
        )
    return found


def record_selftest(
    package: ModelPackage, path: str | Path, engine: str = "auto", device: str = "auto", side: int = SIDE
) -> None:
    """Write a self-test for the package: an input that is always the same, and an engine's float32 heads for it.

    Args:
        package: what to run.
        path: .npz file to write.
        engine, device: what runs it.
        side: of the canvas, px; the card's size for an ONNX file that takes no other.

    Raises:
        ModelError: the network cannot be run, or gives values that are not finite.
    """
    cells = np.random.default_rng(2023).integers(0, 256, (3, side // 8, side // 8), dtype=np.uint8)
    pixels = np.kron(cells, np.ones((1, 8, 8), np.uint8))
    _, heads = _predict(package, pixels, engine, device, "float32")
    if not all(np.isfinite(head).all() for head in heads):
        raise ModelError(f"{package.root} gives values that are not finite; its weights are no use")
    np.savez_compressed(path, pixels=pixels, **{f"head_{index}": head[0] for index, head in enumerate(heads)})


def _predict(
    package: ModelPackage, pixels: np.ndarray, engine: str, device: str, precision: str
) -> tuple[engines.Engine, tuple[np.ndarray, ...]]:
    """Return the engine, closed, and its heads for (3, S, S) uint8 pixels, on a canvas of just that size."""
    opened = engines.open_engine(package, engine, device, precision, batch_size=1, canvas=pixels.shape[-1])
    try:
        return opened, opened.predict(_normalise(pixels, package.card.input)[None])
    finally:
        opened.close()


def _normalise(pixels: np.ndarray, takes: Input) -> np.ndarray:
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (takes.mean, takes.std))
    normalised: np.ndarray = ((pixels.astype(np.float32) / 255 - mean) / std).astype(np.float32)
    return normalised


def _read(path: Path) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    try:
        arrays = read_npz(path, _MOST_BYTES)
        heads = [arrays[f"head_{index}"] for index in range(len(arrays) - 1)]
        pixels = arrays["pixels"]
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror or error}); install the model again") from None
    except (ModelError, KeyError) as error:
        raise ModelError(f"{path} is no self-test ({error}); install the model again") from None
    side = pixels.shape[-1] if pixels.ndim == 3 and pixels.dtype == np.uint8 else 0
    whole = pixels.shape == (3, side, side) and 0 < side <= MOST_SIDE and side % 32 == 0
    if not whole or not all(head.dtype == np.float32 and head.ndim == 3 and head.size for head in heads):
        raise ModelError(f"{path} is no self-test: it holds no image and heads; install the model again")
    return pixels, tuple(head[None] for head in heads)
