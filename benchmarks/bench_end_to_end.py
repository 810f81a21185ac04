"""The whole way, from the file to the GeoPackage, against the bare engine on the same tiles in memory."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click
import numpy as np

import geodetect
from benchmarks.measure import MODEL, Cost, in_turn, show, timed
from geodetect import registry
from geodetect.batching import batches
from geodetect.config import DetectConfig
from geodetect.demo.scene import make_scene
from geodetect.engines import Engine, open_engine
from geodetect.plan import make_plan
from geodetect.scene import open_scene


def loaded(scene: Path, engine: str, precision: str) -> tuple[Engine, list[np.ndarray]]:
    """Return an open engine and all of the scene's batches, normalised."""
    package = registry.resolve(MODEL)
    with open_scene(scene, threads=os.cpu_count() or 2) as opened:
        plan = make_plan(opened, package.card, DetectConfig())
        network = open_engine(package, engine, precision=precision, canvas=plan.canvas)
        images = [batch.images.copy() for batch in batches(opened, plan, network.batch_size) if batch.tiles]
    return network, images


def compare(scene: Path, output: Path, engine: str, precision: str, repeats: int) -> dict[str, Cost]:
    """Return the medians of the bare engine and of the whole way, run in turn."""
    network, images = loaded(scene, engine, precision)
    network.predict(images[0])

    def bare() -> Cost:
        return timed(lambda: [network.predict(batch) for batch in images])

    def whole() -> Cost:
        options = {"engine": engine, "precision": precision, "overwrite": True}
        return timed(lambda: geodetect.detect(scene, model=MODEL, output=output, **options))

    try:
        return in_turn({"bare": bare, "whole": whole}, repeats)
    finally:
        network.close()


@click.command(help=__doc__)
@click.option("--size", default=8192, show_default=True, help="Side of the demo scene, px.")
@click.option("--engine", default="openvino", show_default=True)
@click.option("--precision", multiple=True, default=("float32", "bfloat16"), show_default=True)
@click.option("--repeats", default=5, show_default=True)
@click.option("--quick", is_flag=True, help="A scene of 3 072 px, once.")
@click.option("--scene", type=click.Path(path_type=Path, exists=True), help="Use this scene instead of a drawn one.")
def main(size: int, engine: str, precision: tuple[str, ...], repeats: int, quick: bool, scene: Path | None) -> None:
    size, repeats = (3072, 1) if quick else (size, repeats)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = scene or make_scene(Path(folder) / "scene.tif", size).scene
        for kind in precision:
            costs = compare(path, Path(folder) / "found.gpkg", engine, kind, repeats)
            bare, whole = costs["bare"], costs["whole"]
            rows.append(
                (f"{engine}, {kind}", f"{bare.seconds:.2f}", f"{whole.seconds:.2f}",
                 f"{whole.seconds / bare.seconds:.3f}", f"{bare.cpu:.2f}", f"{whole.cpu:.2f}",
                 f"{whole.cpu / bare.cpu:.3f}")
            )  # fmt: skip
    show(
        f"geodetect.detect against the bare engine, {path.name if scene else f'{size} x {size} px'}",
        ("", "bare s", "whole s", "ratio", "bare CPU s", "whole CPU s", "ratio"),
        rows,
    )


if __name__ == "__main__":
    main()
