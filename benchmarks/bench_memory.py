"""Peak memory of `geodetect detect` by the size of the scene."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from benchmarks import made
from benchmarks.measure import MODEL, process, show


@click.command(help=__doc__)
@click.option("--sizes", default="10000,20000", show_default=True, help="Sides of full scenes, px.")
@click.option("--sparse-size", default=60_000, show_default=True, help="Side of a scene that stores 16 blocks, px.")
@click.option("--quick", is_flag=True, help="Full scenes of 2 048 and 4 096 px.")
def main(sizes: str, sparse_size: int, quick: bool) -> None:
    sides = [int(size) for size in ("2048,4096" if quick else sizes).split(",")]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        scene, output = Path(folder) / "scene.tif", Path(folder) / "found.gpkg"
        for make, side, kind in (*((made.full, side, "full") for side in sides), (made.sparse, sparse_size, "sparse")):
            make(scene, side)
            stored = scene.stat().st_size / 2**20
            command = [sys.executable, "-m", "geodetect", "detect", scene, "--model", MODEL, "-o", output]
            cost = process([*command, "--overwrite"])
            raw = 3 * side**2 / 2**20
            rows.append(
                (f"{side} x {side} x 3, {kind}", f"{stored:,.0f}", f"{raw:,.0f}", f"{cost.seconds:.1f}",
                 f"{cost.peak:,.0f}")
            )  # fmt: skip
            scene.unlink()
    show("geodetect detect", ("scene", "file MB", "pixels MB", "seconds", "peak MB"), rows)


if __name__ == "__main__":
    main()
