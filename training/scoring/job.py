"""A model, images and an engine brought together: what `geodetect eval` and `geodetect test` do."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geodetect import __version__
from geodetect.card import ModelCard
from geodetect.config import ClassRules, DetectConfig
from geodetect.detections import Detections
from geodetect.engines import open_engine
from geodetect.errors import ConfigError, LabelError, OutputError
from geodetect.files import check_writable, replacing
from geodetect.package import ModelPackage
from geodetect.progress import SILENT, Reporter
from training.data.index import Index
from training.labels import DOUBLES
from training.scoring.files import write_coco, write_dota
from training.scoring.find import find
from training.scoring.images import layout, open_images
from training.scoring.pictures import draw_confusion, draw_curves
from training.scoring.result import Scores
from training.scoring.scenes import find_in_scenes
from training.scoring.score import check, score_found
from training.scoring.settings import ScoreSettings
from training.scoring.tiles import merge_tiles
from training.source import open_source
from training.storage import check_vacant, fetch, is_remote, sent

LEVELS = ("auto", "tile", "scene")
FIGURES, CURVES, CONFUSION = "scores.json", "precision-recall.png", "confusion.png"
COCO_FILE, DOTA_FILE = "detections-coco.json", "detections-dota-task2.zip"


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """What runs the network; see `geodetect.engines.open_engine`."""

    engine: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be looked at, by which model, and how."""

    model: str | Path  # as `training.source.open_source` takes it
    data: str | Path  # a folder, see `training.scoring.images.open_images`, or its URL
    split: str = "val"
    card: str | Path | None = None  # of a weights file
    level: str = "auto"  # "tile": an image is one canvas; "scene": cut and merged; auto: scene where DOTA's layout is
    doubles: str = "keep"  # or "drop": in DOTA's layout, an object labelled twice counts once
    size: int | None = None  # side of the canvas, px; None: the card's
    choice: EngineChoice = field(default_factory=EngineChoice)
    settings: ScoreSettings = field(default_factory=ScoreSettings)

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ConfigError(f"level is {self.level!r}, give one of {', '.join(LEVELS)}")
        if self.doubles not in DOUBLES:
            raise ConfigError(f"doubles is {self.doubles!r}, give one of {', '.join(DOUBLES)}")
        if self.level == "scene" and (self.settings.postprocess == "upstream" or self.settings.drop_last):
            raise ConfigError("the model zoo knows tiles alone; give --level tile with --postprocess upstream")


def evaluate_model(
    job: Job, output: str | Path | None = None, overwrite: bool = False, reporter: Reporter = SILENT
) -> Scores:
    """Return the figures of a model on labelled images, and write them where a folder is given.

    Args:
        job: model and images.
        output: folder, or its URL, for `scores.json`, `precision-recall.png` and `confusion.png`; None: nothing.
        overwrite: replace files that are there.
        reporter: is told progress and notes, and may cancel.

    Raises:
        InputError: model, images, option or output cannot be used; nothing was written.
        EngineError: the engine or the device is not there.
    """
    if output is None:
        return _score(job, reporter)[0]
    with _output(output, (FIGURES, CURVES, CONFUSION), overwrite, reporter) as folder:
        scores, card, run = _score(job, reporter)
        with replacing(folder / FIGURES) as temporary:
            temporary.write_text(json.dumps({**scores.to_dict(), "run": run}, indent=2) + "\n", "utf-8")
        draw_curves(folder / CURVES, scores, _colours(card, scores))
        draw_confusion(folder / CONFUSION, scores)
    return scores


def write_detections(
    job: Job, output: str | Path, keep_tiles: bool = False, overwrite: bool = False, reporter: Reporter = SILENT
) -> tuple[Path | str, ...]:
    """Write a model's detections as evaluation servers take them, and return the files, or their URLs.

    `detections-coco.json` has the image and category ids of the annotation file; of images without one, and of
    classes that it does not have, the number in order of the files, and of the model's classes, from 1 on.
    `detections-dota-task2.zip` has boxes on whole images: tiles that are named as DOTA's splitter does are merged.

    Args:
        job: model and images.
        output: folder to write to, or its URL.
        keep_tiles: do not merge tiles.
        overwrite: replace files that are there.
        reporter: is told progress and notes, and may cancel.

    Raises:
        InputError: model, images, option or output cannot be used; nothing was written.
        EngineError: the engine or the device is not there.
    """
    names = COCO_FILE, DOTA_FILE
    with _output(output, names, overwrite, reporter) as folder:
        _write_detections(job, folder, keep_tiles, reporter)
    base = str(output).rstrip("/")
    return tuple(f"{base}/{name}" if is_remote(output) else Path(output) / name for name in names)


