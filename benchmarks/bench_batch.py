"""Many scenes: by processes and on a Dask cluster, beside the bare engine; and how the cost grows.

python -m benchmarks.bench_batch workers    scenes/h and tiles/s of 1 and 2 processes and of a cluster of 2
python -m benchmarks.bench_batch scenes     the cost of a scene, however small
python -m benchmarks.bench_batch tiles      the cost of a tile, however large the scene
python -m benchmarks.bench_batch detections merging, writing and merging of results, 10^3 to 10^6 detections
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
import numpy as np
import rasterio
from affine import Affine

import geodetect
from benchmarks import bench_end_to_end
from benchmarks.measure import MODEL, Cost, in_turn, process, show, timed
from geodetect import exports
from geodetect.batch.run import BatchOptions, run_batch
from geodetect.demo.scene import make_scene
from geodetect.detections import Detections
from geodetect.features import from_detections
from geodetect.grid import GeoGrid
from geodetect.mosaic import merge_results

SETTINGS = ("--engine", "openvino", "--precision", "float32", "--progress", "none")


def batch(scenes: Path, folder: Path, *words: str) -> Cost:
    """Return what `geodetect batch` takes, from its start to its end."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "geodetect", "batch", scenes, "-o", folder, "--no-quicklooks", *SETTINGS]
    return process([*command, *words])


def draw(folder: Path, count: int, size: int) -> Path:
    """Write scenes of a kind, the same picture in each, beside one another on the map."""
    folder.mkdir()
    with tempfile.TemporaryDirectory() as temporary:
        drawn = make_scene(Path(temporary) / "scene.tif", size=max(size, 256)).scene
        with rasterio.open(drawn) as file:
            pixels, profile = file.read()[:, :size, :size], file.profile | {"width": size, "height": size}
    for number in range(count):
        moved = profile["transform"] @ Affine.translation(number * size, 0)
        with rasterio.open(folder / f"scene{number:04}.tif", "w", **(profile | {"transform": moved})) as file:
            file.write(pixels)
    return folder


def by_workers(count: int, size: int, repeats: int) -> None:
    """The same scenes by processes and by a cluster, beside the engine on their tiles in memory."""
    from distributed import LocalCluster

    with (
        tempfile.TemporaryDirectory() as temporary,
        LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
    ):
        scenes, out = draw(Path(temporary) / "scenes", count, size), Path(temporary) / "out"
        network, images = bench_end_to_end.loaded(scenes / "scene0000.tif", "openvino", "float32")
        network.predict(images[0])
        tiles = count * sum(map(len, images))
        runs = {
            "the engine alone, 2 threads": lambda: timed(lambda: [network.predict(x) for x in images * count]),
            "1 process": partial(batch, scenes, out, "--workers", "1"),
            "2 processes": partial(batch, scenes, out, "--workers", "2"),
            "Dask, 2 workers": partial(batch, scenes, out, "--scheduler", cluster.scheduler_address),
        }
        costs = in_turn(runs, repeats)
        network.close()
    bare = costs["the engine alone, 2 threads"]
    rows = [
        (
            name,
            f"{cost.seconds:.1f}",
            f"{cost.seconds / bare.seconds:.2f}",
            f"{3600 * count / cost.seconds:,.0f}",
            f"{tiles / cost.seconds:.1f}",
        )
        for name, cost in costs.items()
    ]
    show(f"{count} scenes of {size} px, {tiles} tiles", ("", "seconds", "of the engine", "scenes/h", "tiles/s"), rows)


def by_scenes(counts: Sequence[int]) -> None:
    """Scenes of one small tile, which cost little but being scenes; one process."""
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        scenes = [str(path) for path in sorted(draw(Path(temporary) / "s", max(counts), 64).iterdir())]
        for count in counts:
            folder = Path(temporary) / f"out{count}"
            options = BatchOptions(workers=1, quicklooks=False)
            cost = timed(lambda: run_batch(scenes[:count], folder, options=options, tile=64, model=MODEL))  # noqa: B023
            state = (folder / "batch.sqlite").stat().st_size
            report = (folder / "report.html").stat().st_size
            each = f"{1000 * cost.seconds / count:.0f}"
            rows.append((f"{count:,}", f"{cost.seconds:.1f}", each, f"{state / 1e6:.2f}", f"{report / 1e6:.2f}"))
    show("scenes of one tile of 64 px", ("scenes", "seconds", "ms each", "state, MB", "report, MB"), rows)


