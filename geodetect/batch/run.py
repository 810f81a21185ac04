"""Working through many scenes: read it from `run_batch` down."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geodetect import __version__
from geodetect.area import check_area
from geodetect.batch.cluster import Cluster
from geodetect.batch.foreman import Foreman
from geodetect.batch.names import output_names
from geodetect.batch.record import Record
from geodetect.batch.report import write_report, write_summary
from geodetect.batch.report.summary import MAP, TABLE
from geodetect.batch.state import State, as_left, check_begun, none_begun
from geodetect.batch.terms import check_same, describe, ending_of, settled
from geodetect.batch.work import Job, engine_of
from geodetect.batch.workers import LocalWorkers, local_slots
from geodetect.config import ClassRules, DetectConfig
from geodetect.errors import Cancelled, ConfigError, EngineError, GeodetectError, OutputError
from geodetect.files import clear_folder
from geodetect.journal import Journal
from geodetect.package import ModelPackage
from geodetect.pipeline import Detector
from geodetect.progress import SILENT, Caution, Reporter
from geodetect.shown import shown_path

BLOCK = 64  # tiles: a scene of twice as many is looked at in blocks, by several workers and with less to do again
REPORT = "report.html"
QUICKLOOKS = "quicklooks"
_REPORT_EVERY = 60  # s, and twenty times what it takes to write


@dataclass(frozen=True)
class BatchResult:
    """What became of a batch.

    Attributes:
        folder: where all is.
        records: of all scenes, in the order given.
        about: what holds for all of them: model, licence, settings, engine, when it was begun, seconds.
    """

    folder: Path
    records: tuple[Record, ...]
    about: dict[str, Any]

    def of(self, state: str) -> list[Record]:
        """Return the scenes in a state."""
        return [record for record in self.records if record.state == state]

    @property
    def report(self) -> Path:
        """The report for people."""
        return self.folder / REPORT


@dataclass(frozen=True)
class BatchOptions:
    """How a batch is done; none of it changes the results.

    Attributes:
        workers: processes on this machine; None: as many as it has cores and memory for.
        scheduler: address of a Dask scheduler whose workers do it instead.
        retries: how often a scene is tried again where a worker or a server was at fault.
        block: scenes of at least twice as many tiles are shared out in blocks of about so many; 0: never.
        quicklooks: draw small pictures for the report.
    """

    workers: int | None = None
    scheduler: str | None = None
    retries: int = 2
    block: int = BLOCK
    quicklooks: bool = True


def run_batch(
    scenes: Sequence[str],
    folder: str | Path,
    *,
    config: DetectConfig | None = None,
    go_on: bool = False,
    overwrite: bool = False,
    ending: str | None = None,
    options: BatchOptions | None = None,
    reporter: Reporter = SILENT,
    **settings: Any,
) -> BatchResult:
    """Detect in many scenes and write a file for each, a summary and a report; one bad scene does not stop the rest.

    The result is the same whatever the number of workers. It can be stopped or killed at any moment: the same call
    with `go_on` does what is left. Workers are processes that import the calling script: call this below
    `if __name__ == "__main__":` there.

    Args:
        scenes: paths or URLs, see `find_scenes`; with `go_on` none, or more than before. One that failed before, or is
            no longer there, and is not among them is dropped; nothing that was written is.
        folder: of the outputs; made where it does not exist. On a cluster all machines must see it by this path.
        config: settings; None: the defaults, with `go_on` those that the batch was begun with; others are an error.
        go_on: do what is left of the batch in the folder; scenes that failed are tried again, those outside the area
            are not.
        overwrite: begin anew, and replace outputs that exist.
        ending: of the outputs, which names their format; None: .gpkg, with `go_on` that of the batch.
        options: workers, retries and so on; None: the defaults.
        reporter: is told progress and notes, and may cancel.
        settings: fields of `DetectConfig` that replace the configuration's.

    Raises:
        InputError: settings, model or folder cannot be used, or another run works in the folder.
        EngineError: the engine or the cluster is not available.
        Cancelled: it was stopped; what is done stays.
    """
    folder, options = Path(folder).resolve(), options or BatchOptions()
    if go_on and overwrite:
        raise ConfigError("--continue and --overwrite contradict each other; give one of them")
    if not scenes and not go_on:
        raise ConfigError("there are no scenes to detect in; give files, folders or lists, or --continue a batch")
    if not scenes:
        check_begun(folder)
    _make(folder)
    with State(folder, write=True) as state:
        begun = state.records()
        if not begun and not scenes:
            raise none_begun(folder)
        if begun and not (go_on or overwrite):
            done, plural = sum(record.state == "done" for record in begun), "s" if len(begun) > 1 else ""
            raise OutputError(
                f"a batch of {len(begun):,} scene{plural}, {done:,} of them done, is in {folder}; go on with it by "
                "--continue, or begin anew by --overwrite"
            )
        before = state.about() if begun and go_on else {}
        config = settled(before, config, settings)
        ending = ending_of(before, ending)
        package = Detector(config).package(reporter)
        ClassRules.of(config, package.card)
        if config.area:
            check_area(config.area, config.area_crs)
        with contextlib.closing(_workers(options, package)) as workers:
            engine = _engine(workers, config, package)
            about = describe(folder, config, package, before) | {"engine": engine, "ending": ending}
            check_same(before, about)
            if begun and not go_on:
                state.clear()
                begun = []
            scenes = [_rooted(scene) for scene in scenes]
            gone = _gone(begun, folder, scenes)
            more = _more(begun, gone, folder, scenes, ending, overwrite)
            _drop(state, gone, reporter)
            state.add(more)
            _take_over(state, reporter)
            state.describe(about)
            return _work(state, workers, config, options, reporter)


def status(folder: str | Path) -> tuple[BatchResult, bool]:
    """Return where the batch in a folder stands, and whether it runs now.

    Raises:
        OutputError: there is none.
    """
    folder = Path(folder).resolve()
    with State(folder) as state:
        records, runs = state.records(), state.running
        if not records and not runs:
            raise none_begun(folder)
        return BatchResult(folder, tuple(records), state.about()), runs


def write_outputs(state: State, reporter: Reporter = SILENT) -> None:
    """Write summary and report of what is done so far; what cannot be written, being open elsewhere, is told."""
    records, about = state.records(), state.about()
    for write in (
        lambda: write_summary(state.folder, records, list(about.get("palette") or ())),
        lambda: write_report(state.folder / REPORT, records, about, state.folder / QUICKLOOKS),
    ):
        try:
            write()
        except OutputError as error:
            reporter.note(Caution(str(error)))


def _work(
    state: State, workers: LocalWorkers | Cluster, config: DetectConfig, options: BatchOptions, reporter: Reporter
) -> BatchResult:
    """Have all that is left done; write the report now and then, and at the end."""
    quick = state.folder / QUICKLOOKS if options.quicklooks else None
    about, started = state.about(), time.monotonic()
    before = about.get("seconds", 0.0)

    def job(record: Record) -> Job:
        picture = None if quick is None else str(quick / _picture(record))
        output = str(state.folder / record.output)
        return Job(record.scene, output, config, options.block, picture, about["model_sha256"], about["engine"])

    def write() -> None:
        state.describe({"seconds": round(before + time.monotonic() - started, 1)})
        write_outputs(state, reporter)

    foreman, due = Foreman(state, workers, job, options.retries, reporter), started + _REPORT_EVERY
    try:
        while foreman.turn():
            if (now := time.monotonic()) > due:
                write()
                due = time.monotonic() + max(_REPORT_EVERY, 20 * (time.monotonic() - now))
        write()
        if all(record.state == "outside" for record in state.records()):
            reporter.note(Caution("the area meets none of the scenes; check its coordinates and its CRS"))
    except BaseException as error:
        with contextlib.suppress(OutputError, KeyboardInterrupt):  # a full disk, or haste: what was there before stays
            foreman.close()
            workers.close()
            write()
        if not isinstance(error, (KeyboardInterrupt, Cancelled)):
            raise
        done = sum(record.state == "done" for record in state.records())
        raise Cancelled(
            f"Stopped with {done:,} of {len(state.records()):,} scenes done; go on with "
            f"`geodetect batch --continue -o {state.folder}`."
        ) from None
    return BatchResult(state.folder, tuple(state.records()), state.about())


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {folder} cannot be made ({error.strerror}); give another") from error


def _workers(options: BatchOptions, package: ModelPackage) -> LocalWorkers | Cluster:
    return Cluster(options.scheduler) if options.scheduler else LocalWorkers(options.workers or local_slots(package))


def _engine(workers: LocalWorkers | Cluster, config: DetectConfig, package: ModelPackage) -> str:
    """Return which engine the workers take; raises where every scene would fail for want of one."""
    if isinstance(workers, LocalWorkers):
        return engine_of(config, package)
    try:
        return workers.submit(engine_of, config).result()
    except GeodetectError:
        raise
    except Exception as error:
        raise EngineError(
            f"the workers cannot run geodetect ({' '.join(str(error).split())[:200]}); install {__version__} there"
        ) from error


def _take_over(state: State, reporter: Reporter) -> None:
    """Make all that is left wait, and remove what killed writers left."""
    records = state.records()
    left = [as_left(record, state.folder) for record in records]
    gone = sum(old.state == "done" and new.state != "done" for old, new in zip(records, left, strict=True))
    if gone:
        reporter.note(f"{gone:,} result{'s are' if gone > 1 else ' is'} no longer there and made again")
    state.update(left)
    clear_folder(state.folder, [REPORT, TABLE, MAP, *(record.output for record in records)])
    clear_folder(state.folder / QUICKLOOKS, [_picture(record) for record in records])


def _picture(record: Record) -> str:
    """Return the name of a scene's picture."""
    return f"{Path(record.output).stem}.jpg"


