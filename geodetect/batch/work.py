"""What a worker does: a scene, or a block of a large scene's tiles. Runs in processes of their own and on clusters."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geodetect import __version__
from geodetect.config import DetectConfig
from geodetect.detections import Detections
from geodetect.engines import open_engine
from geodetect.errors import (
    BusyError,
    EngineError,
    GeodetectError,
    InputError,
    ModelError,
    OutputError,
    OutsideError,
    SceneError,
    lacks_memory,
)
from geodetect.files import replacing
from geodetect.grid import GeoGrid
from geodetect.journal import engine_identity
from geodetect.package import ModelPackage
from geodetect.pipeline import Detector, DetectResult, View
from geodetect.preview import write_preview
from geodetect.progress import Caution, Reporter
from geodetect.shown import shown

QUICKLOOK_SIDE = 480  # px
_WHOLE = 4096  # px: a scene up to this side is drawn whole; a larger one without overviews would be decoded twice


@dataclass(frozen=True)
class Job:
    """A scene to work on.

    Attributes:
        scene: path or URL, absolute: workers have folders of their own.
        output: file to write, absolute.
        config: settings.
        block: a scene of at least twice as many tiles is looked at in blocks of about so many; 0: never.
        quicklook: picture to draw, or None.
        model: SHA-256 of the model's weights.
        engine: see `journal.engine_identity`.
        version: of the geodetect that wants it; the results of another, or of another model or engine, would differ.
    """

    scene: str
    output: str
    config: DetectConfig
    block: int = 0
    quicklook: str | None = None
    model: str = ""
    engine: str = ""
    version: str = __version__


@dataclass(frozen=True)
class Done:
    """A scene's result is written."""

    counts: dict[str, int]
    tiles: int
    footprint: str  # WKT, longitude and latitude
    notes: tuple[str, ...]  # what the user should know of it


@dataclass(frozen=True)
class Split:
    """A scene is so large that its tiles are looked at in blocks first.

    Attributes:
        identity: all that decides what the network sees: every block must be of the same.
        tiles: how many there are.
        n_classes: of the model.
        blocks: spans of the tiles.
    """

    identity: dict[str, str]
    tiles: int
    n_classes: int
    blocks: tuple[range, ...]


@dataclass(frozen=True, eq=False)
class Block:
    """What the network sees in a block of a scene's tiles, unmerged, and how many of them hold a valid pixel."""

    found: Detections
    looked: int


@dataclass(frozen=True)
class Outside:
    """The area of interest does not meet the scene; the reason is one sentence."""

    reason: str


@dataclass(frozen=True)
class Failed:
    """It could not be done.

    Attributes:
        reason: one sentence.
        again: whether another attempt may do better: a server or a machine was at fault, not what was given.
        busy: another run is writing the output.
    """

    reason: str
    again: bool
    busy: bool = False


_local = threading.local()  # of each thread that works: a cluster's workers may have several


class _Cautions(Reporter):
    """Keeps what the user must not miss; that a run goes on where another was stopped is the batch's affair."""

    def __init__(self) -> None:
        self.notes: list[Caution] = []

    def note(self, message: str) -> None:
        """Keep a caution."""
        if isinstance(message, Caution):
            self.notes.append(message)


def detect_scene(job: Job, split: bool = True) -> Done | Split | Outside | Failed:
    """Look at a scene and write what was found; or say in which blocks to look at it first, if it may be split.

    A scene whose blocks are all in the journal beside its output is merged and written.
    """

    def work() -> Done | Split:
        detector = _detector(job)
        with detector.view(job.scene) as view:
            _check_engine(job, view)
            blocks = view.plan.blocks(job.block) if split and job.block else []
            if len(blocks) > 1:
                classes = detector.package().card.classes
                return Split(view.identity, len(view.plan.windows), len(classes), tuple(blocks))
            cautions = _Cautions()
            result = detector.detect(view, output=job.output, overwrite=True, reporter=cautions)
            notes = *view.scene.notes, *view.plan.notes, *cautions.notes
            if job.quicklook:
                with contextlib.suppress(OSError, GeodetectError):  # a picture less is no reason to do it again
                    _draw(Path(job.quicklook), view, detector, result)
        return Done(result.counts, result.run["tiles"], outline(result.grid), notes)

    return _tried(job, work)


def detect_block(job: Job, identity: dict[str, str], span: range) -> Block | Outside | Failed:
    """Look at a block of a scene's tiles."""

    def work() -> Block:
        detector, view = _kept_view(job)
        _check_engine(job, view)
        if view.identity != identity:
            raise SceneError(f"{job.scene} was changed while it was worked on; run it again")
        with contextlib.closing(detector.predict(view, span)) as coming:
            parts = list(coming)
        return Block(Detections.concatenate(seen.found for seen in parts), sum(seen.looked for seen in parts))

    return _tried(job, work)


