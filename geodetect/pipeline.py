"""From scenes to georeferenced detections: the main job, read it from `Detector.detect` down."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from geodetect import exports, registry
from geodetect.card import FAMILIES
from geodetect.config import ClassRules, DetectConfig, plain_settings
from geodetect.detections import Detections
from geodetect.engines import Engine, open_engine
from geodetect.errors import Cancelled, OutputError
from geodetect.features import Features, from_detections
from geodetect.files import check_writable, clear_leftovers, replacing
from geodetect.gdal import check_scene, gdal_settings
from geodetect.grid import GeoGrid
from geodetect.journal import Journal, identity
from geodetect.package import ModelPackage
from geodetect.plan import make_plan
from geodetect.prediction import NOTHING_VALID, Seen, count_of, merge_views, predict
from geodetect.preview import check_picture, write_preview
from geodetect.progress import SILENT, Reporter
from geodetect.provenance import run_row
from geodetect.scene import open_scene
from geodetect.view import View

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


class Detector:
    """A model that is ready to detect in one scene after another: it is opened once for all.

    A context manager. For one thread at a time.

    Attributes:
        config: the settings of every run.

    Example:
        >>> with geodetect.Detector(model="yolov3-tiny", score=0.4) as detector:  # doctest: +SKIP
        ...     for scene in scenes:
        ...         detector.detect(scene, output=scene.with_suffix(".gpkg"))
    """

    def __init__(self, config: DetectConfig | None = None, **settings: Any) -> None:
        """Take the settings; the model is opened with the first scene.

        Args:
            config: None: the defaults.
            settings: fields of `DetectConfig` that replace the configuration's, such as `score=0.4`.

        Raises:
            ConfigError: there is no such setting, or it cannot have that value.
        """
        self.config = dataclasses.replace(config or DetectConfig(), **plain_settings(settings))
        self._package: ModelPackage | None = None
        self._engine: tuple[int, Engine] | None = None

    def __enter__(self) -> Detector:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Free the network."""
        if self._engine:
            self._engine[1].close()
        self._engine = None

    def package(self, reporter: Reporter = SILENT) -> ModelPackage:
        """Return the model, downloaded where it is not here; raises InputError or DownloadError where it cannot be."""
        if self._package is None:
            config = self.config
            self._package = registry.resolve(
                config.model, config.card, lambda done, total: reporter.progress("download", done, total or 0)
            )
            card = self._package.card
            if card.name != config.model and config.model in FAMILIES:
                reporter.note(f"{config.model} is {card.name} {card.version}")
        return self._package

    @contextlib.contextmanager
    def view(self, scene: str | Path, reporter: Reporter = SILENT) -> Iterator[View]:
        """Open a scene and decide what to do with it; its notes are told to the reporter.

        Raises:
            InputError, EngineError: as `detect`.
        """
        begun = time.perf_counter()
        config, package = self.config, self.package(reporter)
        card, rules = package.card, ClassRules.of(config, package.card)
        wanted = config.bands, card.input.bands, config.require_crs, config.threads or 2, config.max_gigapixels
        with open_scene(scene, *wanted) as opened:
            with gdal_settings(opened.path, 64 << 20):
                plan = make_plan(opened, card, config)
            for note in (*opened.notes, *plan.notes):
                reporter.note(note)
            engine = self._open_engine(package, plan.canvas)
            told = identity(opened, package, plan, rules, engine)
            yield View(opened, config, rules, plan, package, engine, told, begun)

    def predict(self, view: View, span: range) -> Generator[Seen, None, None]:
        """Yield what the network sees in a span of the tiles, see `prediction.predict`; close the generator."""
        try:
            yield from predict(view, span)
        except BaseException:
            self.close()  # a thread may still be in it
            raise

    def detect(
        self,
        scene: str | Path | View,
        *,
        output: str | Path | None = None,
        overwrite: bool = False,
        preview: str | Path | None = None,
        resume: bool = True,
        reporter: Reporter = SILENT,
    ) -> DetectResult:
        """Find the objects in one scene, or one open in a view, and write them as map features.

        See `geodetect.detect`.
        """
        target, picture = (None if path is None else Path(path) for path in (output, preview))
        check_targets(scene.scene.path if isinstance(scene, View) else scene, target, picture, overwrite)
        if isinstance(scene, View):
            opened: contextlib.AbstractContextManager[View] = contextlib.nullcontext(scene)
        else:
            check_scene(scene)
            opened = self.view(scene, reporter)
        with Journal(target) if target else contextlib.nullcontext() as journal, opened as view:
            if target:
                clear_leftovers(target)
            if journal and resume:
                _go_on(journal, view, reporter)
            elif journal:
                journal.clear()  # it is but the lock, then
            found = self._look(view, journal if resume else None, reporter)
            return _finish(view, found, target, picture, reporter)

    def _open_engine(self, package: ModelPackage, canvas: int) -> Engine:
        config = self.config
        if self._engine is None or self._engine[0] != canvas:
            self.close()
            options = config.engine, config.device, config.precision, config.batch_size, config.threads
            self._engine = canvas, open_engine(package, *options, canvas=canvas)
        return self._engine[1]

    def _look(self, view: View, journal: Journal | None, reporter: Reporter) -> Detections:
        """Return what the network sees in all tiles, unmerged; what the journal has is not looked at again."""
        total = len(view.plan.windows)
        done, parts = (journal.done, [journal.found]) if journal else (0, [])
        count, looked = sum(count_of(part, view.rules) for part in parts), done
        reporter.progress("detect", done, total, count)
        try:
            for span in journal.missing(range(total)) if journal else [range(total)]:
                with contextlib.closing(self.predict(view, span)) as coming:
                    for seen in coming:
                        if journal:
                            journal.add(seen.span, seen.found)
                        parts.append(seen.found)
                        done, looked = done + len(seen.span), looked + seen.looked
                        count += count_of(seen.found, view.rules)  # near enough: what seams double is still in it
                        reporter.progress("detect", done, total, count)
        except (KeyboardInterrupt, Cancelled) as stop:
            self.close()
            if journal and journal.done and not journal.lacking:
                told = f"Stopped after {journal.done:,} of {total:,} tiles; the same command goes on from there."
                raise type(stop)(told) from None
            raise
        if not looked:
            reporter.note(NOTHING_VALID)
        return Detections.concatenate(parts)


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
    with Detector(config, **(settings | {"model": model})) as detector:
        return detector.detect(
            scene, output=output, overwrite=overwrite, preview=preview, resume=resume, reporter=reporter
        )


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


