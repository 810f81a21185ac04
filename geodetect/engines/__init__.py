"""What runs a network: one file an engine, one line each in the table below."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
from typing import Protocol

import numpy as np

from geodetect.errors import ConfigError, EngineError
from geodetect.package import ModelPackage


class Engine(Protocol):
    """A network ready to run.

    Attributes:
        name: key of `ENGINES`.
        device: what it runs on, for people: "CPU (2 threads)".
        precision: "float32" or "bfloat16".
        batch_size: B, the most canvases that `predict` takes at once.
    """

    name: str
    device: str
    precision: str
    batch_size: int

    def predict(self, images: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the raw heads, big stride to small, each (b, A * (5 + C), S / stride, S / stride) float32.

        Args:
            images: (b, 3, S, S) float32, normalised canvases, b from 1 to B.
        """

    def close(self) -> None:
        """Free the network."""


# name: (module needed, class, devices)
ENGINES = {
    "mindspore": ("mindspore", "MindSporeEngine", ("ascend", "gpu", "cpu")),
    "onnxruntime": ("onnxruntime", "OnnxRuntimeEngine", ("gpu", "cpu")),
    "openvino": ("openvino", "OpenVinoEngine", ("cpu",)),
}
DEVICES = ("auto", "cpu", "gpu", "ascend")
PRECISIONS = ("auto", "float32", "bfloat16")


def open_engine(
    package: ModelPackage,
    engine: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    threads: int | None = None,
    canvas: int | None = None,
) -> Engine:
    """Return the engine for a package; `canvas` is the network's input side in px, None for the card's.

    `auto` takes MindSpore on Ascend, ONNX Runtime on CUDA, OpenVINO on CPUs; else what is installed.

    Raises:
        EngineError: the engine is not installed or the device not there.
        ConfigError: there is no such engine, device or precision.
    """
    for option, value, known in (
        ("engine", engine, ("auto", *ENGINES)),
        ("device", device, DEVICES),
        ("precision", precision, PRECISIONS),
    ):
        if value not in known:
            raise ConfigError(f"{option} is {value!r}, give one of {', '.join(known)}")
    name = _choose(device, package) if engine == "auto" else engine
    module, kind, devices = ENGINES[name]
    if not _installed(module):
        extra = name if name != "openvino" else ""
        raise EngineError(f"the engine {name} is not installed; pip install geodetect{f'[{extra}]' if extra else ''}")
    if device not in ("auto", *devices):
        raise EngineError(f"the engine {name} does not run on {device}, only on {', '.join(devices)}")
    if canvas is not None:  # the networks are fully convolutional: they take any multiple of 32
        resized = dataclasses.replace(package.card.input, size=canvas)
        package = dataclasses.replace(package, card=dataclasses.replace(package.card, input=resized))
    opened = getattr(importlib.import_module(f"geodetect.engines.{name}"), kind)
    return opened(package, device=device, precision=precision, batch_size=batch_size, threads=threads)


def available() -> tuple[str, ...]:
    """Return the names of the engines that are installed."""
    return tuple(name for name, (module, *_) in ENGINES.items() if _installed(module))


def padded(images: np.ndarray, batch_size: int) -> np.ndarray:
    """Return images (b, ...) filled up to (batch_size, ...), for networks built for one batch size."""
    if len(images) == batch_size:
        return images
    return np.concatenate([images, np.zeros((batch_size - len(images), *images.shape[1:]), images.dtype)])


def _choose(device: str, package: ModelPackage) -> str:
    weights = package.weights_path
    if weights is not None and weights.suffix == ".mindir":
        return "mindspore"
    if device == "ascend" or (device == "auto" and _installed("mindspore") and _has_ascend()):
        return "mindspore"
    if device == "gpu" or (device == "auto" and _installed("onnxruntime") and _has_cuda()):
        return "onnxruntime"
    for name in ("openvino", "onnxruntime", "mindspore"):
        if _installed(name):
            return name
    raise EngineError("no engine is installed; pip install openvino, or geodetect[onnxruntime]")


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _has_ascend() -> bool:
    from pathlib import Path

    return Path("/dev/davinci_manager").exists()  # the driver's device node; asking MindSpore would load it


def _has_cuda() -> bool:
    from onnxruntime import get_available_providers

    return "CUDAExecutionProvider" in get_available_providers()
