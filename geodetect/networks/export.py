"""Networks to files: MindIR for Ascend, and the graphs that geodetect ships (`python -m geodetect.networks.export`)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from geodetect.card import FAMILIES
from geodetect.networks import build
from geodetect.networks.graphs import graph_path
from geodetect.networks.layers import ANCHORS, LeakyReLU
from geodetect.networks.runtime import mindspore, nn, ops

OPSET, IR_VERSION = 13, 8
STRIDES = (32, 16, 8)
_CLASSES = 7  # while exporting; the graphs leave the number of classes open
_SIZE = 64


class _CompositeMish(nn.Cell):
    """Mish of operators that MindSpore can export; its tanh is good to 1e-4 only, so this never runs."""

    def construct(self, x: Any) -> Any:
        return x * ops.Tanh()(ops.Softplus()(x))


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
    _use_exportable_activations(cell)
    with tempfile.TemporaryDirectory() as folder:
        exported = onnx.load(_export(cell, Path(folder), (1, 3, _SIZE, _SIZE), "ONNX")).graph
    heads = [f"head_{stride}" for stride in STRIDES[: len(exported.output)]]
    names = {exported.input[0].name: "images", **{name: name for name in shapes}}
    names.update({value.name: head for value, head in zip(exported.output, heads, strict=True)})
    nodes = [_portable(node, names) for node in exported.node if node.op_type != "Constant"]
    inputs = [_value("images", ("batch", 3, "height", "width"))]
    inputs += [_value(name, [_open(size) for size in shape]) for name, shape in shapes.items()]
    outputs = [_value(head, ("batch", "channels", f"{head}_rows", f"{head}_columns")) for head in heads]
    scales = helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, 2, 2])
    result = helper.make_model(
        helper.make_graph(nodes, f"{family}-{variant}", inputs, outputs, [scales]),
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


def _use_exportable_activations(cell: nn.Cell) -> None:
    """Put operators that MindSpore can export in the place of those that it cannot.

    The networks have no sigmoid of their own, so that each one in the export is a leaky ReLU to be renamed.
    """
    for _, block in list(cell.cells_and_names()):
        if isinstance(block, nn.SequentialCell) and isinstance(block[-1], nn.Mish):
            block[-1] = _CompositeMish()
        elif isinstance(block, nn.SequentialCell) and isinstance(block[-1], LeakyReLU):
            block[-1] = nn.Sigmoid()


def _portable(node: onnx.NodeProto, names: dict[str, str]) -> onnx.NodeProto:
    """Return the node with short names, explicit padding, resizing by 2 and LeakyRelu for Sigmoid; extends `names`."""
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    if attributes.get("auto_pad", b"NOTSET") == b"SAME_UPPER":
        attributes["pads"] = _same_padding(attributes["kernel_shape"], attributes["strides"])
    attributes.pop("auto_pad", None)
    kind, inputs = node.op_type, list(node.input)
    if kind == "Sigmoid":
        kind, attributes = "LeakyRelu", {"alpha": 0.1}
    inputs = [names[name] for name in (inputs[:1] if kind == "Resize" else inputs)]
    if kind == "Resize":
        inputs += ["", "scales"]
    for name in node.output:
        names.setdefault(name, f"t{len(names)}")
    return helper.make_node(kind, inputs, [names[name] for name in node.output], **attributes)


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
    for family in FAMILIES:
        for path, variant in {graph_path(family, variant): variant for variant in ("darknet", "mindspore")}.items():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(graph(family, variant).SerializeToString())


if __name__ == "__main__":
    main()
