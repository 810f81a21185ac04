"""From a scene to georeferenced detections: the main job, read it from `detect` down."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio

from geodetect import __version__, exports, registry
from geodetect.batching import Batch, batches
from geodetect.card import FAMILIES, ModelCard
from geodetect.config import SCORE_FLOOR, ClassRules, DetectConfig, plain_settings
from geodetect.decode import check_heads, decode
from geodetect.detections import Detections
from geodetect.engines import Engine, open_engine
from geodetect.errors import Cancelled, OutputError
from geodetect.features import Features, from_detections
from geodetect.files import check_writable, replacing
from geodetect.grid import GeoGrid
from geodetect.journal import Journal, identity
from geodetect.merge import merge, nms
from geodetect.package import ModelPackage
from geodetect.plan import Plan, make_plan
from geodetect.preview import check_picture, write_preview
from geodetect.progress import SILENT, Caution, Reporter
from geodetect.scene import Scene, check_scene, gdal_settings, open_scene

if TYPE_CHECKING:
    import geopandas


@dataclass(frozen=True, eq=False)
class DetectResult:
    """What a run found.

    Attributes:
        detections: merged, scene px, by falling score.
        features: the same in map units, with attributes.
        grid: the scene's grid.
        classes: the model's classes; a label is an index into them.
        run: what is stored in `geodetect_runs`: model, licence, thresholds, tiles, engine, versions, seconds.
        output: the file written, or None.
    """

    detections: Detections
    features: Features
    grid: GeoGrid
    classes: tuple[str, ...]
    run: dict[str, Any]
    output: Path | None

    def __repr__(self) -> str:
        """Name the counts, not the arrays."""
        found = ", ".join(f"{count} {name}" for name, count in self.counts.items()) or "nothing"
        return f"<DetectResult of {self.run['scene']}: {found}; output {self.output}>"

    @property
    def counts(self) -> dict[str, int]:
        """How many objects of each class were found, classes without any left out."""
        found = np.bincount(self.detections.labels, minlength=len(self.classes))
        return {name: int(n) for name, n in zip(self.classes, found, strict=True) if n}

    def to_geodataframe(self) -> geopandas.GeoDataFrame:
        """Return the features as a GeoDataFrame in the scene's CRS."""
        return self.features.to_geodataframe()


