"""geodetect, SAHI and GeoDeep with the same network on the same scene.

The peers live in an environment of their own, named with --peers-python:

\b
    python3 -m venv ~/peers
    ~/peers/bin/pip install --no-deps sahi geodeep
    ~/peers/bin/pip install onnxruntime openvino opencv-python-headless rasterio shapely scipy requests tqdm \\
        pyyaml click fire terminaltables pybboxes
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from benchmarks.measure import MODEL, Cost, in_turn, own_process, process, report, show, timed
from geodetect import registry
from geodetect.card import Heads
from geodetect.demo.scene import CLASSES, Truth, find_scene, make_scene
from geodetect.evaluation import compare
from geodetect.networks.graphs import to_onnx

if TYPE_CHECKING:
    import onnx

SCORE, OVERLAP, SIDE = 0.5, 0.25, 640
RUNS = (  # name, tool, engine, precision
    ("geodetect, bfloat16", "geodetect", "openvino", "bfloat16"),
    ("geodetect, OpenVINO", "geodetect", "openvino", "float32"),
    ("SAHI, OpenVINO", "sahi", "openvino", "float32"),
    ("geodetect, ONNX Runtime", "geodetect", "onnxruntime", "float32"),
    ("SAHI, ONNX Runtime", "sahi", "onnxruntime", "float32"),
    ("GeoDeep, ONNX Runtime", "geodeep", "onnxruntime", "float32"),
)


def decoding_onnx(path: Path) -> Path:
    """Write the network with its decoding, as GeoDeep reads it: one output (1, N, 5 + C)."""
    import onnx

    package = registry.resolve(MODEL)
    card = package.card
    metadata = {
        "model_type": '"Detector"', "det_type": '"YOLO_v5_or_v7_default"', "det_conf": SCORE, "det_iou_thresh": 0.45,
        "class_names": json.dumps(dict(enumerate(card.classes))), "resolution": 50, "tiles_overlap": 100 * OVERLAP,
    }  # fmt: skip
    shape = 1, 3, SIDE, SIDE
    model = to_onnx(card.network.family, card.network.variant, package.parameters(), shape=shape, metadata=metadata)
    heads = [head.name for head in model.graph.output]
    parts = [_tail(model.graph, name, card.heads, level, len(card.classes)) for level, name in enumerate(heads)]
    model.graph.node.append(onnx.helper.make_node("Concat", parts, ["predictions"], axis=1))
    del model.graph.output[:]
    output = onnx.helper.make_tensor_value_info("predictions", onnx.TensorProto.FLOAT, [1, None, 5 + len(card.classes)])
    model.graph.output.append(output)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def _tail(graph: onnx.GraphProto, head: str, spec: Heads, level: int, n_classes: int) -> str:
    """Append the decoding of one head, (1, A * (5 + C), H, W) to (1, A * H * W, 5 + C); return its output's name."""
    from onnx import helper, numpy_helper

    stride, scale, anchors = spec.strides[level], spec.scale_xy[level], np.asarray(spec.anchors[level], np.float32)
    cells = SIDE // stride
    rows, columns = np.meshgrid(np.arange(cells), np.arange(cells), indexing="ij")
    grid = np.stack([columns, rows], axis=-1).astype(np.float32)
    constants = {
        "split5": np.array([len(anchors), 5 + n_classes, cells, cells]),
        "flat": np.array([1, -1, 5 + n_classes]),
        "parts": np.array([2, 2, 1, n_classes]),
        "gain": np.float32(scale * stride),
        "offset": ((grid - (scale - 1) / 2) * stride)[None].astype(np.float32),
        "anchors": anchors[:, None, None],
    }
    for name, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), f"{head}/{name}"))

    def node(kind: str, inputs: list[str], outputs: str, **attributes: Any) -> None:
        known = [f"{head}/{name}" if name != head else name for name in inputs]
        graph.node.append(helper.make_node(kind, known, [f"{head}/{o}" for o in outputs.split()], **attributes))

    node("Reshape", [head, "split5"], "anchored")
    node("Transpose", ["anchored"], "rows", perm=[0, 2, 3, 1])
    node("Split", ["rows", "parts"], "xy wh obj class", axis=3)
    for name in ("xy", "obj", "class"):
        node("Sigmoid", [name], f"{name}1")
    node("Mul", ["xy1", "gain"], "xy2")
    node("Add", ["xy2", "offset"], "centre")
    node("Exp", ["wh"], "wh1")
    node("Mul", ["wh1", "anchors"], "size")
    node("ReduceMax", ["class1"], "most", axes=[3], keepdims=1)  # GeoDeep takes the fifth column as the score
    node("Mul", ["obj1", "most"], "score")
    node("Concat", ["centre", "size", "score", "class1"], "all", axis=3)
    node("Reshape", ["all", "flat"], "predictions")
    return f"{head}/predictions"