def engine_of(config: DetectConfig, package: ModelPackage | None = None) -> str:
    """Return which engine a worker would take, see `journal.engine_identity`; None: for the model of its machine."""
    package = package or Detector(config).package()
    engine = open_engine(package, config.engine, config.device, config.precision, 1, 1)
    engine.close()
    return engine_identity(engine)


def forget() -> None:
    """Close what this thread has open."""
    _close_view()
    if getattr(_local, "detector", None):
        _local.detector.close()
    _local.detector = None


def outline(grid: GeoGrid) -> str:
    """Return a scene's outline in longitude and latitude as WKT, "" where it has no CRS or none on the Earth."""
    if grid.crs is None:
        return ""
    import pyproj
    import shapely

    x, y = grid.to_map(*_edge(grid.width, grid.height))
    try:
        crs = pyproj.CRS.from_user_input(grid.crs)
        lon, lat = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True).transform(x, y)
    except pyproj.exceptions.ProjError:
        return ""
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return ""
    lon = np.unwrap(lon, period=360)  # a scene over the antimeridian counts on
    return shapely.to_wkt(shapely.polygons(np.stack([lon, lat], axis=1)), rounding_precision=6)


def _edge(width: int, height: int, steps: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Return points around a scene, px: straight edges are bent on another map."""
    t = np.arange(steps) / steps
    x = np.concatenate([t, np.ones(steps), 1 - t, np.zeros(steps), [0]]) * width
    y = np.concatenate([np.zeros(steps), t, np.ones(steps), 1 - t, [0]]) * height
    return x, y


def _tried(job: Job, work: Callable[[], Any]) -> Any:
    """Return what work returns, or why there is nothing; only what ends the process gets through."""
    if job.version != __version__:
        return Failed(f"a worker has geodetect {__version__}, not {job.version}; install the same everywhere", False)
    try:
        return work()
    except OutsideError as error:
        return Outside(shown(str(error).partition("; check")[0]))  # with many scenes there is nothing amiss
    except GeodetectError as error:
        remote = "://" in job.scene or job.scene.startswith("/vsi")
        elsewhere = isinstance(error, OutputError) or (isinstance(error, SceneError) and remote)
        again = elsewhere or not isinstance(error, InputError) or lacks_memory(error)
        failed = Failed(shown(str(error)), again, isinstance(error, BusyError))
    except Exception as error:
        text = " ".join(str(error).split()) or "no message"
        if lacks_memory(error):
            told = f"{job.scene}: no memory is left ({text}); give fewer --workers or a smaller --tile"
        else:
            told = f"{job.scene}: unexpected {type(error).__name__}: {text}"
        failed = Failed(shown(told), True)
    forget()
    return failed


def _detector(job: Job) -> Detector:
    """Return this thread's detector for a job: the network is opened once, not for every scene.

    Raises ModelError where the model is not the one that the batch was begun with.
    """
    detector = getattr(_local, "detector", None)
    if detector is None or detector.config != job.config or job.model not in ("", detector.package().sha256):
        forget()
        detector = _local.detector = Detector(job.config)
    if job.model not in ("", detector.package().sha256):
        raise ModelError(f"a worker has other weights of {job.config.model}; put the same model on all machines")
    return detector


def _check_engine(job: Job, view: View) -> None:
    """Raise EngineError where this worker's numbers would not be those of the others."""
    if job.engine not in ("", view.identity["engine"]):
        raise EngineError(
            f"the workers compute differently ({job.engine}; {view.identity['engine']}), so that the results would "
            "depend on them; give --engine openvino --precision float32"
        )


def _kept_view(job: Job) -> tuple[Detector, View]:
    """Return the job's scene, which stays open for its next block."""
    detector = _detector(job)
    if getattr(_local, "scene", None) != job.scene:
        _close_view()
        _local.stack = contextlib.ExitStack()
        _local.view = _local.stack.enter_context(detector.view(job.scene))
        _local.scene = job.scene
    return detector, _local.view


def _close_view() -> None:
    if getattr(_local, "scene", None) is not None:
        _local.stack.close()
    _local.scene = None


def _draw(path: Path, view: View, detector: Detector, result: DetectResult) -> None:
    """Draw a small picture, unless that would cost a large scene without overviews a second reading."""
    if not view.scene.has_overviews and max(view.scene.grid.width, view.scene.grid.height) > _WHOLE:
        return
    path.parent.mkdir(exist_ok=True)
    card, stretch = detector.package().card, view.plan.normaliser.stretch
    with replacing(path) as temporary:
        write_preview(temporary, view.scene, stretch, result.detections, card.classes, card.palette, QUICKLOOK_SIDE)