def detect(
    scene: str | Path,
    *,
    model: str | Path | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
    preview: str | Path | None = None,
    resume: bool = True,
    config: DetectConfig | None = None,
    reporter: Reporter = SILENT,
    **settings: Any,
) -> DetectResult:
    """Find the objects in one scene and write them as map features.

    Args:
        scene: GeoTIFF, COG, VRT, JPEG 2000, JPEG, PNG or whatever else GDAL opens; a path or a URL.
        model: name, alias, package folder or weights file; None: the configuration's.
        output: .gpkg, .geojson, .fgb, .parquet, .csv or .json (COCO); None writes nothing.
        overwrite: replace an output that exists.
        preview: .png or .jpg that shows the detections over the scene.
        resume: go on where a run with the same output, scene, model and settings was stopped or killed; a hidden
            file beside the output keeps what is finished until all is. False: start anew and keep nothing.
        config: settings; None: the defaults.
        reporter: is told progress and notes, and may cancel.
        settings: fields of `DetectConfig` that replace the configuration's, such as `score=0.4`.

    Raises:
        InputError: scene, model, area, option or output cannot be used; nothing was written.
        EngineError: the engine or device is not available.
        Cancelled: the reporter asked to stop; no output was written.

    Example:
        >>> result = geodetect.detect("harbour.tif", model="yolov3-tiny", output="harbour.gpkg")  # doctest: +SKIP
        >>> result.counts  # doctest: +SKIP
        {'ship': 41}
    """
    started = time.perf_counter()
    config = dataclasses.replace(config or DetectConfig(), **plain_settings(settings | {"model": model}))
    target, picture = (None if path is None else Path(path) for path in (output, preview))
    check_targets(scene, target, picture, overwrite)
    check_scene(scene)
    package = registry.resolve(
        config.model, config.card, lambda done, total: reporter.progress("download", done, total or 0)
    )
    card = package.card
    if card.name != config.model and config.model in FAMILIES:
        reporter.note(f"{config.model} is {card.name} {card.version}")
    rules = ClassRules.of(config, card)
    with (
        Journal(target) if target else contextlib.nullcontext() as journal,
        open_scene(scene, config.bands, card.input.bands, config.require_crs, config.threads or 2) as opened,
    ):
        with gdal_settings(opened, 64 << 20):
            plan = make_plan(opened, card, config)
        for note in (*opened.notes, *plan.notes):
            reporter.note(note)
        options = config.engine, config.device, config.precision, config.batch_size, config.threads
        engine = open_engine(package, *options, canvas=plan.canvas)
        try:
            if journal and resume:
                _go_on(journal, identity(opened, package, plan, rules, engine), plan, card, reporter)
            elif journal:
                journal.clear()  # it is but the lock, then
            found = predict_tiles(opened, plan, engine, card, rules, reporter, journal if resume else None)
        except (KeyboardInterrupt, Cancelled) as stop:
            if journal and journal.done and not journal.lacking:
                total = len(plan.windows)
                raise type(stop)(
                    f"Stopped after {journal.done:,} of {total:,} tiles; the same command goes on from there."
                ) from None
            raise
        finally:
            engine.close()
        reporter.progress("merge", 0, 1, len(found))
        detections = select(merge_views(found, plan, rules, config.average), rules, plan)
        run = _run(opened, package, rules, plan, engine, config, detections)
        features = from_detections(detections, opened.grid, card.classes, opened.name, card.name, run["run_id"])
        reporter.progress("write", 0, 1, len(detections))
        run["seconds"] = round(time.perf_counter() - started, 3)
        with replacing(picture) if picture else contextlib.nullcontext() as drawn:
            if drawn:
                write_preview(drawn, opened, plan.normaliser.stretch, detections, card.classes, card.palette)
            if target:
                exports.write(target, features, run, card.classes, card.palette, opened.grid)
    return DetectResult(detections, features, opened.grid, card.classes, run, target)


def check_targets(scene: str | Path, output: Path | None, preview: Path | None, overwrite: bool) -> None:
    """Raise OutputError where a file could not be written at the end, before any work is done."""
    if output:
        exports.check_format(output)
    if preview:
        check_picture(preview)
    for target in filter(None, (output, preview)):
        if target.exists() and Path(scene).exists() and target.samefile(scene):
            raise OutputError(f"the output {target} is the scene itself; give another name")
        check_writable(target, overwrite)


def _go_on(journal: Journal, this: dict[str, str], plan: Plan, card: ModelCard, reporter: Reporter) -> None:
    """Take over what an earlier run finished, and say so."""
    why = journal.recall(this, len(plan.windows), len(card.classes))
    if journal.lacking:
        reporter.note(
            f"no journal can be kept beside the output ({journal.lacking}): a run that is stopped starts anew"
        )
    if why:
        reporter.note(f"an earlier run was not finished, but {why}, so this one starts anew")
    elif journal.done:
        reporter.note(f"going on after {journal.done:,} of {len(plan.windows):,} tiles, which an earlier run finished")


def predict_tiles(
    scene: Scene,
    plan: Plan,
    engine: Engine,
    card: ModelCard,
    rules: ClassRules,
    reporter: Reporter,
    journal: Journal | None = None,
) -> Detections:
    """Return what the network sees in all tiles, unmerged, in the scene frame.

    What the journal has is not looked at again; what is finished is written down in it, batch by batch.

    The engine works in a thread: while it is busy the last batch is decoded and the next is read, and the calling
    thread stays free to be interrupted.
    """
    first, earlier = (journal.done, journal.found) if journal else (0, Detections.empty())
    found = [earlier]
    count, total = _count(earlier, rules), len(plan.windows)

    def collect(batch: Batch, running: Future) -> None:
        nonlocal count
        heads = _wait(running)
        if len(found) == 1:
            check_heads(heads, card.heads, len(card.classes), plan.canvas)
        found.append(decode(heads, card.heads, rules.floor, plan.letterbox, batch.tiles))
        if journal:
            journal.add(batch.passed, found[-1])
        count += _count(found[-1], rules)  # near enough: what seams double is still in it
        reporter.progress("detect", batch.passed, total, count)

    reporter.progress("detect", first, total, count)
    pool = ThreadPoolExecutor(1, thread_name_prefix="engine")
    try:
        waiting: tuple[Batch, Future] | None = None
        with contextlib.closing(batches(scene, plan, engine.batch_size, first)) as coming:
            for batch in coming:
                running = pool.submit(engine.predict, batch.images)
                if waiting:
                    collect(*waiting)
                waiting = batch, running
            if waiting:
                collect(*waiting)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    if len(found) == 1 and not first:
        reporter.note(
            Caution("no tile holds a valid pixel, so nothing can be found; check the scene's nodata value and mask")
        )
    reporter.progress("detect", total, total, count)
    return Detections.concatenate(found)