def by_tiles(sizes: Sequence[int]) -> None:
    """One scene by two processes, in blocks, beside one that looks at it whole."""
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for size in sizes:
            scenes, out = draw(Path(temporary) / f"s{size}", 1, size), Path(temporary) / "out"
            runs = {
                "whole": partial(batch, scenes, out, "--workers", "1", "--block", "0"),
                "blocks": partial(batch, scenes, out, "--workers", "2"),
            }
            costs = in_turn(runs, 1)
            result = geodetect.run_batch([], out, go_on=True)
            tiles = result.records[0].tiles
            seconds = [costs[name].seconds for name in runs]
            rows.append((f"{size:,}", f"{tiles:,}", *(f"{s:.1f}" for s in seconds), f"{tiles / seconds[1]:.1f}"))
    show("one scene", ("px", "tiles", "1 process, s", "2 in blocks, s", "tiles/s"), rows)


def by_detections(numbers: Sequence[int]) -> None:
    """What follows the network: features, a GeoPackage, and two results merged that overlap by half."""
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        written(Path(temporary) / "first.gpkg", 10, 0)  # loads what is needed
        for count in numbers:
            parts = [written(Path(temporary) / f"{side}{count}.gpkg", count, side) for side in (0, 1)]
            merged = Path(temporary) / f"merged{count}.gpkg"
            cost = timed(lambda: merge_results([path for path, _ in parts], merged))  # noqa: B023
            size = merged.stat().st_size / 1e6
            rows.append((f"{count:,}", f"{parts[0][1].seconds:.2f}", f"{cost.seconds:.2f}", f"{size:.1f}"))
    show("after the network", ("detections", "written, s", "two merged, s", "merged, MB"), rows)


def written(path: Path, count: int, side: int) -> tuple[Path, Cost]:
    """Write a result of objects on a lattice; that of the other side overlaps by half of them."""
    columns = int(np.ceil(np.sqrt(count)))
    place = np.arange(count)
    corner = np.stack([place % columns, place // columns], 1) * 64.0 + 10
    jitter = np.random.default_rng(1).uniform(10, 40, (columns * 2, columns, 2))
    size = jitter[(place % columns) + side * (columns // 2), place // columns]
    found = Detections.of(np.hstack([corner, corner + size]), 0.3 + 0.6 * size[:, 0] / 40, place % 2)
    transform = Affine(0.5, 0, 500_000 + side * (columns // 2) * 32, 0, -0.5, 5_000_000)
    grid = GeoGrid(columns * 64, columns * 64, transform, rasterio.CRS.from_epsg(32631))
    run = {"run_id": f"run{side}", "scene": path.name, "model": MODEL, "footprint": grid.footprint.wkt, "licence": ""}

    def write() -> None:
        features = from_detections(found, grid, ("plane", "ship"), path.name, MODEL, run["run_id"])
        exports.write(path, features, run, ("plane", "ship"), ("#ff0000", "#0000ff"), grid)

    return path, timed(write)


@click.command(help=__doc__)
@click.argument("parts", nargs=-1, type=click.Choice(["workers", "scenes", "tiles", "detections"]))
@click.option("--quick", is_flag=True, help="Few and small ones, once.")
def main(parts: Sequence[str], quick: bool) -> None:
    todo = {
        "workers": partial(by_workers, *((4, 1024, 1) if quick else (24, 2048, 2))),
        "scenes": partial(by_scenes, (10,) if quick else (10, 100, 1000)),
        "tiles": partial(by_tiles, (1024,) if quick else (2048, 4096, 8192)),
        "detections": partial(by_detections, (1000,) if quick else (1000, 10_000, 100_000, 1_000_000)),
    }
    for part in parts or todo:
        todo[part]()


if __name__ == "__main__":
    main()