def _go_on(journal: Journal, view: View, reporter: Reporter) -> None:
    """Take over what an earlier run finished, and say so."""
    total = len(view.plan.windows)
    why = journal.recall(view.identity, total, len(view.card.classes))
    if journal.lacking:
        reporter.note(f"no journal can be kept beside the output ({journal.lacking}): a stopped run starts anew")
    if why:
        reporter.note(f"an earlier run was not finished, but {why}, so this one starts anew")
    elif journal.done:
        reporter.note(f"going on after {journal.done:,} of {total:,} tiles, which an earlier run finished")


def _finish(view: View, found: Detections, target: Path | None, image: Path | None, reporter: Reporter) -> DetectResult:
    """Merge what all tiles saw, put it on the map and write it."""
    scene, card = view.scene, view.card
    reporter.progress("merge", 0, 1, len(found))
    detections = merge_views(view, found)
    run = run_row(view, detections)
    features = from_detections(detections, scene.grid, card.classes, scene.name, card.name, run["run_id"])
    reporter.progress("write", 0, 1, len(detections))
    run["seconds"] = round(time.perf_counter() - view.begun, 3)
    with replacing(image) if image else contextlib.nullcontext() as drawn:
        if drawn:
            write_preview(drawn, scene, view.plan.normaliser.stretch, detections, card.classes, card.palette)
        if target:
            exports.write(target, features, run, card.classes, card.palette, scene.grid)
    return DetectResult(detections, features, scene.grid, card.classes, run, target)