def _score(job: Job, reporter: Reporter) -> tuple[Scores, ModelCard, dict[str, Any]]:
    """Return the figures, whose they are, and what is to be known of how they came about."""
    job, package, index = _open(job, reporter)
    if not index.classes:
        raise LabelError(f"{index.root} has no labels to compare with; give a folder with annotations/ or labelTxt/")
    check(package.card, index)
    found, run = _find(job, package, index, reporter)
    return score_found(found, package.card, index, job.settings, reporter), package.card, run


def _write_detections(job: Job, folder: Path, keep_tiles: bool, reporter: Reporter) -> None:
    job, package, index = _open(job, reporter)
    known = check(package.card, index) if index.classes else None
    found, _ = _find(job, package, index, reporter)
    images, whole = tuple(Path(name).stem for name in index.files), found
    if not keep_tiles and job.level == "tile":
        ious = ClassRules.of(DetectConfig(iou=job.settings.iou), package.card).ious
        images, whole = merge_tiles(index.files, index.sizes, found, ious)
    classes = package.card.classes
    numbers = tuple(range(1, len(classes) + 1))
    if known is not None:
        for note in known.notes:
            reporter.note(note.replace("scored", "written"))
        found, whole = known.apply(found), known.apply(whole)
        classes, numbers = index.classes, index.category_ids
    write_coco(folder / COCO_FILE, found, index.ids, numbers)
    write_dota(folder / DOTA_FILE, whole, images, classes)


def _open(job: Job, reporter: Reporter) -> tuple[Job, ModelPackage, Index]:
    """Return the job, its level settled, model and images; the images first: they are quicker to be found wrong."""
    root = fetch(job.data, reporter=reporter)
    kind = layout(root)
    index = open_images(root, job.split, job.doubles)
    for note in index.notes:
        reporter.note(note)
    package = open_source(job.model, job.card, reporter)
    if job.size is not None:
        takes = dataclasses.replace(package.card.input, size=job.size)
        package = dataclasses.replace(package, card=dataclasses.replace(package.card, input=takes))
    level = job.level if job.level != "auto" else "scene" if kind == "dota" else "tile"
    if job.settings.postprocess == "upstream":
        level = "tile"
    settings = dataclasses.replace(job.settings, max_detections=job.settings.counts(scenes=level == "scene"))
    return dataclasses.replace(job, level=level, settings=settings), package, index


def _find(job: Job, package: ModelPackage, index: Index, reporter: Reporter) -> tuple[Detections, dict[str, Any]]:
    """Return the detections, and what is to be known of how they came about."""
    run = {
        "geodetect": __version__,
        "model": package.card.name,
        "model_version": package.card.version,
        "model_sha256": package.sha256,
        "data": str(job.data),
        "split": job.split,
        "level": job.level,
        "doubles": job.doubles,
        "size": package.card.input.size,
        "settings": dataclasses.asdict(job.settings),
    }
    if job.level == "scene":
        return find_in_scenes(package, index, job.choice, job.settings, reporter), run | dataclasses.asdict(job.choice)
    _note_large(package.card, index, reporter)
    choice = dataclasses.asdict(job.choice)
    if job.settings.postprocess == "upstream" and choice["precision"] == "auto":
        choice["precision"] = "float32"  # as the published figures were taken
    engine = open_engine(package, **choice)
    try:
        run |= {"engine": engine.name, "device": engine.device, "precision": engine.precision}
        reporter.note(f"{package.card.name} on {engine.name}, {engine.device}, {engine.precision}")
        return find(engine, package.card, index, job.settings, reporter), run
    finally:
        engine.close()


def _note_large(card: ModelCard, index: Index, reporter: Reporter) -> None:
    """Tell of images that one canvas cannot do justice to."""
    tile = card.input.tile or card.input.size
    large = int((index.sizes.max(axis=1) > 2 * tile).sum())
    if large:
        reporter.note(
            f"{large:,} of {len(index):,} images are more than twice as large as a tile of {tile} px, so that small "
            "objects vanish; --level scene cuts them into tiles"
        )


@contextlib.contextmanager
def _output(output: str | Path, names: tuple[str, ...], overwrite: bool, reporter: Reporter) -> Iterator[Path]:
    """Yield the folder to write to, made where it is not there; raises OutputError before any work is done."""
    if not overwrite:
        check_vacant(output, names)
    with sent(output, reporter) as folder:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"the folder {folder} cannot be made ({error.strerror}); give another") from error
        for name in names:
            check_writable(folder / name, overwrite)
        yield folder


def _colours(card: ModelCard, scores: Scores) -> list[str]:
    """Return a colour for each class scored, the model's own."""
    of_name = dict(zip((name.casefold() for name in card.classes), card.palette, strict=True))
    return [of_name.get(name.casefold(), card.palette[0]) for name in scores.classes]
