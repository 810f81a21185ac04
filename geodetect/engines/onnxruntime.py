"""ONNX Runtime: NVIDIA GPUs, and CPUs that OpenVINO does not serve."""

from __future__ import annotations

from typing import Any

import numpy as np

from geodetect.engines import check_onnx, explained, is_quantised, padded, usable_cores
from geodetect.errors import EngineError, ModelError
from geodetect.networks import graphs
from geodetect.package import ModelPackage


class OnnxRuntimeEngine:
    """Runs a package's network with ONNX Runtime. See `Engine`."""

    name = "onnxruntime"

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
        threads = threads or usable_cores()
        self.version: str = onnxruntime.__version__
        self._package = package
        self._session: Any = self._open("CUDAExecutionProvider" if on_gpu else "CPUExecutionProvider", threads)
        if on_gpu and self._session.get_providers()[0] != "CUDAExecutionProvider":
            raise EngineError("the CUDA device could not be started; see ONNX Runtime's log, or give --device cpu")
        self.device = "CUDA" if on_gpu else f"CPU, {threads} thread{'s' if threads > 1 else ''}"
        quantised = package.onnx_path is not None and is_quantised(package.onnx_path)
        self.precision = "int8" if quantised else "float32"
        fixed = self._fixed_batch()
        # On CPUs a batch is no faster than its images one by one, and only takes memory.
        self.batch_size = fixed or batch_size or (8 if on_gpu else 1)
        self._fixed = fixed is not None

    def _open(self, provider: str, threads: int) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Errors are raised, and need no line in a log too; but CUDA falls back to the CPU with a line there alone.
        options.log_severity_level = 3 if provider == "CUDAExecutionProvider" else 4
        try:
            return onnxruntime.InferenceSession(_model(self._package), options, providers=[provider])
        except _errors() as error:
            raise explained(error, "ONNX Runtime", self._package) from error

    def _fixed_batch(self) -> int | None:
        """Return the batch size that the file was exported for, None where any will do.

        Raises ModelError where it takes no canvases of the card's size.
        """
        inputs, size = self._session.get_inputs(), self._package.card.input.size
        shape = inputs[0].shape
        if len(inputs) != 1 or len(shape) != 4 or (shape[1] not in (3, None) and isinstance(shape[1], int)):
            raise ModelError(f"{self._package.onnx_path} does not take images, (batch, 3, height, width) is needed")
        if any(isinstance(side, int) and side != size for side in shape[2:]):
            raise ModelError(
                f"{self._package.onnx_path} was exported for images of {shape[3]} x {shape[2]} px only and cannot "
                f"take {size} px; give another --tile or --engine openvino, or export it with open sizes"
            )
        return shape[0] if isinstance(shape[0], int) else None

    def predict(self, images: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the raw heads of (B, 3, S, S) canvases; see `Engine.predict`."""
        batch = padded(images, self.batch_size) if self._fixed else images
        try:
            heads = self._session.run(None, {self._session.get_inputs()[0].name: batch})
        except _errors() as error:
            raise explained(error, "ONNX Runtime", self._package) from error
        return tuple(head[: len(images)] for head in heads)

    def close(self) -> None:
        """Free the network."""
        self._session = None


def _model(package: ModelPackage) -> str | bytes:
    if package.onnx_path is not None:
        check_onnx(package.onnx_path)
        return str(package.onnx_path)
    network = package.card.network
    return graphs.to_onnx(network.family, network.variant, package.parameters()).SerializeToString()


def _errors() -> tuple[type[Exception], ...]:
    """Return what ONNX Runtime raises: errors of its own, which have no base of theirs."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented", "RuntimeException")
    return (MemoryError, *(getattr(state, name) for name in names))
