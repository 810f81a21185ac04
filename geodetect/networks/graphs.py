"""The networks as graphs without parameter values, for engines that are not MindSpore.

`graphs/FAMILY.onnx` are written by `python -m geodetect.networks.export`. Each parameter is an input of the
graph under its own name; batch, height, width and the heads' channels are open. Needs no MindSpore.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from geodetect.card import VARIANTS, ModelCard
from geodetect.errors import EngineError, ModelError
from geodetect.files import replacing
from geodetect.networks.parameters import check_parameters
from geodetect.networks.protobuf import numbers, raw

if TYPE_CHECKING:
    import onnx
    import openvino

_FOLDER = Path(__file__).parent / "graphs"
_ANCHORS = 3
IMAGES = "images"  # the graphs' input; the outputs are head_32, head_16 and head_8


def graph_path(family: str, variant: str = "mindspore") -> Path:
    """Return where the graph of a network lies.

    Raises:
        ModelError: no such family or variant.
    """
    if variant not in VARIANTS.get(family, ()):
        raise ModelError(f"no network {family!r} of variant {variant!r}")
    same = variant == "mindspore" or (family, variant) == ("yolov3-tiny", "darknet")
    return _FOLDER / (f"{family}.onnx" if same else f"{family}-{variant}.onnx")


def expected_shapes(family: str, n_classes: int, variant: str = "mindspore") -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter by name, in the order of the network's own list."""
    channels = _ANCHORS * (5 + n_classes)
    inputs = _inputs(graph_path(family, variant))
    return {name: tuple(size or channels for size in shape) for name, shape in inputs.items() if name != IMAGES}


def shapes_of(card: ModelCard) -> dict[str, tuple[int, ...]]:
    """Return `expected_shapes` of a card's network for the card's classes."""
    return expected_shapes(card.network.family, len(card.classes), card.network.variant)


def openvino_library() -> ModuleType:
    """Return OpenVINO, told to send no usage statistics: it would fork a process to send them, on each import.

    Raises:
        EngineError: it is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # as if it were not installed
    try:
        import openvino
    except ImportError as error:
        raise EngineError("OpenVINO is not installed: pip install openvino") from error
    return openvino


def load_openvino(
    family: str,
    variant: str,
    parameters: Mapping[str, np.ndarray],
    shape: tuple[int, int, int, int] | None = None,
) -> openvino.Model:
    """Return an OpenVINO model: input `images` (B, 3, H, W), outputs `head_32`, `head_16` and, where it is, `head_8`.

    Args:
        family, variant: of the network.
        parameters: arrays by name, float32.
        shape: of `images`, where it is to be fixed, up to a tenth faster; else any batch and multiples of 32 do.

    Raises:
        ModelError: the parameters do not fit the network.
        EngineError: OpenVINO is not installed.
    """
    openvino = openvino_library()
    check_parameters(parameters, expected_shapes(family, _n_classes(parameters), variant))
    model = openvino.Core().read_model(graph_path(family, variant))
    for node in model.get_parameters():
        name = node.output(0).get_any_name()
        if name != IMAGES:
            array = np.ascontiguousarray(parameters[name], np.float32)
            node.output(0).replace(openvino.op.Constant(array).output(0))
            model.remove_parameter(node)
    model.reshape({IMAGES: list(shape) if shape else [-1, 3, -1, -1]})
    return model


def to_onnx(
    family: str,
    variant: str,
    parameters: Mapping[str, np.ndarray],
    path: str | Path | None = None,
    shape: tuple[int, int, int, int] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> onnx.ModelProto:
    """Return the network with its parameters as an ordinary ONNX model, and write it where a path is given.

    Args:
        family, variant: of the network.
        parameters: arrays by name, float32.
        path: file to write; it appears whole or not at all.
        shape: of `images`, where it is to be fixed; else batch, height and width are open.
        metadata: keys and values for the file.

    Raises:
        ModelError: the parameters do not fit the network.
        EngineError: the package onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise EngineError("the package onnx is not installed: pip install onnx") from error
    n_classes = _n_classes(parameters)
    check_parameters(parameters, expected_shapes(family, n_classes, variant))
    model = onnx.load(graph_path(family, variant))
    used = {name for node in model.graph.node for name in node.input}
    for name in parameters:
        if name in used:
            array = np.ascontiguousarray(parameters[name], np.float32)
            model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    del model.graph.input[1:]
    for head in model.graph.output:
        head.type.tensor_type.shape.dim[1].dim_value = _ANCHORS * (5 + n_classes)
    if shape is not None:
        _fix(model, shape)
    onnx.helper.set_model_props(model, {key: str(value) for key, value in (metadata or {}).items()})
    if path is not None:
        with replacing(Path(path)) as temporary:
            temporary.write_bytes(model.SerializeToString())
    return model


def _n_classes(parameters: Mapping[str, np.ndarray]) -> int:
    """Return the number of classes that the heads' biases tell; 1 where there is none, which a check then finds."""
    sizes = [array.shape[0] for name, array in parameters.items() if name.endswith(".bias") and array.ndim == 1]
    return max(sizes[0] // _ANCHORS - 5, 1) if sizes else 1


def _fix(model: onnx.ModelProto, shape: tuple[int, int, int, int]) -> None:
    for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        dim.dim_value = size
    for head in model.graph.output:
        stride = int(head.name.removeprefix("head_"))
        batch, _, rows, columns = head.type.tensor_type.shape.dim
        batch.dim_value, rows.dim_value, columns.dim_value = shape[0], shape[2] // stride, shape[3] // stride


@cache
def _inputs(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the graph's inputs, 0 for an open size; the numbers are those of onnx.proto."""
    (graph,) = raw(memoryview(path.read_bytes()), 7)  # ModelProto.graph
    inputs = {}
    for info in raw(graph, 11):  # GraphProto.input
        (name,), (kind,) = raw(info, 1), raw(info, 2)  # ValueInfoProto.name, type
        (tensor,) = raw(kind, 1)  # TypeProto.tensor_type
        (shape,) = raw(tensor, 2)
        inputs[bytes(name).decode()] = tuple(sum(numbers(dim, 1)) for dim in raw(shape, 1))
    return inputs