def _count(found: Detections, rules: ClassRules) -> int:
    """Return how many objects reach their class's score."""
    sure = found[found.scores >= np.take(rules.scores, found.labels)]
    return len(nms(sure.boxes, sure.scores, sure.labels))


def merge_views(found: Detections, plan: Plan, rules: ClassRules, average: bool) -> Detections:
    """Return one detection an object.

    Seams are settled among views from SCORE_FLOOR on. Weaker ones, where they are asked for, can then only be
    suppressed: so they change nothing above the floor, and any result filtered is the result at that score.
    """
    weak = found.scores < SCORE_FLOOR
    merged = merge(found[~weak], plan.windows, plan.region, rules.ious, average=average)
    if not weak.any():
        return merged
    rest = Detections.concatenate([merged, found[weak]])
    return rest[nms(rest.boxes, rest.scores, rest.labels, np.asarray(rules.ious))]


def select(detections: Detections, rules: ClassRules, plan: Plan) -> Detections:
    """Return the merged detections that reach their class's score and whose centre lies in the area of interest."""
    keep = detections.scores >= np.take(np.asarray(rules.scores), detections.labels)
    if plan.area is not None:
        import shapely

        x = (detections.boxes[:, 0] + detections.boxes[:, 2]) / 2
        y = (detections.boxes[:, 1] + detections.boxes[:, 3]) / 2
        keep &= shapely.intersects_xy(plan.area, x, y)
    return detections[keep]


def _wait(running: Future) -> Any:
    """Return a future's result; wakes up often, since Windows delivers Ctrl-C to no thread that only waits."""
    while True:
        try:
            return running.result(timeout=0.2)
        except NotYet:
            if running.done():  # the engine's own time-out, not ours
                return running.result()


def _run(
    scene: Scene,
    package: ModelPackage,
    rules: ClassRules,
    plan: Plan,
    engine: Engine,
    config: DetectConfig,
    detections: Detections,
) -> dict[str, Any]:
    """Return the row of `geodetect_runs`: all that is needed to know how a result came about."""
    card, now = package.card, datetime.now(timezone.utc)
    finite = {name: score for name, score in zip(card.classes, rules.scores, strict=True) if score <= 1}
    counts = np.bincount(detections.labels, minlength=len(card.classes))
    return {
        "run_id": f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        "created": now.isoformat(timespec="seconds"),
        "scene": scene.name,
        "model": card.name,
        "model_version": card.version,
        "model_sha256": package.sha256,
        "licence": card.licence,
        "attribution": card.attribution,
        "scores": finite,
        "ious": {name: iou for name, iou in zip(card.classes, rules.ious, strict=True) if name in finite},
        "counts": {name: int(n) for name, n in zip(card.classes, counts, strict=True) if name in finite},
        "tile": list(plan.tile),
        "overlap": list(plan.overlap),
        "canvas": plan.canvas,
        "gsd": plan.gsd,
        "area": config.area,
        "bands": list(scene.bands),
        "stretch": {"low": list(plan.normaliser.stretch.low), "high": list(plan.normaliser.stretch.high)},
        "average": int(config.average),
        "tiles": len(plan.windows),
        "tiles_skipped": plan.skipped,
        "engine": engine.name,
        "device": engine.device,
        "precision": engine.precision,
        "georeference": scene.grid.origin,
        "notes": [*scene.notes, *plan.notes],
        "versions": {"geodetect": __version__, engine.name: engine.version, "gdal": rasterio.__gdal_version__},
        "seconds": 0.0,
    }