def _gone(records: Sequence[Record], folder: Path, scenes: Collection[str]) -> list[Record]:
    """Return the scenes that are not done and no longer named, and were tried in vain or are no longer there."""
    named = set(scenes)
    left = [as_left(record, folder) for record in records if named and record.scene not in named]
    return [one for one in left if one.state != "done" and (one.reason or _is_missing(one.scene))]


def _drop(state: State, dropped: Sequence[Record], reporter: Reporter) -> None:
    """Forget scenes, and what was begun of them."""
    for record in dropped:
        with contextlib.suppress(OutputError):  # another run's
            Journal(state.folder / record.output).close(keep=False)
    state.drop(dropped)
    if dropped:
        told = f"{len(dropped):,} scene{'s are' if len(dropped) > 1 else ' is'} no longer named and dropped"
        reporter.note(f"{told}, such as {shown_path(dropped[0].scene)}")


def _is_missing(scene: str) -> bool:
    return os.path.isabs(scene) and not scene.startswith("/vsi") and not os.path.lexists(scene)


def _more(
    begun: Sequence[Record], gone: Sequence[Record], folder: Path, scenes: Sequence[str], ending: str, overwrite: bool
) -> list[Record]:
    """Return the scenes that are not there yet; raises OutputError where an output would be lost."""
    dropped = {record.scene for record in gone}
    there = [record for record in begun if record.scene not in dropped]
    known = {record.scene for record in there}
    scenes = [scene for scene in scenes if scene not in known]
    names = output_names(scenes, ending, [record.output for record in there])
    lost = [] if overwrite else [name for name in names if (folder / name).exists()]
    if lost:
        raise OutputError(
            f"{len(lost):,} output{'s' if len(lost) > 1 else ''} exist{'' if len(lost) > 1 else 's'} in "
            f"{folder}, such as {lost[0]}; give another folder, or --overwrite to replace them"
        )
    return [Record(scene, name) for scene, name in zip(scenes, names, strict=True)]


def _rooted(scene: str) -> str:
    """Return a scene's path from the root and without "..", so that it is one scene however it is named."""
    path = os.path.abspath(scene)
    if not os.path.exists(scene):
        return scene
    same = os.path.exists(path) and os.path.samefile(path, scene)  # behind a link ".." may lead elsewhere
    return path if same else str(Path(scene).absolute())
