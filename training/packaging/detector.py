"""A network with its detection layer: boxes instead of raw heads, for programs that decode nothing themselves.

It takes RGB / 255, (B, 3, S, S) float32, normalises it as the card says, and gives what
`geodetect.decode.predictions` gives: (B, A, 5 + C), cx, cy, w, h in canvas px, objectness, class probabilities. QGIS
Deepness and GeoDeep read such files (as their "YOLO_v5_or_v7_default"); geodetect's own engines want raw heads.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geodetect.card import Heads, ModelCard
from geodetect.decode import LARGEST_EXPONENT
from geodetect.files import replacing
from geodetect.networks.graphs import IMAGES, to_onnx

if TYPE_CHECKING:
    import onnx

PREDICTIONS = "predictions"  # the output's name


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """What turns one head into predictions; a row a prediction, ordered by anchor, row and column of the grid."""

    side: int  # cells
    gain: float  # cx, cy = gain * sigmoid(tx, ty) + offset
    offset: np.ndarray  # (1, A * side * side, 2) float32, canvas px
    anchor: np.ndarray  # (1, A * side * side, 2) float32, width and height, canvas px


def levels(heads: Heads, size: int) -> tuple[Level, ...]:
    """Return one level a head for a canvas of size x size px."""
    found = []
    for anchors, stride, scale in zip(heads.anchors, heads.strides, heads.scale_xy, strict=True):
        side = size // stride
        anchor, row, column = (index.ravel() for index in np.indices((len(anchors), side, side)))
        offset = (np.stack([column, row], axis=1) - (scale - 1) / 2) * stride
        sizes = np.asarray(anchors, np.float32)[anchor]
        found.append(Level(side, scale * stride, offset[None].astype(np.float32), sizes[None]))
    return tuple(found)


def metadata(card: ModelCard) -> dict[str, str]:
    """Return the keys that QGIS Deepness and GeoDeep read from an ONNX file; every value is JSON, as they want it.

    Source: Deepness's documentation, "Adding metadata to ONNX model".
    """
    least = {kind: _least(getattr(card.thresholds, kind)) for kind in ("score", "iou")}
    values = {
        "model_type": "Detector",
        "det_type": "YOLO_v5_or_v7_default",
        "class_names": {str(index): name for index, name in enumerate(card.classes)},
        "tile_size": card.input.size,
        "tiles_size": card.input.size,  # the documentation's spelling; the program reads the other
        "tiles_overlap": round(100 * card.thresholds.overlap),  # per cent
        "det_conf": least["score"],
        "det_iou_thresh": least["iou"],
        "det_remove_overlap": True,
        "name": card.name,
        "version": card.version,
        "licence": card.licence,
        "attribution": card.attribution,
    }
    if card.input.gsd is not None:
        values["resolution"] = round(100 * math.sqrt(math.prod(card.input.gsd)), 1)  # cm/px, the middle of the range
    return {key: json.dumps(value, ensure_ascii=False) for key, value in values.items() if value != ""}


def detector_onnx(card: ModelCard, parameters: Mapping[str, np.ndarray], path: str | Path) -> None:
    """Write the network with its detection layer as ONNX, for one canvas of the card's size.

    Both programs that read it take the tile's size from the input's shape and one image at a time.

    Raises:
        ModelError: the parameters do not fit the network.
        EngineError: the package onnx is not installed.
    """
    size, network = card.input.size, card.network
    model = to_onnx(network.family, network.variant, parameters, shape=(1, 3, size, size), metadata=metadata(card))
    import onnx

    graph = _Graph(model.graph)
    _normalise(graph, card)
    parts = [
        _decode(graph, head.name, level, 5 + len(card.classes))
        for head, level in zip(model.graph.output, levels(card.heads, size), strict=True)
    ]
    graph.add("Concat", parts, PREDICTIONS, axis=1)
    del model.graph.output[:]
    shape = (1, sum(level.offset.shape[1] for level in levels(card.heads, size)), 5 + len(card.classes))
    model.graph.output.append(onnx.helper.make_tensor_value_info(PREDICTIONS, onnx.TensorProto.FLOAT, shape))
    onnx.checker.check_model(model)
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(model.SerializeToString())


class _Graph:
    """Appends nodes and constants to an ONNX graph."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph

    def constant(self, name: str, value: np.ndarray) -> str:
        """Add a constant and return its name."""
        import onnx

        self.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
        return name

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node of one output and return that output's name."""
        import onnx

        self.graph.node.append(onnx.helper.make_node(kind, inputs, [output], **attributes))
        return output


def _normalise(graph: _Graph, card: ModelCard) -> None:
    """Put (x - mean) / std before the network, where it is not x."""
    if not any(card.input.mean) and set(card.input.std) == {1.0}:
        return
    mean, std = (np.array(values, np.float32)[None, :, None, None] for values in (card.input.mean, card.input.std))
    for node in graph.graph.node:
        node.input[:] = ["normalised" if name == IMAGES else name for name in node.input]
    graph.add("Sub", [IMAGES, graph.constant("mean", mean)], "centred")
    graph.add("Div", ["centred", graph.constant("std", std)], "normalised")
    nodes = list(graph.graph.node)
    del graph.graph.node[:]
    graph.graph.node.extend([*nodes[-2:], *nodes[:-2]])  # a graph's nodes stand in the order of their use


def _decode(graph: _Graph, head: str, level: Level, values: int) -> str:
    """Add what turns a raw head (1, A * values, G, G) into predictions (1, A * G * G, values); return their name."""
    rows = level.offset.shape[1]
    split = graph.constant(f"{head}_by_anchor", np.array([1, -1, values, level.side, level.side], np.int64))
    flat = graph.constant(f"{head}_flat", np.array([1, rows, values], np.int64))
    sizes = graph.constant(f"{head}_parts", np.array([2, 2, values - 4], np.int64))
    gain = graph.constant(f"{head}_gain", np.array(level.gain, np.float32))
    most = graph.constant(f"{head}_most", np.array(LARGEST_EXPONENT, np.float32))
    x = graph.add("Reshape", [head, split], f"{head}_a")
    x = graph.add("Transpose", [x], f"{head}_b", perm=(0, 1, 3, 4, 2))
    x = graph.add("Reshape", [x, flat], f"{head}_c")
    xy, wh, rest = (f"{head}_{part}" for part in ("xy", "wh", "rest"))
    graph.graph.node.append(_split(x, sizes, [xy, wh, rest]))
    xy = graph.add("Mul", [graph.add("Sigmoid", [xy], f"{xy}_a"), gain], f"{xy}_b")
    xy = graph.add("Add", [xy, graph.constant(f"{head}_offset", level.offset)], f"{xy}_c")
    wh = graph.add("Exp", [graph.add("Min", [wh, most], f"{wh}_a")], f"{wh}_b")
    wh = graph.add("Mul", [wh, graph.constant(f"{head}_anchor", level.anchor)], f"{wh}_c")
    rest = graph.add("Sigmoid", [rest], f"{rest}_a")
    return graph.add("Concat", [xy, wh, rest], f"{head}_predictions", axis=2)


def _split(x: str, sizes: str, outputs: list[str]) -> onnx.NodeProto:
    import onnx

    return onnx.helper.make_node("Split", [x, sizes], outputs, axis=2)


def _least(value: float | Mapping[str, float]) -> float:
    return min(value.values()) if isinstance(value, Mapping) else value
