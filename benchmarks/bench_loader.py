"""Training images a second from the loader, beside what a training step takes."""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from PIL import Image

from benchmarks.measure import MODEL, Cost, in_turn, own_process, report, show
from geodetect import registry
from geodetect.card import ModelCard
from geodetect.demo.scene import CLASSES, draw_scene
from training.data.augment import Augment
from training.data.index import read_index

WAYS = {  # name: workers, processes, mosaic, cached
    "1 thread": (1, False, 0.0, False),
    "2 threads": (2, False, 0.0, False),
    "2 processes": (2, True, 0.0, False),
    "2 threads, images in memory": (2, False, 0.0, True),
    "1 thread, mosaic": (1, False, 1.0, False),
    "2 threads, mosaic": (2, False, 1.0, False),
    "2 processes, mosaic": (2, True, 1.0, False),
}
STEPS = {"step alone": "step", "step, fed by 1 thread": "fed"}


def draw_tiles(root: Path, count: int, side: int = 600) -> Path:
    """Write tiles of the demo scene as a dataset, with the boxes cut at their borders; returns the folder."""
    scene = draw_scene(4096, 0, 0.5)
    objects = [(*item.sprite.box, CLASSES.index(item.name)) for item in scene[1] if item.name is not None]
    (root / "annotations").mkdir(parents=True)
    (root / "train").mkdir()
    images, annotations = [], []
    starts = np.linspace(0, 4096 - side, max(1, round(count**0.5))).astype(int).tolist()
    for number, (top, left) in enumerate(((y, x) for y in starts for x in starts), 1):
        name = f"{number}.jpg"
        Image.fromarray(scene[0][top : top + side, left : left + side]).save(root / "train" / name, quality=95)
        images.append({"id": number, "file_name": name, "width": side, "height": side})
        for x1, y1, x2, y2, label in objects:
            x1, x2 = np.clip(np.array([x1, x2]) - left, 0, side).tolist()
            y1, y2 = np.clip(np.array([y1, y2]) - top, 0, side).tolist()
            if x2 - x1 > 4 and y2 - y1 > 4:
                box = {"id": len(annotations), "image_id": number, "bbox": [x1, y1, x2 - x1, y2 - y1]}
                annotations.append(box | {"category_id": label + 1})
    categories = [{"id": i, "name": name} for i, name in enumerate(CLASSES, 1)]
    coco = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations" / "train.json").write_text(json.dumps(coco))
    return root


def make_loader(data: Path, card: ModelCard, size: int, batch: int, way: tuple[int, bool, float, bool]):
    """Return the loader of one way."""
    from training.data.loader import Loader, LoaderSettings
    from training.losses.targets import RULES, Targets

    workers, processes, mosaic, cached = way
    index = read_index(data, "train")
    targets = Targets(card.heads, len(index.classes), RULES[card.network.family], max_boxes=90)
    settings = LoaderSettings(batch, (size,), Augment(mosaic=mosaic), card.input, workers=workers, processes=processes)
    return Loader(index, replace(settings, cache_bytes=1 << 30) if cached else settings, targets)


def load(data: Path, card: ModelCard, size: int, batch: int, way: tuple[int, bool, float, bool]) -> None:
    """Report an epoch of the loader alone, the one after the first."""
    loader = make_loader(data, card, size, batch, way)
    for epoch in range(2):
        clock, cpu = time.perf_counter(), sum(os.times()[:4])
        for _ in loader.epoch(epoch):
            pass
        seconds = time.perf_counter() - clock
    images = loader.steps * batch
    report(seconds=seconds / images, cpu=(sum(os.times()[:4]) - cpu) / images)


def step(data: Path, card: ModelCard, size: int, batch: int, fed: bool, count: int = 6) -> None:
    """Report training steps, on one batch over and over or fed by the loader."""
    from geodetect import networks
    from geodetect.networks.runtime import mindspore
    from training.losses import make_loss
    from training.run.optimiser import make_optimiser
    from training.run.step import TrainStep

    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    loader = make_loader(data, card, size, batch, WAYS["1 thread"])
    classes = len(loader.index.classes)
    network = networks.build(card.network.family, classes)
    loss = make_loss(card.network.family, card.heads, classes, 0.7)
    update = TrainStep(network, loss, make_optimiser(network.trainable_params(), np.full(100, 1e-5)))
    batches = loader.epoch(0)
    one = next(batches)
    float(update(*one)[0].asnumpy())
    waited, clock, cpu = 0.0, time.perf_counter(), time.process_time()
    for _ in range(count):
        asked = time.perf_counter()
        one = next(batches) if fed else one
        waited += time.perf_counter() - asked
        float(update(*one)[0].asnumpy())
    seconds, cpu = time.perf_counter() - clock, time.process_time() - cpu
    batches.close()
    report(seconds=seconds / count / batch, cpu=cpu / count / batch, waited=waited / seconds)


def rows(costs: dict[str, Cost]):
    for name, cost in costs.items():
        waited = f"{cost.answer['waited']:.1%}" if "waited" in cost.answer else ""
        yield name, f"{1 / cost.seconds:.1f}", f"{1000 * cost.cpu:.0f}", f"{cost.peak:.0f}", waited


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path), help="A prepared dataset; by default drawn tiles of 600 px.")
@click.option("--tiles", default=144, show_default=True, help="How many are drawn, about.")
@click.option("--size", default=416, show_default=True, help="Side of the canvas, px.")
@click.option("--batch", default=8, show_default=True, help="Images a batch.")
@click.option("--repeats", default=3, show_default=True)
@click.option("--quick", is_flag=True, help="64 tiles, once.")
@click.option("--only", hidden=True)
def main(data: Path | None, tiles: int, size: int, batch: int, repeats: int, quick: bool, only: str | None) -> None:
    card = registry.resolve(MODEL).card
    if only in WAYS and data:
        return load(data, card, size, batch, WAYS[only])
    if only and data:
        return step(data, card, size, batch, only == "fed")
    tiles, repeats = (64, 1) if quick else (tiles, repeats)
    with tempfile.TemporaryDirectory() as folder:
        data = data or draw_tiles(Path(folder) / "tiles", tiles)

        def run(way: str):
            common = ("--data", data, "--size", str(size), "--batch", str(batch))
            return lambda: own_process("bench_loader", "--only", way, *common)

        costs = in_turn({name: run(STEPS.get(name, name)) for name in (*WAYS, *STEPS)}, repeats)
    show(
        f"Training images at {size} px, batch {batch}; step: {card.network.family}",
        ("", "images/s", "CPU ms an image", "peak MB", "step waits"),
        rows(costs),
    )


if __name__ == "__main__":
    main()
