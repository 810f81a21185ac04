"""A network as an INT8 ONNX file that OpenVINO and ONNX Runtime both run fast.

Convolutions alone are quantised, with a scale for each output channel; activations, pooling and upsampling cost little
and stay as they are, and the convolutions that give the raw heads keep float32: eight bits there take up to
2 points of AP. `benchmarks/bench_quantize.py` compares this with NNCF and with other choices.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geodetect.errors import EngineError, TrainingError
from geodetect.files import replacing
from geodetect.networks.graphs import IMAGES, to_onnx

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class Int8Settings:
    """How a network is quantised; the defaults are what the benchmark found best."""

    operators: tuple[str, ...] = ("Conv",)  # empty: all that can be
    heads: bool = False  # the heads' convolutions too
    reduce_range: bool = True  # weights of seven bits: with eight, sums overflow on CPUs without VNNI
    calibration: str = "MinMax"  # how the range of an activation is found


def float_graph(family: str, variant: str, parameters: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """Return the network as ONNX with named nodes and each batch normalisation in the convolution before it."""
    import onnx

    model = fold_normalisation(to_onnx(family, variant, parameters))
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    return onnx.shape_inference.infer_shapes(model)


def fold_normalisation(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the same function without batch normalisation: it scales the weights and becomes the bias."""
    import onnx

    arrays = {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}
    makers = {node.output[0]: node for node in model.graph.node}
    kept = []
    for node in model.graph.node:
        if node.op_type != "BatchNormalization":
            kept.append(node)
            continue
        convolution = makers[node.input[0]]
        gamma, beta, mean, variance = (arrays.pop(name) for name in node.input[1:])
        epsilon = next((item.f for item in node.attribute if item.name == "epsilon"), 1e-5)
        scale = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
        weight, bias = convolution.input[1], node.input[2]
        arrays[weight] = (arrays[weight] * scale[:, None, None, None]).astype(np.float32)
        arrays[bias] = (beta - mean * scale).astype(np.float32)
        convolution.input.append(bias)
        convolution.output[0] = node.output[0]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(kept)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in arrays.items())
    return model


def write_int8(
    model: onnx.ModelProto,
    images: Iterable[np.ndarray],
    path: str | Path,
    settings: Int8Settings = Int8Settings(),
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write the network with INT8 convolutions, as QuantizeLinear and DequantizeLinear pairs around them.

    Args:
        model: from `float_graph`.
        images: normalised canvases, each (3, S, S) float32, from which the range of every activation is taken.
        path: file to write; it appears whole or not at all.
        settings: what is quantised.
        metadata: keys and values for the file.

    Raises:
        EngineError: ONNX Runtime is not installed.
        TrainingError: there are no images.
    """
    import onnx

    try:
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.quant_utils import add_pre_process_metadata
    except ImportError as error:
        raise EngineError('ONNX Runtime is not installed: pip install "geodetect[quantize]"') from error
    path, heads = Path(path), {output.name for output in model.graph.output}
    add_pre_process_metadata(model)  # else it asks for what `float_graph` has done
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, replacing(path) as temporary:
        source, made = os.path.join(folder, "float.onnx"), os.path.join(folder, "int8.onnx")
        onnx.save(model, source)
        try:
            quantize_static(
                source, made, _reader(images), quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(settings.operators) or None,
                per_channel=True, reduce_range=settings.reduce_range,
                # ONNX Runtime has fast kernels for unsigned activations with signed weights alone
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                nodes_to_exclude=[n.name for n in model.graph.node if n.output[0] in heads and not settings.heads],
                calibrate_method=CalibrationMethod[settings.calibration],
            )  # fmt: skip
        except ValueError as error:
            if "No data" not in str(error):
                raise
            raise TrainingError("there is no image to take the ranges of the activations from; give some") from None
        quantised = onnx.load(made)
        del quantised.metadata_props[:]
        onnx.helper.set_model_props(quantised, dict(metadata or {}))
        temporary.write_bytes(quantised.SerializeToString())


def _reader(images: Iterable[np.ndarray]) -> Any:
    """Return what ONNX Runtime reads calibration images from, one at a time."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.left, None)
            return None if image is None else {IMAGES: image[None]}

    return Reader()
