"""How good a model is on labelled images, by class, source and size: in tiles, and in whole scenes after the merge.

    python -m benchmarks.bench_model --data FOLDER

takes any folder in DOTA's layout. A source is what the names of its images begin with, up to the first `_`. Tiles are
those of `geodetect prepare` at 640 px with 20 % overlap, all of them, with or without an object. `--shrink 2` shows
what becomes of it at half the resolution, `--level empty` what is found where nothing is: in the parts of the images
without an object and in drawn ones.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.labelled import TILE, drawn_empty, empty_parts, shrunk, tiles
from benchmarks.measure import MODEL, ROOT, show
from geodetect.config import ClassRules, DetectConfig
from geodetect.detections import Detections
from geodetect.engines import open_engine
from geodetect.package import ModelPackage
from training.data.index import Index
from training.scoring import Scores, find, score_found
from training.scoring.images import open_images
from training.scoring.job import EngineChoice
from training.scoring.pictures import draw_curves
from training.scoring.scenes import find_in_scenes
from training.scoring.settings import ScoreSettings
from training.source import open_source

PARTS = (TILE, TILE // 2)  # sides of what may lie beside all objects, px; images of Google Earth have TILE px
EDGES = (0, 16, 32, 64, 128, np.inf)  # of an object's size, px: the side of a square of the same area
RECALLS = ("", "objects", "recall")
ALARMS = ("", "images", "Mpx", "false alarms", "a Mpx", "images with one")
HEADINGS = ("", "objects", "AP50", "AP", "best F1", "at score", "F1", "precision", "recall")
COUNTS = ScoreSettings().counts(scenes=True)  # detections an image that count, of tiles too


def in_tiles(package: ModelPackage, index: Index, precision: str) -> Detections:
    """Return what the network finds in tiles, each by itself."""
    engine = open_engine(package, precision=precision)
    try:
        return find(engine, package.card, index, ScoreSettings(max_detections=COUNTS))
    finally:
        engine.close()


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


def table(groups: dict[str, Scores]) -> list[tuple[str, ...]]:
    """Return a row a group and class."""
    rows = []
    for group, scores in groups.items():
        for row in scores.per_class:
            if row.truths:
                values = (row.ap50, row.ap, row.best_f1, row.best_score, row.f1, row.shown_precision, row.shown_recall)
                rows.append((f"{row.name}, {group}", str(row.truths), *(f"{value:.3f}" for value in values)))
    return rows


def recalls(groups: dict[str, Scores]) -> list[tuple[str, ...]]:
    """Return name, objects and recall of each group and class."""
    return [(name, objects, recall) for name, objects, *_, recall in table(groups)]


def plain(headings: Sequence[str], rows: list[tuple[str, ...]]) -> dict[str, Any]:
    """Return a table's figures for JSON, by its rows' names."""
    return {
        name: {heading: float(value) for heading, value in zip(headings[1:], values, strict=True)}
        for name, *values in rows
    }


def alarms(found: Detections, package: ModelPackage, index: Index, least: dict[str, float]) -> list[tuple[str, ...]]:
    """Return a row a source and class of what was found in images without an object."""
    found = found[found.scores >= np.array([least[name] for name in package.card.classes])[found.labels]]
    sources = np.array([Path(name).stem.partition("_")[0] for name in index.files])
    rows = []
    for source in sorted(set(sources)):
        own = sources == source
        area = index.sizes[own].prod(axis=1).sum() / 1e6
        for label, name in enumerate(package.card.classes):
            where = found.tiles[own[found.tiles] & (found.labels == label)]
            values = (own.sum(), f"{area:.1f}", len(where), f"{len(where) / area:.3f}", len(set(where.tolist())))
            rows.append((f"{name}, {source}", *map(str, values)))
    return rows


def sized(package: ModelPackage, size: int) -> ModelPackage:
    """Return a package that takes tiles of another size, as they are."""
    takes = dataclasses.replace(package.card.input, size=size, tile=TILE)
    return dataclasses.replace(package, card=dataclasses.replace(package.card, input=takes))


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
@click.option("--level", type=click.Choice(["both", "tile", "scene", "empty"]), default="both")
@click.option("--doubles", type=click.Choice(["keep", "drop"]), default="keep", help="Objects labelled twice.")
@click.option("--shrink", type=click.IntRange(1, 16), default=1, help="How many pixels along a side become one.")
@click.option("--quick", is_flag=True, help="Tiles alone, and few drawn images.")
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
    if out:
        out.mkdir(parents=True, exist_ok=True)
    package = open_source(model)
    if size:
        package = sized(package, size)
    card = package.card
    least = dict(zip(card.classes, ClassRules.of(DetectConfig(), card).scores, strict=True))
    answer: dict[str, Any] = {"model": card.name, "version": card.version, "precision": precision, "scores": least}

    def tell(what: str, found: Detections, index: Index) -> None:
        sources = by_source(found, package, index)
        rows, sizes = table(sources), recalls(by_size(found, package, index))
        show(f"{card.name} {card.version}, {what}: {len(index)} images", HEADINGS, rows)
        show("by size", RECALLS, sizes)
        answer[what] = {"images": len(index), "sources": plain(HEADINGS, rows), "sizes": plain(RECALLS, sizes)}
        if out:
            draw_curves(out / f"precision-recall-{what}.png", sources["all"], card.palette)

    def tell_empty(what: str, index: Index, side: int) -> None:
        if len(index):
            rows = alarms(in_tiles(sized(package, side), index, precision), package, index, least)
            show(f"{card.name} {card.version}, {what} without an object", ALARMS, rows)
            answer[what] = plain(ALARMS, rows)

    with shrunk(data, split, shrink) as labelled:
        if level == "empty":
            for side in PARTS:
                with empty_parts(labelled, split, side) as index:
                    tell_empty(f"parts of {side} px", index, side)
            with drawn_empty(4 if quick else 32) as index:
                tell_empty("drawn", index, TILE)
        if level in ("both", "tile"):
            with tiles(labelled, split, doubles) as index:
                tell("tile", in_tiles(package, index, precision), index)
        if level in ("both", "scene") and not quick:
            index = open_images(labelled, split, doubles)
            choice = EngineChoice(precision=precision)
            tell("scene", find_in_scenes(package, index, choice, ScoreSettings(max_detections=COUNTS)), index)
    if out:
        (out / "figures.json").write_text(json.dumps(answer, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
