"""Merging what all tiles saw: seconds, and what becomes of each object, beside plain suppression and other packages.

The views are made up: one object a cell, seen by every tile of 1 024 px with 204 px of overlap that sees 30 % of it,
its sides wrong by about 1 px, with a lower score the less is seen. `small`: 10 to 56 px; `long`: 150 to 480 px, more
than the overlap; `crowded`: small, with 12 views a tile that are wrong by 2 px, as a network gives without suppression.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from benchmarks.measure import show
from geodetect import boxes as geometry
from geodetect.detections import Detections
from geodetect.merge import merge, nms
from geodetect.tiling import starts

IOU = 0.45
TILE, OVERLAP, CLASSES = 1024, 204, 15
KINDS = {"small": (64, (10, 56), 1.0, 1), "long": (512, (150, 480), 1.0, 1), "crowded": (64, (10, 56), 2.0, 12)}
NAIVE_UP_TO = 5000


@dataclass(frozen=True)
class Work:
    """Views to merge, and what the truth is: object k lies in cell k, row by row."""

    name: str
    views: Detections
    windows: np.ndarray  # (T, 4)
    side: int  # of the scene, px
    cell: int  # px
    boxes: np.ndarray  # (K, 4) of the objects
    labels: np.ndarray  # (K,)

    def objects(self, detections: Detections) -> tuple[np.ndarray, np.ndarray]:
        """Return the object in whose cell each detection lies, and whether it has that one's label."""
        columns = int(np.ceil(np.sqrt(len(self.boxes))))
        centres = (detections.boxes[:, :2] + detections.boxes[:, 2:]) / 2
        column, row = np.clip((centres // self.cell).astype(int).T, 0, columns - 1)
        found = np.minimum(row * columns + column, len(self.boxes) - 1)
        return found, detections.labels == self.labels[found]

    def fates(self, merged: Detections) -> tuple[int, int, int]:
        """Return how many results double an object, how many seen objects are lost and how many have an IoU >= 0.75."""
        found, own = self.objects(merged)
        before, true = self.objects(self.views)
        times = np.bincount(found[own], minlength=len(self.boxes))
        seen = np.bincount(before[true], minlength=len(self.boxes)) > 0
        good = own & (geometry.iou(merged.boxes, self.boxes[found]) >= 0.75)
        return int(np.maximum(times - 1, 0).sum()), int((seen & (times == 0)).sum()), len(np.unique(found[good]))


def made_up(kind: str, views: int, seed: int = 1) -> Work:
    """Return about so many views of a scene of that kind."""
    cell, (least, most), noise, copies = KINDS[kind]
    rng = np.random.default_rng(seed)
    count = max(4, int(views / {"small": 1.7, "long": 2.2, "crowded": 20}[kind]))
    columns = int(np.ceil(np.sqrt(count)))
    sides = np.exp(rng.uniform(np.log(least), np.log(most), (count, 2)))
    row, column = np.divmod(np.arange(count), columns)
    corner = np.stack([column, row], axis=1) * cell + rng.random((count, 2)) * (cell - 4 - sides)
    boxes, labels = np.concatenate([corner, corner + sides], axis=1), rng.integers(0, CLASSES, count)
    side = max(columns * cell, TILE)
    begins = np.array(starts(side, TILE, OVERLAP))
    left, top = (axis.ravel() for axis in np.meshgrid(begins, begins))
    windows = np.stack([left, top, left + TILE, top + TILE], axis=1)
    certainty = rng.beta(6, 2, count)
    parts = []
    for tile, k in _seen(boxes, begins):
        clipped = geometry.clip(boxes[k], windows[tile])
        share = geometry.area(clipped) / geometry.area(boxes[k])
        for _ in range(copies):
            some = share >= 0.3
            wrong = clipped[some] + rng.normal(0, noise, (some.sum(), 4))
            wrong[:, 2:] = np.maximum(wrong[:, 2:], wrong[:, :2] + 2)
            scores = certainty[k][some] * np.sqrt(share[some]) * rng.uniform(0.9 if copies == 1 else 0.5, 1, some.sum())
            parts.append(Detections.of(wrong, scores, labels[k][some], tile[some]))
    name = f"{kind}, {count:,} objects"
    return Work(name, Detections.concatenate(parts), windows, side, cell, boxes, labels)


def _seen(boxes: np.ndarray, begins: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (tiles, objects) that share some pixels: the first, second, ... tile of each object along both axes."""
    first = np.searchsorted(begins + TILE, boxes[:, :2], side="right")
    last = np.searchsorted(begins, boxes[:, 2:], side="left")
    across, down = (last - first).max(axis=0)
    for step in ((x, y) for y in range(down) for x in range(across)):
        at = first + step
        k = np.flatnonzero((at < last).all(axis=1))
        yield at[k, 1] * len(begins) + at[k, 0], k


def stored(path: Path) -> Work:
    """Return work from arrays boxes, scores, classes, tile (left, top), tile_size, side, cell, gt_boxes, gt_cls."""
    data = np.load(path)
    corners, tiles = np.unique(data["tile"], axis=0, return_inverse=True)
    views = Detections.of(data["boxes"], data["scores"], data["classes"], tiles.reshape(-1))
    windows = np.concatenate([corners, corners + int(data["tile_size"])], axis=1)
    objects = data["gt_boxes"].astype(np.float64), data["gt_cls"]
    return Work(path.stem, views, windows, int(data["side"]), int(data["cell"]), *objects)


def best(run: Callable[[], Detections], repeats: int) -> tuple[float, Detections]:
    """Return the least seconds of several runs after one that warms up, and the result."""
    result, times = run(), []
    for _ in range(repeats):
        start = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - start)
    return min(times), result


def naive(views: Detections) -> list[int]:
    """Return what greedy suppression keeps, as a loop."""
    kept: list[int] = []
    for k in sorted(range(len(views)), key=lambda k: (-views.scores[k], *views.boxes[k], views.labels[k])):
        same = [m for m in kept if views.labels[m] == views.labels[k]]
        if not same or geometry.iou(np.broadcast_to(views.boxes[k], (len(same), 4)), views.boxes[same]).max() <= IOU:
            kept.append(k)
    return kept


def peers(python: Path, views: Detections, repeats: int) -> Iterator[tuple[str, float, Detections]]:
    """Yield (tool, seconds, what it keeps) of the packages that another environment has."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "views.npz"
        np.savez(path, boxes=views.boxes, scores=views.scores, labels=views.labels)
        script = Path(__file__).with_name("merge_peers.py")
        command = [python, script, path, str(IOU), str(repeats)]
        answer = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout
        for tool, seconds in json.loads(answer.strip().splitlines()[-1]).items():
            yield tool, seconds, views[np.load(path.with_name(f"{tool}.npy"))]


def rows(work: Work, repeats: int, python: Path | None) -> Iterator[tuple[str, ...]]:
    """Yield the lines of the table for one work."""
    views, scene = work.views, (0, 0, work.side, work.side)
    tools: list[tuple[str, float, Detections]] = [
        ("merge", *best(lambda: merge(views, work.windows, scene, IOU), repeats)),
        ("merge, averaged", *best(lambda: merge(views, work.windows, scene, IOU, average=True), repeats)),
        ("nms", *best(lambda: views[nms(views.boxes, views.scores, views.labels, IOU)], repeats)),
    ]
    if len(views) <= NAIVE_UP_TO:
        tools.append(("nms as a loop", *best(lambda: views[naive(views)], 1)))
        same = np.array_equal(tools[-1][2].boxes, tools[-2][2].boxes)
        tools[-2] = (f"nms ({'equal to' if same else 'UNLIKE'} the loop)", *tools[-2][1:])
    if python:
        tools.extend(peers(python, views, repeats))
    for number, (tool, seconds, merged) in enumerate(tools):
        doubled, lost, good = work.fates(merged)
        title = (f"{work.name}", f"{len(views):,}") if not number else ("", "")
        yield (*title, tool, f"{seconds:.4f}", f"{len(merged):,}", f"{doubled:,}", f"{lost:,}", f"{good:,}")


@click.command(help=__doc__)
@click.option("--sizes", default="10000,100000,1000000", show_default=True, help="Numbers of views of small objects.")
@click.option(
    "--stored", "files", multiple=True, type=click.Path(path_type=Path), help="Views in a file, see `stored`."
)
@click.option("--peers-python", type=click.Path(path_type=Path), help="A Python that has lsnms or sahi.")
@click.option("--repeats", default=3, show_default=True, help="The best of so many runs counts.")
@click.option("--quick", is_flag=True, help="4 000 and 100 000 views only.")
def main(sizes: str, files: tuple[Path, ...], peers_python: Path | None, repeats: int, quick: bool) -> None:
    numbers = [int(size) for size in ("4000,100000" if quick else sizes).split(",")]
    works = [lambda path=path: stored(path) for path in files] if files else [
        *(lambda n=n: made_up("small", n) for n in numbers),
        *(lambda kind=kind: made_up(kind, 10_000 if kind == "long" else 100_000) for kind in ("long", "crowded")),
    ]  # fmt: skip
    lines = [line for make in works for line in rows(make(), repeats, peers_python)]
    headings = ("work", "views", "tool", "seconds", "kept", "doubled", "lost", "IoU ≥ 0.75")
    show("Merging, IoU 0.45", headings, lines)


if __name__ == "__main__":
    main()
