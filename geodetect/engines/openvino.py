"""OpenVINO: the fast way on CPUs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from geodetect.engines import check_onnx, cpu_batch_size, explained, is_quantised, usable_cores
from geodetect.errors import EngineError
from geodetect.networks import graphs
from geodetect.package import ModelPackage

if TYPE_CHECKING:
    import openvino


class OpenVinoEngine:
    """Runs a package's network on the CPU, one canvas a stream, all streams at once. See `Engine`."""

    name = "openvino"

    def __init__(
        self,
        package: ModelPackage,
        device: str = "auto",
        precision: str = "auto",
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> None:
        openvino = graphs.openvino_library()
        core = openvino.Core()
        has_bfloat16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bfloat16" and not has_bfloat16:
            raise EngineError("this CPU has no bfloat16 arithmetic; give --precision float32")
        self.version = openvino.__version__.split("-")[0]  # without the build's number and branch
        threads = threads or usable_cores()
        self.device = f"CPU, {threads} thread{'s' if threads > 1 else ''}"
        self.batch_size = batch_size or cpu_batch_size(threads, package.card.input.size)
        self._package = package
        options = {
            "INFERENCE_NUM_THREADS": threads,
            # A canvas a thread beats one canvas on all threads: no waiting for one another inside a layer.
            "NUM_STREAMS": threads,
            # Each process would pin its first thread to the first core: several at once would share that one.
            "ENABLE_CPU_PINNING": threads >= usable_cores(),
        }
        self.precision = "bfloat16" if has_bfloat16 and precision != "float32" else "float32"
        try:
            try:
                compiled = _compiled(core, package, self.precision, options)
            except RuntimeError:
                if precision == "bfloat16" or self.precision == "float32":
                    raise
                # OpenVINO tells what the CPU has, also where ONEDNN_MAX_CPU_ISA, which it obeys, keeps it from that
                self.precision = "float32"
                compiled = _compiled(core, package, self.precision, options)
            if package.onnx_path is not None and is_quantised(package.onnx_path):
                self.precision = "int8"  # of the convolutions; the rest is as asked for
            self._queue: Any = openvino.AsyncInferQueue(compiled, threads)
        except (RuntimeError, MemoryError) as error:
            raise explained(error, "OpenVINO", package) from error
        self._queue.set_callback(self._store)
        self._outputs = len(compiled.outputs)
        self._heads: list[list[np.ndarray]] = []

    def _store(self, request: openvino.InferRequest, index: int) -> None:
        for output in range(self._outputs):
            self._heads[output][index] = request.get_output_tensor(output).data[0].copy()

    def predict(self, images: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the raw heads of (B, 3, S, S) canvases; see `Engine.predict`."""
        self._heads = [[np.empty(0)] * len(images) for _ in range(self._outputs)]
        try:
            for index in range(len(images)):
                self._queue.start_async([images[index : index + 1]], index, share_inputs=True)
            self._queue.wait_all()
        except (RuntimeError, MemoryError) as error:
            raise explained(error, "OpenVINO", self._package) from error
        return tuple(np.stack(head) for head in self._heads)

    def close(self) -> None:
        """Free the network."""
        self._queue = None


def _compiled(
    core: openvino.Core, package: ModelPackage, precision: str, options: Mapping[str, Any]
) -> openvino.CompiledModel:
    hint = {"INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32"}
    return core.compile_model(_model(core, package), "CPU", {**options, **hint})


def _model(core: openvino.Core, package: ModelPackage) -> openvino.Model:
    """Return the network for one canvas of the card's size."""
    size = package.card.input.size
    if package.onnx_path is not None:
        check_onnx(package.onnx_path)
        model = core.read_model(package.onnx_path)
        model.reshape((1, 3, size, size))
        return model
    network = package.card.network
    return graphs.load_openvino(network.family, network.variant, package.parameters(), (1, 3, size, size))
