"""OpenVINO: the fast way on CPUs."""

from __future__ import annotations

import os

import numpy as np

from geodetect.errors import EngineError
from geodetect.networks import graphs
from geodetect.package import ModelPackage


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
        import openvino

        core = openvino.Core()
        has_bfloat16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bfloat16" and not has_bfloat16:
            raise EngineError("this CPU has no bfloat16 arithmetic; give --precision float32")
        self.precision = "bfloat16" if has_bfloat16 and precision != "float32" else "float32"
        self.threads = threads or os.cpu_count() or 1
        self.device = f"CPU, {self.threads} thread{'s' if self.threads > 1 else ''}"
        size = package.card.input.size
        model = self._model(core, package, (1, 3, size, size))
        compiled = core.compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bfloat16" else "f32",
                "INFERENCE_NUM_THREADS": self.threads,
                # A canvas a thread beats one canvas on all threads: no waiting for one another inside a layer.
                "NUM_STREAMS": self.threads,
            },
        )
        # Several canvases a stream keep all streams busy while the caller prepares the next batch.
        self.batch_size = batch_size or 4 * self.threads
        self._queue = openvino.AsyncInferQueue(compiled, self.threads)
        self._queue.set_callback(self._store)
        self._outputs = len(compiled.outputs)
        self._heads: list[list[np.ndarray]] = []

    @staticmethod
    def _model(core, package: ModelPackage, shape: tuple[int, int, int, int]):
        if package.onnx_path is not None:
            model = core.read_model(package.onnx_path)
            model.reshape(shape)
            return model
        network = package.card.network
        return graphs.load_openvino(network.family, network.variant, package.parameters(), shape)

    def _store(self, request, index: int) -> None:
        for output in range(self._outputs):
            self._heads[output][index] = request.get_output_tensor(output).data[0].copy()

    def predict(self, images: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the raw heads of (B, 3, S, S) canvases; see `Engine.predict`."""
        self._heads = [[np.empty(0)] * len(images) for _ in range(self._outputs)]
        for index in range(len(images)):
            self._queue.start_async([images[index : index + 1]], index, share_inputs=True)
        self._queue.wait_all()
        return tuple(np.stack(head) for head in self._heads)

    def close(self) -> None:
        """Free the network."""
        self._queue = None
