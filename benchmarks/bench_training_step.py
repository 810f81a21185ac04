"""What a training step takes beside the bare forward and backward pass of its network; each in a process of its own.

The step has targets, loss, backward pass, norm of the gradient and momentum with decay. It is made 20 times on one
batch first, which must lower the loss. Then it and the bare pass (a sum of squares of the heads) are run in turn.
"""

from __future__ import annotations

import resource
from functools import partial
from typing import Any

import click
import numpy as np

from benchmarks.measure import MODEL, Cost, in_turn, own_process, report, show, timed
from geodetect import registry
from geodetect.card import Heads

BATCHES = {"yolov3-tiny": 8, "yolov3": 2, "yolov4": 2}
CARDS = {"yolov3-tiny": MODEL, "yolov3": "yolov3-dota15", "yolov4": "yolov4-dota15"}
CLASSES, OBJECTS, MAX_BOXES = 16, 30, 90  # objects an image
FIRST_STEPS, RATE = 20, 1e-4


def made_labels(size: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return boxes of 10 px to a third of the canvas, classes and none ignored: what `Targets` takes."""
    random = np.random.default_rng(count)
    sides = np.exp(random.uniform(np.log(10), np.log(size / 3), (OBJECTS, 2)))
    corners = random.uniform(0, 1, (OBJECTS, 2)) * (size - sides)
    labels = random.integers(0, CLASSES, OBJECTS)
    return np.concatenate([corners, corners + sides], axis=1), labels, np.zeros(OBJECTS, bool), size


def made_targets(family: str, heads: Heads, batch: int, size: int) -> list[np.ndarray]:
    """Return the targets of a batch."""
    from training.losses.targets import RULES, Targets

    make = Targets(heads, CLASSES, RULES[family], MAX_BOXES)
    images = [make(*made_labels(size, number)) for number in range(batch)]
    return [np.stack(arrays) for arrays in zip(*images, strict=True)]


def bare_pass(network: Any) -> Any:
    """Return a cell: images -> (sum of the heads' squares, gradients of all parameters that train)."""
    from geodetect.networks.runtime import mindspore, nn, ops

    class Bare(nn.Cell):
        def __init__(self) -> None:
            super().__init__(auto_prefix=False)
            self.network = network
            self.gradient = mindspore.value_and_grad(self.forward, None, network.trainable_params())
            self.set_train()

        def forward(self, images: Any) -> Any:
            return sum([ops.square(head).sum() for head in self.network(images)])

        def construct(self, images: Any) -> Any:
            value, gradients = self.gradient(images)
            # one value of each gradient: all are computed, none is copied out
            return value, sum([gradient.reshape((-1,))[0] for gradient in gradients])

    return Bare()


def measured(family: str, batch: int, size: int, repeats: int) -> None:
    """Measure in this process and report."""
    from geodetect.networks import build
    from geodetect.networks.runtime import mindspore
    from training.losses import make_loss
    from training.run.optimiser import make_optimiser
    from training.run.step import TrainStep

    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    mindspore.set_seed(1)
    heads = registry.built_in_card(CARDS[family]).heads
    network = build(family, CLASSES)
    rates = np.full(FIRST_STEPS + repeats, RATE)
    optimiser = make_optimiser(network.get_parameters(), rates, 0.9, 5e-4)
    step = TrainStep(network, make_loss(family, heads, CLASSES, 0.7), optimiser)
    targets = [mindspore.Tensor(array) for array in made_targets(family, heads, batch, size)]
    images = mindspore.Tensor(np.random.default_rng(0).standard_normal((batch, 3, size, size), np.float32))

    losses = [float(step(images, *targets)[0]) for _ in range(FIRST_STEPS)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    bare = bare_pass(network)
    float(bare(images)[1])
    runs = {
        "targets": partial(timed, lambda: made_targets(family, heads, batch, size)),
        "step": partial(timed, lambda: [float(value) for value in step(images, *targets)[::2]]),
        "bare": partial(timed, lambda: [float(value) for value in bare(images)]),
    }
    costs = in_turn(runs, repeats)
    whole = Cost(*(getattr(costs["step"], n) + getattr(costs["targets"], n) for n in ("seconds", "cpu")))
    report(
        seconds=whole.seconds, cpu=whole.cpu, bare=costs["bare"].seconds, bare_cpu=costs["bare"].cpu,
        targets=costs["targets"].cpu, peak=peak, first=losses[0], last=losses[-1],
    )  # fmt: skip


@click.command(help=__doc__)
@click.option("--size", default=416, show_default=True, help="Side of the canvas, px.")
@click.option("--repeats", default=7, show_default=True)
@click.option("--family", "families", multiple=True, type=click.Choice(list(BATCHES)), help="Default: all.")
@click.option("--quick", is_flag=True, help="YOLOv3-Tiny only, two images of 96 px.")
@click.option("--only", nargs=2, type=(str, int), hidden=True)
def main(size: int, repeats: int, families: tuple[str, ...], quick: bool, only: tuple[str, int] | None) -> None:
    if only:
        return measured(*only, size, repeats)
    batches = {family: batch for family, batch in BATCHES.items() if not families or family in families}
    size, repeats, batches = (96, 3, {"yolov3-tiny": 2}) if quick else (size, repeats, batches)
    rows = []
    for family, batch in batches.items():
        arguments = ("--size", str(size), "--repeats", str(repeats), "--only", family, str(batch))
        cost = own_process("bench_training_step", *arguments)
        answer = cost.answer
        rows.append(
            (family, str(batch), f"{cost.seconds:.2f}", f"{answer['bare']:.2f}",
             f"{cost.seconds / answer['bare']:.2f}", f"{cost.cpu:.2f}", f"{answer['bare_cpu']:.2f}",
             f"{cost.cpu / answer['bare_cpu']:.2f}", f"{1000 * answer['targets']:.0f}", f"{batch / cost.seconds:.1f}",
             f"{answer['peak']:,.0f}", f"{answer['first']:.0f} to {answer['last']:.0f}")
        )  # fmt: skip
    headings = ("", "batch", "step s", "bare s", "ratio", "step CPU s", "bare CPU s", "ratio", "targets ms",
                "images/s", "peak MB", f"loss in {FIRST_STEPS} steps")  # fmt: skip
    show(f"A training step, {size} px, {CLASSES} classes", headings, rows)


if __name__ == "__main__":
    main()
