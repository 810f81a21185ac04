"""Reading a whole scene tile by tile, against bare rasterio windows in the same order."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import rasterio
from rasterio.windows import Window

from benchmarks import made
from benchmarks.measure import MODEL, Cost, in_turn, own_process, report, show, timed
from geodetect import registry
from geodetect.batching import batches
from geodetect.config import DetectConfig
from geodetect.gdal import gdal_settings
from geodetect.plan import Plan, make_plan
from geodetect.scene import Scene, open_scene

WAYS = {
    "each block once (the floor)": "floor",
    "rasterio windows, default cache": "default",
    "rasterio windows, cache of 64 MB": "small",
    "geodetect, as it reads": "tiles",
    "geodetect, and normalised": "batches",
}


def read(way: str, scene: Scene, plan: Plan) -> None:
    """Read the whole scene in one of the ways."""
    if way == "batches":
        for _ in batches(scene, plan, 8):
            pass
    elif way == "tiles":
        with gdal_settings(scene.path, plan.cache_bytes):
            for window in plan.windows:
                scene.read(window)
    else:
        with (
            rasterio.Env(**({} if way == "default" else {"GDAL_CACHEMAX": 64 << 20})),
            rasterio.open(scene.path) as file,
        ):
            if way == "floor":
                windows = [window for _, window in file.block_windows(1)]
            else:
                windows = [Window(w.col, w.row, w.width, w.height) for w in plan.windows]
            for window in windows:
                file.read(window=window)


def measured(way: str, path: Path, tile: int) -> Cost:
    """Return what one way takes in this process."""
    card = registry.resolve(MODEL).card
    with open_scene(path, threads=2) as scene:
        plan = make_plan(scene, card, DetectConfig(tile=tile, overlap=0.2))
        return timed(lambda: read(way, scene, plan))


@click.command(help=__doc__)
@click.option("--size", default=20_000, show_default=True, help="Side of the scene, px.")
@click.option("--tile", default=1024, show_default=True, help="Side of a tile, px; tiles overlap by 20 %.")
@click.option("--repeats", default=3, show_default=True)
@click.option("--quick", is_flag=True, help="A scene of 6 000 px, once.")
@click.option("--scene", type=click.Path(path_type=Path), help="Read this scene instead of a made one.")
@click.option("--only", type=click.Choice(list(WAYS.values())), hidden=True)
def main(size: int, tile: int, repeats: int, quick: bool, scene: Path | None, only: str | None) -> None:
    if only and scene:
        cost = measured(only, scene, tile)
        return report(seconds=cost.seconds, cpu=cost.cpu)
    size, repeats = (6000, 1) if quick else (size, repeats)
    with tempfile.TemporaryDirectory() as folder:
        path = scene or made.full(Path(folder) / "scene.tif", size)

        def run(way: str):
            return lambda: own_process("bench_reading", "--only", way, "--scene", path, "--tile", str(tile))

        costs = in_turn({name: run(way) for name, way in WAYS.items()}, repeats)
    floor = next(iter(costs.values()))
    show(
        f"Reading {path.name if scene else f'{size} x {size} x 3'} in tiles of {tile} px",
        ("", "seconds", "of the floor", "CPU seconds", "of the floor", "peak MB"),
        (
            (name, f"{c.seconds:.2f}", f"{c.seconds / floor.seconds:.2f}", f"{c.cpu:.2f}", f"{c.cpu / floor.cpu:.2f}",
             f"{c.peak:.0f}")
            for name, c in costs.items()
        ),
    )  # fmt: skip


if __name__ == "__main__":
    main()
