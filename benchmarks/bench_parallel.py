"""Training steps on one process and on several: images a second, and what the averaging of gradients takes."""

from __future__ import annotations

import contextlib
import io
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import click
import numpy as np

from benchmarks.measure import Cost, in_turn, report, show
from geodetect import registry

CARD = "yolov3-tiny"
OBJECTS = 20  # an image


def made_batch(targets, batch: int, size: int, seed: int) -> list[np.ndarray]:
    """Return noise and random boxes as a loader would give them."""
    rng = np.random.default_rng(seed)
    columns = []
    for _ in range(batch):
        corners = rng.uniform(0, size - 64, (OBJECTS, 2))
        boxes = np.hstack([corners, corners + rng.uniform(8, 64, (OBJECTS, 2))]).astype(np.float32)
        labels = rng.integers(0, targets.n_classes, OBJECTS).astype(np.int32)
        columns.append(targets(boxes, labels, np.zeros(OBJECTS, bool), size))
    images = rng.random((batch, 3, size, size), np.float32)
    return [images, *map(np.stack, zip(*columns, strict=True))]


def steps(batch: int, size: int, count: int, ways: str) -> None:
    """Time steps in this process, one of several or alone, and report (its first one)."""
    if ways == "core":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from training.devices import parallel

    devices = parallel.start(parallel.is_worker(), "cpu")
    from geodetect.networks import build
    from geodetect.networks.runtime import mindspore
    from training.losses import make_loss
    from training.losses.targets import RULES, Targets
    from training.run.optimiser import make_optimiser
    from training.run.step import TrainStep

    card = registry.built_in_card("planes-ships-yolov3-tiny")
    network = build(CARD, len(card.classes))
    parallel.broadcast(network, devices)
    if ways == "sync":
        from training.devices.sync_norm import use_sync_norm

        use_sync_norm(network)
    targets = Targets(card.heads, len(card.classes), RULES[CARD], max_boxes=90)
    loss = make_loss(CARD, card.heads, len(card.classes), 0.7)
    optimiser = make_optimiser(network.get_parameters(), np.full(count + 2, 1e-5), 0.9, 0.0)
    reducer = parallel.make_reducer(optimiser.parameters, devices)
    step = TrainStep(network, loss, optimiser, reducer)
    tensors = [mindspore.Tensor(column) for column in made_batch(targets, batch, size, devices.rank)]
    float(step(*tensors)[0])
    seconds, cpu = [], []
    for _ in range(count):
        parallel.barrier(devices)
        clock, used = time.perf_counter(), time.process_time()
        float(step(*tensors)[0])
        seconds.append(time.perf_counter() - clock)
        cpu.append(time.process_time() - used)
    if devices.is_master:
        report(seconds=statistics.median(seconds), cpu=statistics.median(cpu))


def run(devices: int, words: list[str]) -> Cost:
    """Return what a step takes in so many processes, the first one's median."""
    if devices == 1:
        from benchmarks.measure import own_process

        return own_process("bench_parallel", "--only", *words)
    from training.devices.launch import Job
    from training.devices.launch import run as run_job

    with tempfile.TemporaryDirectory() as folder:
        job = Job(devices, ("-m", "benchmarks.bench_parallel", "--only", *words), Path(folder), bind_cpu=True)
        with contextlib.redirect_stdout(io.StringIO()):
            run_job(job)
        log = Path(folder, "logs", "worker_0.log").read_text()
    answer = next(json.loads(line) for line in log.splitlines() if line.startswith("{"))
    return Cost(answer["seconds"], answer["cpu"])


@click.command(help=__doc__)
@click.option("--batch", default=8, show_default=True, help="Images a step on each device.")
@click.option("--size", default=416, show_default=True, help="Side of the canvas, px.")
@click.option("--steps", "count", default=8, show_default=True, help="Steps to take the median of.")
@click.option("--turns", default=3, show_default=True, help="How often to measure each.")
@click.option("--quick", is_flag=True, help="Batches of 2, one turn.")
@click.option("--only", nargs=4, type=str, hidden=True)
def main(batch: int, size: int, count: int, turns: int, quick: bool, only: tuple[str, str, str, str] | None) -> None:
    if only:
        return steps(int(only[0]), int(only[1]), int(only[2]), only[3])
    if quick:
        batch, count, turns = 2, 3, 1
    words = [str(batch), str(size), str(count)]
    ways = {
        "1 process": (1, "plain"),
        "1 process on one core": (1, "core"),
        "2 processes, a core each": (2, "plain"),
        "2 processes, a core each, common statistics": (2, "sync"),
    }
    costs = in_turn({name: lambda way=way: run(way[0], [*words, way[1]]) for name, way in ways.items()}, turns)
    alone = batch / costs["1 process on one core"].seconds
    rows = []
    for name, cost in costs.items():
        speed = ways[name][0] * batch / cost.seconds
        rows.append((name, f"{cost.seconds:.2f}", f"{cost.cpu:.2f}", f"{speed:.1f}", f"{speed / alone:.2f}"))
    show(f"{CARD}, {batch} images of {size} px a step on each", ("", "s", "CPU s", "images/s", "of one core"), rows)


if __name__ == "__main__":
    main()
