"""How good a model is on labelled images, by class, source and size: in tiles, and in whole scenes after the merge.

    python -m benchmarks.bench_model --data FOLDER

takes any folder in DOTA's layout. A source is what the names of its images begin with, up to the first `_`. Tiles are
those of `geodetect prepare` at 640 px with 20 % overlap, all of them, with or without an object. `--shrink 2` shows
what becomes of it at half the resolution.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from benchmarks.measure import MODEL, ROOT, show
from geodetect.config import ClassRules, DetectConfig
from geodetect.detections import Detections
from geodetect.engines import open_engine
from geodetect.package import ModelPackage
from geodetect.progress import SILENT
from training.data.index import Index, read_index
from training.prepare import PrepareSettings, prepare
from training.scoring import Scores, find, score_found
from training.scoring.images import open_images
from training.scoring.job import EngineChoice
from training.scoring.pictures import draw_curves
from training.scoring.scenes import find_in_scenes
from training.scoring.settings import ScoreSettings
from training.source import open_source

TILE = 640  # px
EDGES = (0, 16, 32, 64, 128, np.inf)  # of an object's size, px: the side of a square of the same area
RECALLS = ("", "objects", "recall")
HEADINGS = ("", "objects", "AP50", "AP", "best F1", "at score", "F1", "precision", "recall")
COUNTS = (1, 10, 1000)  # detections an image that count: scenes have more than COCO's photographs


def in_tiles(package: ModelPackage, index: Index, precision: str) -> Detections:
    """Return what the network finds in tiles, each by itself."""
    engine = open_engine(package, precision=precision)
    try:
        return find(engine, package.card, index, ScoreSettings(max_detections=COUNTS))
    finally:
        engine.close()


@contextlib.contextmanager
def tiles(data: Path, split: str, doubles: str) -> Iterator[Index]:
    """Yield the tiles of a folder in DOTA's layout."""
    own = str(_own(data, split))
    with tempfile.TemporaryDirectory(prefix="geodetect-") as folder:
        settings = PrepareSettings((own,), folder, tile=TILE, empty_rate=1.0, val_share=0.0, doubles=doubles)
        prepare(settings, SILENT)
        yield read_index(folder, "train")  # what has no splits is called so


def _own(data: Path, split: str) -> Path:
    """Return a split's own folder, `data` itself where it has no splits."""
    return data / split if (data / split).is_dir() else data


def figures(found: Detections, package: ModelPackage, index: Index) -> Scores:
    """Return the figures of detections."""
    return score_found(found, package.card, index, ScoreSettings(max_detections=COUNTS))


def part(found: Detections, index: Index, keep: np.ndarray) -> tuple[Detections, Index]:
    """Return detections and index of the images where `keep` (N,) is true."""
    inside = found[keep[found.tiles]]
    number = (np.cumsum(keep) - 1).astype(inside.tiles.dtype)
    return dataclasses.replace(inside, tiles=number[inside.tiles]), index.select(keep)


def by_source(found: Detections, package: ModelPackage, index: Index) -> dict[str, Scores]:
    """Return the figures of all images, and of each source where there are several."""
    sources = np.array([Path(name).stem.partition("_")[0] for name in index.files])
    groups = {"all": figures(found, package, index)}
    if len(set(sources)) > 1:
        for name in sorted(set(sources)):
            own, images = part(found, index, sources == name)
            groups[name] = figures(own, package, images)
    return groups


def by_size(found: Detections, package: ModelPackage, index: Index) -> dict[str, Scores]:
    """Return the figures of the objects of each size, those of other sizes being ignored; only recall has a meaning.

    A false alarm belongs to no object and so to no size.
    """
    sides = np.sqrt((index.boxes[:, 2:] - index.boxes[:, :2]).prod(axis=1))
    groups = {}
    for low, high in itertools.pairwise(EDGES):
        other = index.ignored | (sides < low) | (sides >= high)
        name = f"{low:g} px and more" if np.isinf(high) else f"{low:g} to {high:g} px"
        groups[name] = figures(found, package, dataclasses.replace(index, ignored=other))
    return groups


def at_default(scores: Scores, name: str, least: float) -> tuple[float, float, float]:
    """Return F1, precision and recall of a class at a least score."""
    (row,) = (row for row in scores.per_class if row.name == name)
    kept = row.curve[row.curve[:, 2] >= least]
    if not len(kept):
        return 0.0, 0.0, 0.0
    precision, recall = kept[-1, :2]
    return 2 * precision * recall / max(precision + recall, 1e-12), precision, recall


