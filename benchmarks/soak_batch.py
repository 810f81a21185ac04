"""200 small scenes, with workers and whole runs killed at random: in the end all is as in an undisturbed run.

python -m benchmarks.soak_batch --scenes 200 --seed 1
"""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import click
import numpy as np
import psutil
import rasterio
from affine import Affine

from geodetect import geopackage
from geodetect.demo.scene import draw_scene
from geodetect.features import Features

DRAWN = 2048  # px: scenes are cut from one picture
SETTINGS = ("--engine", "openvino", "--precision", "float32", "--no-quicklooks", "--progress", "none")


def cut_scenes(folder: Path, count: int, chance: random.Random) -> None:
    """Write scenes of one to nine tiles."""
    pixels, _ = draw_scene(DRAWN, seed=5, gsd=0.5)
    pixels = np.asarray(pixels)
    pixels = pixels if pixels.shape[0] == 3 else np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
    for number in range(count):
        side = chance.choice((300, 640, 640, 800, 1400))
        row, col = chance.randrange(DRAWN - side), chance.randrange(DRAWN - side)
        transform = Affine(0.5, 0, 500_000 + 800 * number + col, 0, -0.5, 5_000_000 - row)
        profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "crs": "EPSG:32631", "photometric": "RGB"}
        shape = {"height": side, "width": side, "transform": transform}
        with rasterio.open(folder / f"scene{number:03}.tif", "w", **profile, **shape) as file:
            file.write(pixels[:, row : row + side, col : col + side])


def start(scenes: Path, out: Path, *words: str) -> subprocess.Popen:
    """Start a batch, or go on with it."""
    command = [sys.executable, "-m", "geodetect", "batch", str(scenes), "-o", str(out), "--continue", *SETTINGS]
    return subprocess.Popen([*command, *words], stderr=subprocess.DEVNULL)


def found(folder: Path) -> dict[str, list]:
    """Return all that was found, but for the runs' own numbers; raises InputError where a result is not whole."""
    results = {path.name: geopackage.read(path) for path in sorted(folder.glob("*_detections.gpkg"))}
    assert all(len(runs) == 1 for _, runs in results.values())
    return {name: table(features) for name, (features, _) in results.items()}


def table(features: Features) -> list:
    """Return features as rows, without the numbers of their runs."""
    return features.to_geodataframe().drop(columns="run_id").values.tolist()


def disturb(run: subprocess.Popen, chance: random.Random, blows: Counter) -> None:
    """Kill a worker, or the whole run, or ask it to stop."""
    with contextlib.suppress(psutil.Error):
        workers = [child for child in psutil.Process(run.pid).children() if "spawn_main" in " ".join(child.cmdline())]
        blow = chance.choice(("worker", "worker", "worker", "run", "term"))
        if blow == "worker" and workers:
            chance.choice(workers).kill()
        elif blow == "run":
            run.kill()
        elif blow == "term":
            run.send_signal(signal.SIGTERM)
        else:
            return
        blows[blow] += 1


@click.command(help=__doc__)
@click.option("--scenes", default=200, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--pause", default=6.0, show_default=True, help="Seconds between two blows, at most.")
def main(scenes: int, seed: int, pause: float) -> None:
    chance, blows, runs = random.Random(seed), Counter(), 0
    with tempfile.TemporaryDirectory() as temporary:
        source, calm, wild = (Path(temporary) / name for name in ("scenes", "calm", "wild"))
        source.mkdir()
        cut_scenes(source, scenes, chance)
        begun = time.monotonic()
        if start(source, calm, "--workers", "2").wait():
            raise click.ClickException("the undisturbed run failed")
        undisturbed, begun = time.monotonic() - begun, time.monotonic()
        while True:
            run, runs = start(source, wild, "--workers", "2", "--block", "1", "--retries", "50"), runs + 1
            while run.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    run.wait(chance.uniform(1, pause))
                if run.poll() is None:
                    disturb(run, chance, blows)
            found(wild)  # what is there is whole
            if run.returncode == 0:
                break
            if run.returncode not in (130, -signal.SIGKILL, -signal.SIGTERM):
                raise click.ClickException(f"a disturbed run ended with {run.returncode}")
        seconds, same = time.monotonic() - begun, found(wild) == found(calm)
        left = sorted(path.name for path in wild.glob(".*") if path.name != ".batch.lock")
        count = sum(map(len, found(calm).values()))
    click.echo(
        f"{scenes} scenes, {count:,} detections: {undisturbed:.0f} s undisturbed, {seconds:.0f} s in {runs} runs with "
        f"{blows['worker']} workers killed, {blows['run']} runs killed and {blows['term']} stopped; "
        f"{'equal' if same else 'NOT EQUAL'}; left behind: {', '.join(left) or 'nothing'}"
    )
    if not same or left:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