def ours(scene: Path, engine: str, precision: str) -> None:
    """Run geodetect in this process and report as peers.py does."""
    import geodetect

    results = []
    output = scene.with_name("found.gpkg")
    options = {"engine": engine, "precision": precision, "score": SCORE, "overlap": OVERLAP, "overwrite": True}
    cost = timed(lambda: results.append(geodetect.detect(scene, model=MODEL, output=output, **options)))
    found = results[0].detections
    report(seconds=cost.seconds, cpu=cost.cpu, boxes=found.boxes.tolist(), scores=found.scores.tolist(),
           labels=found.labels.tolist())  # fmt: skip


def installed(python: str, name: str, tool: str) -> bool:
    """Return whether a tool can be run; say so where it cannot."""
    done = subprocess.run([python, "-c", f"import {tool}"], capture_output=True, check=False)
    if done.returncode and tool != "geodetect":
        click.echo(f"{name} is left out: it is not installed in {python}; see --help", err=True)
    return tool == "geodetect" or not done.returncode


def run_of(tool: str, engine: str, precision: str, scene: Path, model: Path, python: str) -> Callable[[], Cost]:
    """Return a function that runs a tool in a process of its own."""
    if tool == "geodetect":
        return lambda: own_process("bench_peers", "--scene", scene, "--only", engine, precision)
    command = [python, Path(__file__).with_name("peers.py"), tool, engine, scene, model, str(SCORE), str(OVERLAP)]
    return lambda: process(command, OPENCV_LOG_LEVEL="ERROR")


def row(name: str, cost: Cost, fastest: Cost, truth: Truth) -> tuple[str, ...]:
    """Return a row of the table."""
    labels = [CLASSES[label] for label in cost.answer["labels"]]
    boxes = np.array(cost.answer["boxes"], float).reshape(-1, 4)
    total = compare(boxes, cost.answer["scores"], labels, truth.boxes, truth.classes).total
    return (
        name, f"{cost.seconds:.1f}", f"{cost.cpu:.1f}", f"{cost.cpu / fastest.cpu:.2f}", f"{cost.peak:,.0f}",
        *map(str, (total.hits, total.misses, total.false_alarms, total.duplicates)),
    )  # fmt: skip


@click.command(help=__doc__)
@click.option("--size", default=8192, show_default=True, help="Side of the demo scene, px.")
@click.option("--repeats", default=3, show_default=True)
@click.option("--quick", is_flag=True, help="A scene of 2 048 px, once.")
@click.option("--scene", type=click.Path(path_type=Path, exists=True), help="A demo scene drawn before.")
@click.option("--peers-python", default=sys.executable, help="Python of the peers' environment.  [default: this one]")
@click.option("--only", nargs=2, type=str, hidden=True)
def main(
    size: int, repeats: int, quick: bool, scene: Path | None, peers_python: str, only: tuple[str, str] | None
) -> None:
    if only and scene:
        return ours(scene, *only)
    size, repeats = (2048, 1) if quick else (size, repeats)
    with tempfile.TemporaryDirectory() as folder:
        truth = find_scene(scene, size, seed=0) if scene else None
        truth = truth or make_scene(Path(folder) / "scene.tif", size)
        model = decoding_onnx(Path(folder) / "model.onnx")
        runs = {
            name: run_of(tool, engine, precision, truth.scene, model, peers_python)
            for name, tool, engine, precision in RUNS
            if installed(peers_python, name, tool)
        }
        costs = in_turn(runs, repeats)
    fastest = min(costs.values(), key=lambda cost: cost.cpu)
    show(
        f"{truth.scene.name if scene else f'{size} x {size} px'}, tiles of {SIDE} px overlapping by {OVERLAP:.0%}",
        ("", "seconds", "CPU seconds", "of the least", "peak MB", "hits", "misses", "false", "double"),
        (row(name, cost, fastest, truth) for name, cost in costs.items()),
    )


if __name__ == "__main__":
    main()
