"""The reference data of the three networks: parameters from a table of distributions, inputs and raw heads."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np

from geodetect.networks import graphs

CLASSES = {"yolov3": 16, "yolov4": 16, "yolov3-tiny": 80}
FAMILIES = tuple(CLASSES)
SIZES = ((96, 96), (64, 96))


def stem(family: str) -> str:
    return family.replace("-", "_")


@functools.cache
def weights(shared: Path, family: str) -> dict[str, np.ndarray]:
    return script(shared, "make_checkpoint").weights(shared / "golden" / f"{stem(family)}_params.csv")


@functools.cache
def random_parameters(family, classes=1, variant="mindspore"):
    """Small weights and mild normalisation, so that activations stay near 1 through any depth."""
    generator = np.random.default_rng(0)
    arrays = {}
    for name, shape in graphs.expected_shapes(family, classes, variant).items():
        if name.endswith(("gamma", "moving_variance")):
            arrays[name] = generator.uniform(0.9, 1.1, shape).astype(np.float32)
        else:
            fan_in = int(np.prod(shape[1:]))
            arrays[name] = (generator.standard_normal(shape, np.float32) / np.sqrt(fan_in)).astype(np.float32)
    return arrays


def heads(shared: Path, family: str, size: tuple[int, int]) -> list[np.ndarray]:
    """Raw heads of the reference network, big stride to small; YOLOv4's are those with an exact Mish."""
    suffix = "_nnmish" if family == "yolov4" else ""
    with np.load(shared / "golden" / f"{stem(family)}_golden_small{suffix}.npz") as file:
        keys = [f"raw_{scale}_{size[0]}x{size[1]}" for scale in ("big", "medium", "small")]
        return [file[key] for key in keys if key in file]


def images(size: tuple[int, int], batch: int = 1) -> np.ndarray:
    return np.random.RandomState(20230117).standard_normal((batch, 3, *size)).astype(np.float32)


def worst(found, expected) -> float:
    """Largest absolute difference over all heads."""
    return max(float(np.abs(np.asarray(a) - b).max()) for a, b in zip(found, expected, strict=True))


def script(shared: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, shared / "golden" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
