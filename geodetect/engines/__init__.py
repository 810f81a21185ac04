"""What runs a network: one file an engine, one line each in the table below."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import os
from pathlib import Path
from typing import Protocol

import numpy as np

from geodetect.errors import ConfigError, EngineError, ModelError, lacks_memory
from geodetect.networks.protobuf import numbers, raw
from geodetect.package import ModelPackage


class Engine(Protocol):
    """A network ready to run.

    Attributes:
        name: key of `ENGINES`.
        version: of the library that runs the network.
        device: what it runs on, for people: "CPU (2 threads)".
        precision: "float32", "bfloat16", or "int8" for an ONNX file with quantised convolutions.
        batch_size: B, the most canvases that `predict` takes at once.
    """

    name: str
    version: str
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
PRECISIONS = ("auto", "float32", "bfloat16", "int8")
BATCH_BYTES = 60 << 20  # of a batch's canvases, where an engine has the choice; a run holds five batches at once
_CGROUP_CPUS = Path("/sys/fs/cgroup/cpu.max")


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
    if precision == "int8":
        package, precision = _quantised(package, name), "auto"
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


def usable_cores() -> int:
    """Return on how many cores this process may run: fewer than the machine's in a container or under `taskset`."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # Windows and macOS
        cores = os.cpu_count() or 1
    try:
        quota, period = _CGROUP_CPUS.read_text("ascii").split()
        cores = min(cores, -(-int(quota) // int(period)))
    except (OSError, ValueError):  # no container, or one without a limit: "max"
        pass
    return max(cores, 1)


def cpu_batch_size(threads: int, canvas: int) -> int:
    """Return how many canvases of a side in px keep threads busy that take one each.

    Four a thread, so that none waits for the next batch; but no more than `BATCH_BYTES` hold, and one a thread at
    least.
    """
    return min(4 * threads, max(threads, BATCH_BYTES // (3 * canvas**2 * 4)))


def explained(error: Exception, engine: str, package: ModelPackage) -> EngineError | ModelError:
    """Return in one sentence what an engine's library said about a package in many lines."""
    words = [line.strip() for line in str(error).splitlines() if line.strip() and "Exception from" not in line]
    text, size = " ".join(words), package.card.input.size
    if lacks_memory(error):
        return EngineError(
            f"{engine} has not enough memory for canvases of {size} px; give a smaller --tile, or fewer --threads"
        )
    file = package.onnx_path or package.weights_path
    return ModelError(f"{file} cannot be run by {engine} on canvases of {size} px ({text.rstrip('.')})")


def check_onnx(path: Path) -> None:
    """Raise ModelError unless a file is an ONNX model; the libraries say so in many lines, some of them on stderr."""
    elsewhere = False
    try:
        graphs = raw(memoryview(path.read_bytes()), 7)  # ModelProto.graph
        tensors = [tensor for graph in graphs for tensor in raw(graph, 5)]  # GraphProto.initializer
        elsewhere = any(1 in numbers(tensor, 14) for tensor in tensors)  # TensorProto.data_location, EXTERNAL
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError:
        graphs = []
    if len(graphs) != 1:
        raise ModelError(f"{path} is no ONNX file or is damaged; export or install the model again")
    if elsewhere:  # no checksum covers it, and it may be any file
        raise ModelError(f"{path} has its weights in another file; save the model as one file")


def is_quantised(path: Path) -> bool:
    """Return whether an ONNX file, checked by `check_onnx`, holds quantised operators."""
    (graph,) = raw(memoryview(path.read_bytes()), 7)  # ModelProto.graph
    nodes = raw(graph, 1)  # GraphProto.node
    return any(bytes(kind) == b"DequantizeLinear" for node in nodes for kind in raw(node, 4))  # NodeProto.op_type


def _quantised(package: ModelPackage, engine: str) -> ModelPackage:
    """Return the package with its quantised file as the one to run; raises EngineError where it has none."""
    if engine == "mindspore":
        raise EngineError("the engine mindspore computes in float32; give --engine openvino or onnxruntime for int8")
    if package.int8_path is not None:
        return dataclasses.replace(package, card=dataclasses.replace(package.card, onnx=package.card.int8))
    if package.onnx_path is None or not is_quantised(package.onnx_path):
        raise EngineError(
            f"{package.card.name} has no INT8 file; make one with `geodetect quantize`, or give another --precision"
        )
    return package


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
    return Path("/dev/davinci_manager").exists()  # the driver's device node; asking MindSpore would load it


def _has_cuda() -> bool:
    from onnxruntime import get_available_providers

    return "CUDAExecutionProvider" in get_available_providers()
