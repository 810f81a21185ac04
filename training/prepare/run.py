"""From labelled images to a data set: the whole of `geodetect prepare`."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from geodetect.errors import Cancelled, LabelError
from geodetect.files import replacing
from geodetect.progress import SILENT, Reporter
from geodetect.registry import home
from geodetect.window import Window
from training.labels import LabelledImage, LayerOptions, read_labels
from training.prepare import journal, sheet
from training.prepare.anchors import fit_anchors
from training.prepare.dataset import SPLITS, annotations_path, coco, write_json
from training.prepare.objects import Objects, choose_classes, read_objects
from training.prepare.output import REPORT, check_output, open_output, remove_results
from training.prepare.plan import PlannedTile, Region, assign_splits, divide, plan_image, reasons, unseen
from training.prepare.report import Report, boxes_of, by_class, gsd_range, in_order, remarks, sizes, split_report
from training.prepare.settings import PrepareSettings
from training.prepare.tiles import Job, Look, Pixels, look, write_tiles
from training.prepare.workers import Workers

_TILES_A_JOB = 64  # some seconds of work: what a killed run loses at most in each worker


@dataclass
class _Plan:
    """What is to be made."""

    classes: tuple[str, ...]
    images: Sequence[LabelledImage]
    looks: Sequence[Look]
    objects: list[Objects] = field(default_factory=list)  # an image
    tiles: list[PlannedTile] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    left_out: int = 0

    @property
    def gsds(self) -> list[float | None]:
        """Ground sample distances of the images, m/px."""
        return [image.gsd or seen.gsd for image, seen in zip(self.images, self.looks, strict=True)]


def prepare(settings: PrepareSettings, reporter: Reporter = SILENT) -> Report:
    """Cut labelled images into tiles with COCO annotations and return what became of the labels.

    Data, labels and the folder may be `s3://` or `obs://` addresses: data are fetched first, the data set is sent last.
    The folder `settings.out` gets `annotations/{train,val}.json`, `train/`, `val/`, `report.json` and
    `contact_sheet.png`. A run that was stopped goes on where it was; annotations are written last, so a data set that
    has them is whole. The files do not depend on the number of workers, nor on interruptions.

    Raises:
        ConfigError: an option cannot be used.
        LabelError: labels or images are wrong, by file, line and reason; or a split has no object.
        OutputError: the folder cannot be written, or holds something else.
        TrainingError: a worker process died, or the data set is made but could not be sent.
        DownloadError: data cannot be fetched.
        Cancelled: the user stopped the run.
    """
    from training.storage import fetch, sent

    with sent(settings.out, reporter, last="annotations", keep=home() / "prepared") as out:
        here = replace(
            settings,
            data=tuple(str(fetch(path, reporter=reporter)) for path in settings.data),
            labels=str(fetch(settings.labels, reporter=reporter)) if settings.labels else None,
            out=str(out),
        )
        return _prepare(here, reporter)


def _prepare(settings: PrepareSettings, reporter: Reporter) -> Report:
    out = Path(settings.out)
    check_output(settings)
    options = LayerOptions(settings.class_field, settings.layer, settings.point_size)
    found = read_labels(settings.data, settings.labels, settings.kind, settings.classes, options, settings.doubles)
    for note in found.notes:
        reporter.note(note)
    classes, labels = choose_classes(found, settings)
    try:
        with Workers(settings.workers or _cores()) as workers:
            looks = _look(found.images, settings, workers, reporter)
            plan = _plan(_Plan(classes, found.images, looks), labels, settings)
            blank = _write(plan, settings, workers, reporter)
    except KeyboardInterrupt:
        raise Cancelled("Stopped. Finished tiles are kept; run the same command again to go on.") from None
    plan.tiles = [tile for tile in plan.tiles if tile.file not in blank]
    _check_splits(plan, settings)
    report = _report(plan, found.kind, settings, len(blank), found.notes)
    for note in report.notes[len(found.notes) :]:
        reporter.note(note)
    _finish(out, plan, report)
    return report


def _look(
    images: Sequence[LabelledImage], settings: PrepareSettings, workers: Workers, reporter: Reporter
) -> list[Look]:
    """Return size, ground sample distance and stamp of each image, all of which thereby are known to open."""
    looks: dict[int, Look] = {}
    for i, seen in workers.each(look, [(image.path, settings.bands) for image in images]):
        looks[i] = seen
        image = images[i]
        if image.size is not None and image.size != seen.size:
            raise LabelError(
                f"{image.origin}: {image.path} is {image.size[0]} x {image.size[1]} px by its labels, but has "
                f"{seen.size[0]} x {seen.size[1]} px; label it again, or give the right image"
            )
        reporter.progress("look", len(looks), len(images))
    for note, count in sorted(Counter(seen.bands for seen in looks.values()).items()):
        if not settings.bands and not note.endswith("colour interpretation"):
            reporter.note(f"{count:,} image{'s' if count != 1 else ''}: {note}")
    return [looks[i] for i in range(len(images))]


def _plan(plan: _Plan, labels, settings: PrepareSettings) -> _Plan:
    """Fill the plan with objects and tiles; raises LabelError where a split gets no object."""
    splits = assign_splits(plan.images, settings.val_share)
    lone = len(plan.images) == 1 and settings.val_share > 0
    for i, (image, seen) in enumerate(zip(plan.images, plan.looks, strict=True)):
        objects, dropped = read_objects(image, seen.size, labels, settings.difficult)
        if lone:
            regions = divide(seen.size, objects, settings.val_share)
        else:
            regions = [Region(splits[i], Window(0, 0, seen.size[1], seen.size[0]))]
        tiles, left_out = plan_image(i, image.name, objects, regions, settings)
        plan.objects.append(objects)
        plan.tiles += tiles
        plan.dropped += dropped
        plan.left_out += left_out
    _check_splits(plan, settings)
    return plan


def _check_splits(plan: _Plan, settings: PrepareSettings) -> None:
    wanted = [split for split in SPLITS if split == "train" or settings.val_share or _has_val(plan.images)]
    for split in wanted:
        if all(tile.is_empty for tile in plan.tiles if tile.split == split):
            lost = ", ".join(
                f"{count:,} {reason}" for reason, count in in_order(plan.dropped + reasons(plan.tiles)).items()
            )
            hint = (
                "add labels, or a larger --val-share" if split == "val" and not _has_val(plan.images) else "add labels"
            )
            raise LabelError(f"{split} has no object in any tile ({lost or 'there are no labels'}); {hint}")


def _has_val(images: Sequence[LabelledImage]) -> bool:
    return any(image.split == "val" for image in images)


def _write(plan: _Plan, settings: PrepareSettings, workers: Workers, reporter: Reporter) -> set[str]:
    """Write the tiles that are not there yet, remove those of before, and return the files without data."""
    out = Path(settings.out)
    done, there = open_output(settings)
    jobs = _jobs(plan, settings)
    ready = {job.key for job in jobs if job.key in done and there.issuperset({*job.files} - {*done[job.key]})}
    todo = [job for job in jobs if job.key not in ready]
    stale = there - {tile.file for tile in plan.tiles}
    if todo or stale:
        remove_results(out)
    total, finished, last = len(plan.tiles), sum(len(job.files) for job in jobs if job.key in ready), 0.0
    found = sum(int((~tile.cut.ignored).sum()) for tile in plan.tiles)
    results = {key: done[key] for key in ready}
    with journal.open_journal(out) as book:
        for i, blank in workers.each(write_tiles, [(job,) for job in todo]):
            journal.add(book, todo[i].key, blank)
            results[todo[i].key] = blank
            finished += len(todo[i].files)
            if time.monotonic() - last > 0.1 or finished == total:
                last = time.monotonic()
                reporter.progress("prepare", finished, total, round(found * finished / total))
    blank = {file for files in results.values() for file in files}
    for file in stale | (blank & there):
        (out / file).unlink()
    journal.write_journal(out, settings.recorded(), {job.key: results[job.key] for job in jobs})
    return blank


def _jobs(plan: _Plan, settings: PrepareSettings) -> list[Job]:
    pixels = Pixels(settings.bands, settings.stretch, settings.jpeg)
    by_image: dict[int, list[PlannedTile]] = {}
    for tile in plan.tiles:
        by_image.setdefault(tile.image, []).append(tile)
    jobs = []
    for i, tiles in by_image.items():
        for start in range(0, len(tiles), _TILES_A_JOB):
            some = tiles[start : start + _TILES_A_JOB]
            job = Job(
                key="",
                path=str(Path(plan.images[i].path).resolve()),
                folder=str(Path(settings.out).resolve()),
                files=tuple(tile.file for tile in some),
                windows=tuple(tile.source for tile in some),
                shapes=tuple((tile.window.height, tile.window.width) for tile in some),
                pixels=pixels,
                stamp=plan.looks[i].stamp,
            )
            told = repr(replace(job, folder=""))
            jobs.append(replace(job, key=hashlib.sha256(told.encode()).hexdigest()[:32]))
    return jobs


def _report(plan: _Plan, kind: str, settings: PrepareSettings, blank: int, notes: tuple[str, ...]) -> Report:
    train = [tile for tile in plan.tiles if tile.split == "train"]
    anchors = None
    if settings.anchors:
        scale = settings.canvas / settings.tile
        anchors = fit_anchors(boxes_of(train)[1] * scale, settings.anchors, settings.canvas)
    by_image: dict[int, list[PlannedTile]] = {}
    for tile in plan.tiles:
        by_image.setdefault(tile.image, []).append(tile)
    objects = Counter[str]()
    for one in plan.objects:
        objects.update(by_class(one.labels[~one.ignored], plan.classes))
    return Report(
        kind=kind,
        settings=settings.recorded(),
        classes=plan.classes,
        objects=dict(objects),
        splits={
            split: split_report([tile for tile in plan.tiles if tile.split == split], plan.classes) for split in SPLITS
        },
        sizes=sizes(train, plan.classes),
        gsd=gsd_range(plan.tiles, plan.gsds),
        dropped=in_order(plan.dropped),
        ignored=in_order(reasons(plan.tiles)),
        unseen=sum(unseen(one, by_image.get(i, [])) for i, one in enumerate(plan.objects)),
        left_out=plan.left_out,
        without_data=blank,
        anchors=anchors,
        notes=(*notes, *remarks(plan.tiles, plan.classes, [seen.size for seen in plan.looks], settings.tile)),
    )


def _finish(out: Path, plan: _Plan, report: Report) -> None:
    """Write contact sheet, report and, last, annotations."""
    with replacing(out / sheet.NAME) as temporary:
        sheet.write_sheet(temporary, out, plan.tiles, plan.classes)
    write_json(out / REPORT, report.to_dict(), indent=2)
    names = [image.name for image in plan.images]
    for split in SPLITS:
        tiles = [tile for tile in plan.tiles if tile.split == split]
        if tiles:
            write_json(annotations_path(out, split), coco(tiles, plan.classes, names, plan.gsds))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
