"""Networks to files: MindIR for Ascend, and the graphs that geodetect ships (`python -m geodetect.networks.export`)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from geodetect.card import VARIANTS
from geodetect.networks import build
from geodetect.networks.graphs import graph_path
from geodetect.networks.layers import ANCHORS, LeakyReLU, Mish
from geodetect.networks.runtime import mindspore, nn

OPSET, IR_VERSION = 13, 8
STRIDES = (32, 16, 8)
_CLASSES = 7  # while exporting; the graphs leave the number of classes open
_SIZE = 64
_STAND_INS = {LeakyReLU: nn.Sigmoid, Mish: nn.Tanh}
_CONSTANTS = (
    helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, 2, 2]),
    helper.make_tensor("one", TensorProto.FLOAT, [], [1]),
    helper.make_tensor("two", TensorProto.FLOAT, [], [2]),
)


def export_mindir(cell: nn.Cell, path: str | Path, size: int, batch: int = 1) -> None:
    """Write the network with its parameters for a fixed (batch, 3, size, size) input; the file appears whole."""
    path = Path(path)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        exported = _export(cell, Path(folder), (batch, 3, size, size), "MINDIR")
        exported.chmod(0o644)  # MindSpore writes files that their owner alone can read
        os.replace(exported, path)


def graph(family: str, variant: str) -> onnx.ModelProto:
    """Return the network as ONNX without parameter values: each parameter is an input of its own name.

    Input `images` (batch, 3, height, width), outputs `head_32`, `head_16` and, where there is one, `head_8`.
    Batch, height, width and the heads' channels are open.
    """
    cell = build(family, _CLASSES, variant)
    shapes = {item.name: tuple(item.shape) for item in cell.get_parameters()}
    _use_stand_ins(cell)
    with tempfile.TemporaryDirectory() as folder:
        exported = onnx.load(_export(cell, Path(folder), (1, 3, _SIZE, _SIZE), "ONNX")).graph
    heads = [f"head_{stride}" for stride in STRIDES[: len(exported.output)]]
    names = {exported.input[0].name: "images", **{name: name for name in shapes}}
    names.update({value.name: head for value, head in zip(exported.output, heads, strict=True)})
    nodes = [new for node in exported.node if node.op_type != "Constant" for new in _portable(node, names)]
    inputs = [_value("images", ("batch", 3, "height", "width"))]
    inputs += [_value(name, [_open(size) for size in shape]) for name, shape in shapes.items()]
    outputs = [_value(head, ("batch", "channels", f"{head}_rows", f"{head}_columns")) for head in heads]
    used = {name for node in nodes for name in node.input}
    constants = [value for value in _CONSTANTS if value.name in used]
    result = helper.make_model(
        helper.make_graph(nodes, f"{family}-{variant}", inputs, outputs, constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="geodetect",
    )
    onnx.checker.check_model(result)
    return result


def _export(cell: nn.Cell, folder: Path, shape: tuple[int, ...], kind: str) -> Path:
    images = mindspore.Tensor(np.zeros(shape, np.float32))
    mindspore.export(cell, images, file_name=str(folder / "network"), file_format=kind)
    return folder / f"network.{kind.lower()}"


def _use_stand_ins(cell: nn.Cell) -> None:
    """Put operators that MindSpore can export, and that the networks use nowhere else, in the activations' places."""
    for _, block in list(cell.cells_and_names()):
        if isinstance(block, nn.SequentialCell) and type(block[-1]) in _STAND_INS:
            block[-1] = _STAND_INS[type(block[-1])]()


def _portable(node: onnx.NodeProto, names: dict[str, str]) -> list[onnx.NodeProto]:
    """Return the node with short names, explicit padding, resizing by 2 and true activations; extends `names`."""
    for name in node.output:
        names.setdefault(name, f"t{len(names)}")
    output = names[node.output[0]]
    inputs = [names[name] for name in (node.input[:1] if node.op_type == "Resize" else node.input)]
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    if node.op_type == "Sigmoid":
        return [helper.make_node("LeakyRelu", inputs, [output], alpha=0.1)]
    if node.op_type == "Tanh":
        return _mish(inputs[0], output)
    if node.op_type == "Resize":
        return [helper.make_node("Resize", [*inputs, "", "scales"], [output], **attributes)]
    if attributes.pop("auto_pad", b"NOTSET") == b"SAME_UPPER":
        attributes["pads"] = _same_padding(attributes["kernel_shape"], attributes["strides"])
    return [helper.make_node(node.op_type, inputs, [output], **attributes)]


def _mish(x: str, y: str) -> list[onnx.NodeProto]:
    """Return y = x * (1 - 2 / (e^x * (e^x + 2) + 2)), which is x * tanh(softplus(x)).

    ONNX Runtime takes 1.7 times as long for a YOLOv4 with the latter. Where e^x overflows, y is still x.
    """
    a, b, c, d, e, f = (f"{y}{letter}" for letter in "abcdef")
    steps = (
        ("Exp", (x,), a),
        ("Add", (a, "two"), b),
        ("Mul", (a, b), c),
        ("Add", (c, "two"), d),
        ("Div", ("two", d), e),
        ("Sub", ("one", e), f),
        ("Mul", (x, f), y),
    )
    return [helper.make_node(kind, inputs, [output]) for kind, inputs, output in steps]


def _same_padding(kernel: list[int], strides: list[int]) -> list[int]:
    """Return ONNX pads of "same" for sides that are multiples of the stride: an odd pixel goes right and bottom."""
    total = [max(side - stride, 0) for side, stride in zip(kernel, strides, strict=True)]
    return [side // 2 for side in total] + [side - side // 2 for side in total]


def _open(size: int) -> int | str:
    return "channels" if size == ANCHORS * (5 + _CLASSES) else size


def _value(name: str, shape: Any) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def main() -> None:
    """Write every graph that geodetect ships."""
    for family, variants in VARIANTS.items():
        for path, variant in {graph_path(family, variant): variant for variant in reversed(variants)}.items():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(graph(family, variant).SerializeToString())


if __name__ == "__main__":
    main()