def table(groups: dict[str, Scores], least: dict[str, float]) -> list[tuple[str, ...]]:
    """Return a row a group and class."""
    rows = []
    for group, scores in groups.items():
        for row in scores.per_class:
            if row.truths:
                values = (row.ap50, row.ap, row.best_f1, row.best_score, *at_default(scores, row.name, least[row.name]))
                rows.append((f"{row.name}, {group}", str(row.truths), *(f"{value:.3f}" for value in values)))
    return rows


def recalls(groups: dict[str, Scores], least: dict[str, float]) -> list[tuple[str, ...]]:
    """Return name, objects and recall of each group and class."""
    return [(name, objects, recall) for name, objects, *_, recall in table(groups, least)]


def plain(headings: Sequence[str], rows: list[tuple[str, ...]]) -> dict[str, Any]:
    """Return a table's figures for JSON, by its rows' names."""
    return {
        name: {heading: float(value) for heading, value in zip(headings[1:], values, strict=True)}
        for name, *values in rows
    }


@contextlib.contextmanager
def shrunk(data: Path, split: str, times: int) -> Iterator[Path]:
    """Yield a folder with a split's images and labels at a part of their resolution; whole pixels are averaged."""
    if times == 1:
        yield data
        return
    source = _own(data, split)
    with tempfile.TemporaryDirectory(prefix="geodetect-") as folder:
        for kind in ("images", "labelTxt"):
            (Path(folder) / split / kind).mkdir(parents=True)
        for path in sorted((source / "images").iterdir()):
            image = Image.open(path).convert("RGB")
            small = image.reduce(times)
            small.save(Path(folder) / split / "images" / f"{path.stem}.png")
            label = source / "labelTxt" / f"{path.stem}.txt"
            lines = [_shrunk_label(line, times) for line in label.read_text("utf-8").splitlines()]
            (Path(folder) / split / "labelTxt" / label.name).write_text("\n".join(lines) + "\n", "utf-8")
        yield Path(folder)


def _shrunk_label(line: str, times: int) -> str:
    words = line.split()
    return " ".join([*(f"{float(word) / times:.2f}" for word in words[:8]), *words[8:]]) if len(words) > 8 else line


@click.command(help=__doc__)
@click.option(
    "--data", type=click.Path(path_type=Path), default=ROOT.parent / "shared" / "data" / "planes-ships",
    show_default="../shared/data/planes-ships", help="Folder in DOTA's layout.",
)  # fmt: skip
@click.option("--split", default="val", show_default=True)
@click.option("-m", "--model", default=MODEL, show_default=True, help="Name, package or training run.")
@click.option("--precision", default="auto", show_default=True)
@click.option("--size", type=int, help="Side of the canvas, px, that a tile is scaled to.  [default: the model's]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for figures.json and the curves.")
@click.option("--level", type=click.Choice(["both", "tile", "scene"]), default="both")
@click.option("--doubles", type=click.Choice(["keep", "drop"]), default="keep", help="Objects labelled twice.")
@click.option("--shrink", type=click.IntRange(1, 16), default=1, help="How many pixels along a side become one.")
@click.option("--quick", is_flag=True, help="Tiles alone.")
def main(
    data: Path,
    split: str,
    model: str,
    precision: str,
    size: int | None,
    out: Path | None,
    level: str,
    doubles: str,
    shrink: int,
    quick: bool,
) -> None:
    if not data.is_dir():
        return click.echo(f"left out: there is no {data}; give --data", err=True)
    package = open_source(model)
    if size:
        takes = dataclasses.replace(package.card.input, size=size, tile=TILE)
        package = dataclasses.replace(package, card=dataclasses.replace(package.card, input=takes))
    card = package.card
    least = dict(zip(card.classes, ClassRules.of(DetectConfig(), card).scores, strict=True))
    answer: dict[str, Any] = {"model": card.name, "version": card.version, "precision": precision, "scores": least}

    def tell(what: str, found: Detections, index: Index) -> None:
        sources = by_source(found, package, index)
        rows, sizes = table(sources, least), recalls(by_size(found, package, index), least)
        show(f"{card.name} {card.version}, {what}: {len(index)} images", HEADINGS, rows)
        show("by size", RECALLS, sizes)
        answer[what] = {"images": len(index), "sources": plain(HEADINGS, rows), "sizes": plain(RECALLS, sizes)}
        if out:
            out.mkdir(parents=True, exist_ok=True)
            draw_curves(out / f"precision-recall-{what}.png", sources["all"], card.palette)

    with shrunk(data, split, shrink) as labelled:
        if level != "scene":
            with tiles(labelled, split, doubles) as index:
                tell("tile", in_tiles(package, index, precision), index)
        if level != "tile" and not quick:
            index = open_images(labelled, split, doubles)
            choice = EngineChoice(precision=precision)
            tell("scene", find_in_scenes(package, index, choice, ScoreSettings(max_detections=COUNTS)), index)
    if out:
        (out / "figures.json").write_text(json.dumps(answer, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
