"""MindSpore in graph mode: the reference, and the way on Ascend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from geodetect.engines import padded
from geodetect.errors import EngineError, ModelError
from geodetect.networks import build, load_parameters
from geodetect.package import ModelPackage

_TARGETS = {"ascend": "Ascend", "gpu": "GPU", "cpu": "CPU"}


class MindSporeEngine:
    """Runs a package's parameters, or a MindIR file, in MindSpore. See `Engine`.

    Graph mode and the device are settings of the process, so that it has one MindSpore engine at a time.
    """

    name = "mindspore"
    precision = "float32"

    def __init__(
        self,
        package: ModelPackage,
        device: str = "auto",
        precision: str = "auto",
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> None:
        if precision == "bfloat16":
            raise EngineError(
                "MindSpore has no batch normalisation in bfloat16; give --precision float32 or --engine openvino"
            )
        if package.weights_path is None:
            raise ModelError(f"{package.root} has no MindSpore weights; give --engine openvino or onnxruntime")
        del threads  # MindSpore runs each kernel on one thread of a CPU whatever it is told
        target = _use_device(device)
        self.version = _version()
        self.device = "CPU, 1 thread" if target == "CPU" else target
        self.batch_size = batch_size or (1 if target == "CPU" else 8)  # on CPUs a batch is no faster than its images
        self._network: Any
        if package.weights_path.suffix == ".mindir":
            self._network, self.batch_size = _load_mindir(package.weights_path, package.card.input.size, batch_size)
        else:
            self._network = build(package.card.network.family, len(package.card.classes), package.card.network.variant)
            load_parameters(self._network, package.weights_path)
            self._network.set_train(False)

    def predict(self, images: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the raw heads of (B, 3, S, S) canvases; see `Engine.predict`."""
        from geodetect.networks.runtime import mindspore

        # A new shape would have the graph compiled anew.
        batch = mindspore.Tensor(np.ascontiguousarray(padded(images, self.batch_size)))
        return tuple(head.asnumpy()[: len(images)] for head in self._network(batch))

    def close(self) -> None:
        """Free the network."""
        self._network = None


def _use_device(device: str) -> str:
    """Set graph mode and the device for this process; return MindSpore's name of the device."""
    from geodetect.networks.runtime import mindspore

    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    current = str(mindspore.get_context("device_target"))
    target = _TARGETS.get(device, current)
    if target != current:
        try:
            mindspore.set_device(target)
        except (RuntimeError, ValueError):
            raise EngineError(f"MindSpore finds no {target} on this machine; give --device cpu") from None
    return target


def _version() -> str:
    from geodetect.networks.runtime import mindspore

    return str(mindspore.__version__)


def _load_mindir(path: Path, size: int, batch_size: int | None) -> tuple[Any, int]:
    """Return the network of a MindIR file and the batch that it was exported for."""
    from google.protobuf.message import DecodeError
    from mindspore.train.mind_ir_pb2 import ModelProto

    from geodetect.networks.runtime import mindspore, nn

    description = ModelProto()
    try:
        description.ParseFromString(path.read_bytes())
        batch, *image = description.graph.input[0].tensor[0].dims
    except (DecodeError, IndexError, ValueError):
        raise ModelError(f"{path} is no MindIR file with one input") from None
    if image != [3, size, size]:
        raise ModelError(f"{path} was exported for images of {'x'.join(map(str, image))}, model.yaml says {size} px")
    if batch_size not in (None, batch):
        raise EngineError(f"{path} was exported for batches of {batch}; leave --batch-size {batch_size} out")
    return nn.GraphCell(mindspore.load(str(path))), batch
