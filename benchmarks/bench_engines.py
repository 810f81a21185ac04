"""What the engines take for a tile of 640 px, by family of network; each in a process of its own."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import numpy as np

from benchmarks.measure import MODEL, Cost, in_turn, median, own_process, report, show, timed
from geodetect import registry
from geodetect.engines import available, open_engine
from geodetect.networks import graphs
from geodetect.networks.parameters import write_safetensors
from geodetect.package import ModelPackage, write_package

SIDE = 640
FAMILIES = {"yolov3-tiny": MODEL, "yolov3": "yolov3-dota15", "yolov4": "yolov4-dota15"}  # family: whose card
KINDS = (("openvino", "bfloat16"), ("openvino", "float32"), ("onnxruntime", "float32"), ("mindspore", "float32"))
STREAMS = {  # how 2 cores may share 8 tiles: canvases a call, streams
    "one tile on both cores": (1, 1),
    "8 tiles on both cores": (8, 1),
    "a tile a core (geodetect)": (1, 2),
    "4 tiles a core": (4, 2),
}


def made_package(family: str, folder: Path) -> ModelPackage:
    """Return a package of a family with weights drawn at random: the time does not depend on them."""
    card = registry.built_in_card(FAMILIES[family])
    card = dataclasses.replace(card, source=None, input=dataclasses.replace(card.input, size=SIDE, tile=0))
    rng = np.random.default_rng(0)
    weights = folder / "weights.safetensors"
    shapes = graphs.expected_shapes(family, len(card.classes))
    write_safetensors(weights, {name: _parameter(name, shape, rng) for name, shape in shapes.items()})
    return write_package(folder / family, card, weights=weights)


def _parameter(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if len(shape) == 4:
        return rng.standard_normal(shape, np.float32) * np.float32((2 / np.prod(shape[1:])) ** 0.5)
    return np.full(shape, name.endswith(("gamma", "moving_variance")), np.float32)


def per_tile(package: ModelPackage, engine: str, precision: str, seconds: float) -> Cost:
    """Return what a tile takes: the median of calls made for about some seconds, at least two."""
    opened = open_engine(package, engine, precision=precision, canvas=SIDE)
    images = np.random.default_rng(0).random((opened.batch_size, 3, SIDE, SIDE), np.float32)
    opened.predict(images)
    costs = [timed(lambda: opened.predict(images))]
    while len(costs) < 2 or sum(cost.seconds for cost in costs) < seconds:
        costs.append(timed(lambda: opened.predict(images)))
    cost = median(costs)
    return Cost(cost.seconds / opened.batch_size, cost.cpu / opened.batch_size, answer={"batch": opened.batch_size})


def by_streams(precision: str, repeats: int) -> dict[str, Cost]:
    """Return what 8 tiles take in OpenVINO for each way to share the cores."""
    import openvino

    package = registry.resolve(MODEL)
    network, core = package.card.network, openvino.Core()
    images = np.random.default_rng(0).random((8, 3, SIDE, SIDE), np.float32)

    def prepared(canvases: int, streams: int) -> Callable[[], None]:
        shape = canvases, 3, SIDE, SIDE
        model = graphs.load_openvino(network.family, network.variant, package.parameters(), shape)
        hint = {"INFERENCE_PRECISION_HINT": {"bfloat16": "bf16", "float32": "f32"}[precision]}
        options = hint | {"NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": os.cpu_count() or 2}
        queue = openvino.AsyncInferQueue(core.compile_model(model, "CPU", options), streams)

        def run() -> None:
            for start in range(0, len(images), canvases):
                queue.start_async([images[start : start + canvases]], share_inputs=True)
            queue.wait_all()

        run()
        return run

    runs = {name: prepared(*sizes) for name, sizes in STREAMS.items()}
    return in_turn({name: partial(timed, run) for name, run in runs.items()}, repeats)


def measured(family: str, engine: str, precision: str, seconds: float) -> None:
    """Measure in this process and report."""
    with tempfile.TemporaryDirectory() as folder:
        cost = per_tile(made_package(family, Path(folder)), engine, precision, seconds)
    report(seconds=cost.seconds, cpu=cost.cpu, **cost.answer)


@click.command(help=__doc__)
@click.option("--seconds", default=10.0, show_default=True, help="How long to run each, more or less.")
@click.option("--quick", is_flag=True, help="YOLOv3-Tiny only, a second each.")
@click.option("--only", nargs=3, type=str, hidden=True)
def main(seconds: float, quick: bool, only: tuple[str, str, str] | None) -> None:
    if only:
        return measured(*only, seconds)
    seconds, families = (1.0, ["yolov3-tiny"]) if quick else (seconds, list(FAMILIES))
    rows = []
    for family in families:
        for engine, precision in KINDS:
            if engine not in available():
                click.echo(f"{engine} is left out: pip install geodetect[{engine}]", err=True)
                continue
            cost = own_process("bench_engines", "--seconds", str(seconds), "--only", family, engine, precision)
            rows.append(
                (f"{family}, {engine}, {precision}", str(cost.answer["batch"]), f"{1000 * cost.seconds:.0f}",
                 f"{1000 * cost.cpu:.0f}", f"{cost.peak:,.0f}")
            )  # fmt: skip
    show(f"A tile of {SIDE} px", ("", "batch", "ms", "CPU ms", "peak MB"), rows)
    rows = []
    for precision in ("bfloat16", "float32"):
        for name, cost in by_streams(precision, 3 if quick else 15).items():
            rows.append((f"{precision}, {name}", f"{cost.seconds * 125:.0f}", f"{cost.cpu * 125:.0f}"))
    show(f"OpenVINO, {MODEL}: how the cores share the tiles", ("", "ms a tile", "CPU ms a tile"), rows)


if __name__ == "__main__":
    main()
