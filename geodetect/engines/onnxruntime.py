"""ONNX Runtime: NVIDIA GPUs, and CPUs that OpenVINO does not serve."""

from __future__ import annotations

import os

import numpy as np

from geodetect.engines import padded
from geodetect.errors import EngineError
from geodetect.networks import graphs
from geodetect.package import ModelPackage


class OnnxRuntimeEngine:
    """Runs a package's network with ONNX Runtime. See `Engine`."""

    name = "onnxruntime"
    precision = "float32"

    def __init__(
        self,
        package: ModelPackage,
        device: str = "auto",
        precision: str = "auto",
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> None:
        import onnxruntime

        if precision == "bfloat16":
            raise EngineError("the engine onnxruntime computes in float32; give --engine openvino for bfloat16")
        cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
        if device == "gpu" and not cuda:
            raise EngineError("ONNX Runtime finds no CUDA device; install onnxruntime-gpu, or give --device cpu")
        on_gpu = cuda and device != "cpu"
        threads = threads or os.cpu_count() or 1
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        provider = "CUDAExecutionProvider" if on_gpu else "CPUExecutionProvider"
        self._session = onnxruntime.InferenceSession(self._model(package), options, providers=[provider])
        if on_gpu and self._session.get_providers()[0] != provider:
            raise EngineError("the CUDA device could not be started; see ONNX Runtime's log, or give --device cpu")
        self.device = "CUDA" if on_gpu else f"CPU, {threads} thread{'s' if threads > 1 else ''}"
        fixed = self._session.get_inputs()[0].shape[0]
        # On CPUs a batch is no faster than its images one by one, and only takes memory.
        self.batch_size = fixed if isinstance(fixed, int) else batch_size or (8 if on_gpu else 1)
        self._fixed = isinstance(fixed, int)

    @staticmethod
    def _model(package: ModelPackage) -> str | bytes:
        if package.onnx_path is not None:
            return str(package.onnx_path)
        network = package.card.network
        return graphs.to_onnx(network.family, network.variant, package.parameters()).SerializeToString()

    def predict(self, images: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the raw heads of (B, 3, S, S) canvases; see `Engine.predict`."""
        batch = padded(images, self.batch_size) if self._fixed else images
        heads = self._session.run(None, {self._session.get_inputs()[0].name: batch})
        return tuple(head[: len(images)] for head in heads)

    def close(self) -> None:
        """Free the network."""
        self._session = None
