"""INT8 in several ways: average precision and time in the two engines, on tiles of planes-ships, see --data."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path

import click
import numpy as np
import onnx

from benchmarks.measure import MODEL, ROOT, Cost, in_turn, show, timed
from geodetect import engines, registry
from geodetect.networks.graphs import IMAGES
from training.data.canvas import read_canvas
from training.data.index import Index, read_index
from training.packaging.agreement import as_package
from training.packaging.int8 import Int8Settings, float_graph, write_int8
from training.prepare import PrepareSettings, prepare
from training.scoring import score

WAYS = {
    "ONNX Runtime, convolutions but the heads'": Int8Settings(),
    "... with eight-bit weights": Int8Settings(reduce_range=False),
    "... and the heads": Int8Settings(heads=True),
    "ONNX Runtime, all but the heads": Int8Settings(operators=()),
    "NNCF, symmetric, all but the heads": "performance",
    "NNCF, mixed, all but the heads": "mixed",
}
ENGINES = ("openvino", "onnxruntime")
CANVASES = 8  # a timed round


def write_nncf(model: onnx.ModelProto, images: Iterable[np.ndarray], path: Path, preset: str) -> bool:
    """Write what NNCF makes of the network; False where it is not installed."""
    try:
        import nncf
    except ImportError:
        return False
    nncf.set_log_level(logging.ERROR)
    heads = {output.name for output in model.graph.output}
    kept = nncf.IgnoredScope(names=[node.name for node in model.graph.node if node.output[0] in heads])
    given = [{IMAGES: image[None]} for image in images]
    quantised = nncf.quantize(
        model, nncf.Dataset(given), preset=nncf.QuantizationPreset(preset), subset_size=len(given), ignored_scope=kept
    )
    onnx.save(quantised, path)
    return True


def tiles(data: Path, folder: Path, every: int) -> tuple[Index, Index]:
    """Return train and val tiles of planes-ships, 640 px."""
    prepare(PrepareSettings(data=(str(data / "planes-ships"),), out=str(folder), tile=640, overlap=0.0))
    train, val = (read_index(folder, split) for split in ("train", "val"))
    return train, val.select(np.arange(len(val)) % every == 0)


@click.command(help=__doc__)
@click.option(
    "--data", type=click.Path(path_type=Path), envvar="GEODETECT_DATA", default=ROOT.parent / "shared" / "data",
    show_default="../shared/data", help="Folder that holds planes-ships; GEODETECT_DATA names it too.",
)  # fmt: skip
@click.option("--images", default=100, show_default=True, help="Tiles to calibrate on.")
@click.option("--threads", default=1, show_default=True, help="Of each engine.")
@click.option("--every", default=1, show_default=True, help="Score every nth validation tile only.")
@click.option("--quick", is_flag=True, help="The first way alone, every eighth tile, 16 tiles to calibrate on.")
def main(data: Path, images: int, threads: int, every: int, quick: bool) -> None:
    if not (data / "planes-ships").is_dir():
        return click.echo(f"left out: there is no planes-ships in {data}; give --data", err=True)
    package = registry.resolve(MODEL)
    card, network = package.card, package.card.network
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        train, val = tiles(data, folder / "tiles", 8 if quick else every)
        places = np.linspace(0, len(train) - 1, 16 if quick else images).round().astype(int)
        canvases = [read_canvas(train.path(place), card.input)[0] for place in places]
        files = {"float32": folder / "float.onnx"}
        onnx.save(float_graph(network.family, network.variant, package.parameters()), files["float32"])
        for number, (way, settings) in enumerate(list(WAYS.items())[: 1 if quick else None]):
            model, path = onnx.load(files["float32"]), folder / f"{number}.onnx"
            if isinstance(settings, str):
                if not write_nncf(model, canvases, path, settings):
                    click.echo(f"left out: {way}: NNCF is not installed", err=True)
                    continue
            else:
                write_int8(model, canvases, path, settings)
            files[way] = path
        rows = [row(way, as_package(card, path), val, canvases[:CANVASES], threads) for way, path in files.items()]
    headings = ("", *(f"{what} {name}" for name in ("OpenVINO", "ONNX R.") for what in ("AP50", "AP", "ms")), "apart")
    show(f"{MODEL}, {len(val)} tiles, {threads} thread(s), CPU ms a tile", headings, rows)


def row(way: str, package, val: Index, canvases: list[np.ndarray], threads: int) -> tuple[str, ...]:
    """Return a line of the table: figures of both engines, and how far their heads are apart."""
    opened = [engines.open_engine(package, name, "cpu", "float32", threads=threads) for name in ENGINES]
    scores = [score(engine, package.card, val) for engine in opened]
    costs = in_turn({engine.name: lambda engine=engine: run(engine, canvases) for engine in opened}, repeats=5)
    heads = [engine.predict(canvases[0][None]) for engine in opened]
    apart = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(*heads, strict=True))
    cells = []
    for engine, found in zip(opened, scores, strict=True):
        cells += [f"{found.ap50:.4f}", f"{found.ap:.4f}", f"{costs[engine.name].cpu / len(canvases) * 1e3:.0f}"]
        engine.close()
    return way, *cells, f"{apart:.3f}"


def run(engine: engines.Engine, canvases: list[np.ndarray]) -> Cost:
    """Return what an engine takes for all canvases."""
    return timed(lambda: [engine.predict(canvas[None]) for canvas in canvases])


if __name__ == "__main__":
    main()
