"""The results of overlapping scenes as one: each object once, on one map, with where it comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from affine import Affine

from geodetect import exports, geopackage, lineage
from geodetect.detections import Detections
from geodetect.errors import ConfigError, InputError, OutputError
from geodetect.features import Features, from_detections
from geodetect.files import check_writable
from geodetect.grid import GeoGrid
from geodetect.lineage import Run
from geodetect.merge import merge_rows
from geodetect.nms import ranking, strongest_first
from geodetect.outlines import Outline, look, one_turn, reproject
from geodetect.progress import SILENT, Caution, Reporter
from geodetect.schema import COLUMNS

if TYPE_CHECKING:
    import geopandas
    from rasterio.crs import CRS

_TORN = 1000.0  # a polygon that gets that much longer lies across the edge of the CRS


@dataclass(frozen=True, eq=False)
class MergeResult:
    """What several results have found, each object once.

    Attributes:
        features: by falling score; each with the scene, model and run of the view that stands for it.
        classes: of all runs; a feature's `class_id` is the model's where all models agree, else an index into these.
        runs: the rows of `geodetect_runs`, each run once, with the CRS of its footprint in `crs`.
        seen: how many features the results held.
        output: the file written, or None.
    """

    features: Features
    classes: tuple[str, ...]
    runs: list[Run]
    seen: int
    output: Path | None

    def __repr__(self) -> str:
        """Name the counts, not the arrays."""
        found = ", ".join(f"{count} {name}" for name, count in self.counts.items()) or "nothing"
        return f"<MergeResult of {len(self.runs)} runs: {found}; output {self.output}>"

    @property
    def counts(self) -> dict[str, int]:
        """How many objects of each class are left, classes without any left out."""
        found = Counter(self.features.columns["class"].tolist())
        return {name: found[name] for name in self.classes if found[name]}

    def to_geodataframe(self) -> geopandas.GeoDataFrame:
        """Return the features as a GeoDataFrame."""
        return self.features.to_geodataframe()


def merge_results(
    results: Sequence[str | Path],
    output: str | Path | None,
    *,
    crs: Any = None,
    iou: float | Mapping[str, float] | None = None,
    overwrite: bool = False,
    reporter: Reporter = SILENT,
) -> MergeResult:
    """Merge the results of overlapping scenes: of an object that several scenes show, one feature is left.

    Scenes are merged as the tiles of one scene are: what a scene's border cuts falls to a view of the whole object,
    and halves are joined where no scene shows all of it; where scenes are turned against each other by more than about
    10 degrees, halves of long objects may stay two. Only features of one class, by its name, are compared, and never
    those of one result, so one result alone stays as it is. The order of the results makes no difference.

    Args:
        results: GeoPackages that `detect`, `run_batch` or `merge_results` wrote, or folders of these.
        output: .gpkg, .geojson, .fgb, .parquet or .csv; None writes nothing.
        crs: of the output, whatever rasterio understands; None: the one that most features are in.
        iou: features of a class that overlap more are one object, for all classes or each; None: what the runs had,
            the largest where they differ.
        overwrite: replace an output that exists, but never an input.
        reporter: is told progress and notes, and may cancel.

    Raises:
        InputError: a result cannot be read, or they cannot be brought into one CRS.
        ConfigError: `crs` or `iou` cannot be used.
        OutputError: the output cannot be written.
    """
    target = None if output is None else Path(output)
    paths = _files(results, target, reporter)
    if target:
        _check_target(target, paths, overwrite)
    parts, seen = [], 0
    for number, path in enumerate(paths):
        reporter.progress("read", number, len(paths), seen)
        parts.append(_Part(path, *geopackage.read(path)))
        seen += len(parts[-1].features)
    reporter.progress("merge", 0, 1, seen)
    parts.sort(key=lambda part: -len(part.runs))  # stable: what a merged file holds with others leads
    common = _common_crs(parts, crs, reporter)
    runs, scenes = lineage.gather_runs([(part.features, part.runs) for part in parts])
    features, classes = _merged(parts, common, runs, scenes, iou, reporter)
    reporter.progress("write", 0, 1, len(features))
    if target:
        _write(target, features, runs, classes)
    return MergeResult(features, classes, runs, seen, target)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What one file holds."""

    path: Path
    features: Features
    runs: list[Run]


def _files(results: Sequence[str | Path], target: Path | None, reporter: Reporter) -> list[Path]:
    """Return the files to read, each once and in one order; of a folder all GeoPackages but the output."""
    files: dict[Path, Path] = {}
    for path in map(Path, results):
        if path.is_dir():
            inside = {file.resolve(): file for file in path.glob("[!.]*.gpkg") if not _is_map(file)}
            if target:
                inside.pop(target.resolve(), None)
            if not inside:
                raise InputError(f"the folder {path} holds no results to merge; give GeoPackages that geodetect wrote")
            files |= inside
        elif _is_map(path):
            reporter.note(f"{path} is the map of a batch and no result, so it is left out")
        else:
            files[path.resolve()] = path
    if not files:
        raise InputError("there is nothing to merge; give GeoPackages that geodetect wrote")
    return [file for _, file in sorted(files.items())]


def _is_map(path: Path) -> bool:
    """Return whether a file is the summary that a batch writes beside its results."""
    import pyogrio

    try:
        return path.name == "summary.gpkg" and pyogrio.list_layers(path)[:, 0].tolist()[:1] == ["scenes"]
    except RuntimeError:
        return False  # what is wrong with it is told when it is read


def _check_target(target: Path, paths: Sequence[Path], overwrite: bool) -> None:
    """Raise OutputError where the output could not be written at the end, or is an input."""
    exports.check_format(target)
    if target.suffix.lower() == ".json":
        raise OutputError(f"the output {target} would be COCO, which knows boxes in one scene's px; choose .gpkg")
    for path in paths:
        if target.resolve() == path.resolve() or (target.exists() and path.exists() and target.samefile(path)):
            raise OutputError(f"the output {target} is also {path}, which would be lost; give another name")
    check_writable(target, overwrite)


def _common_crs(parts: Sequence[_Part], asked: Any, reporter: Reporter) -> CRS | None:
    """Return the CRS to merge in: the one asked for, else the one that most features are in, the first by name."""
    bare = [part for part in parts if part.features.crs is None]
    if bare and (len(bare) < len(parts) or asked is not None):
        raise InputError(f"{bare[0].path} has no CRS, so it cannot be brought into another; leave it out")
    if asked is not None:
        if (known := lineage.known_crs(asked)) is None:
            raise ConfigError(f"crs is {asked!r}, which is none that is known; give such as EPSG:32631")
        return known
    if not bare:
        counts: Counter[str] = Counter()
        for part in parts:
            counts[lineage.crs_name(part.features.crs)] += len(part.features)
        best = min(counts, key=lambda name: (-counts[name], name))
        if len(counts) > 1:
            reporter.note(f"the results are in {len(counts)} CRSs, and merged in {best}, which most features are in")
        return next(part.features.crs for part in parts if lineage.crs_name(part.features.crs) == best)
    told = [run for part in bare for run in part.runs]
    if len({str(run.get("scene")) for run in told}) > 1:
        if not all(run.get("georeference") == "geotransform" for run in told):
            raise InputError(
                f"{bare[0].path} and the others have no CRS, and pixel coordinates of different scenes cannot be "
                "merged; georeference the scenes and detect again"
            )
        reporter.note(Caution("no result has a CRS: their coordinates are taken to be in the same one"))
    return None


def _merged(
    parts: Sequence[_Part],
    crs: CRS | None,
    runs: Sequence[Run],
    scenes: np.ndarray,
    iou: float | Mapping[str, float] | None,
    reporter: Reporter,
) -> tuple[Features, tuple[str, ...]]:
    """Return the features that are left, and the classes."""
    columns = {name: np.concatenate([part.features.columns[name] for part in parts]) for name in COLUMNS}
    geometry = _in_one_turn(np.concatenate([_moved(part, crs) for part in parts]), crs)
    sources = np.repeat(np.arange(len(parts)), [len(part.features) for part in parts])
    classes, labels = lineage.gather_classes(columns, runs)
    limits = lineage.thresholds(classes, runs, iou)
    if told := lineage.uneven_scores(runs):
        reporter.note(f"the runs had different least scores ({told}): filter by score for the same everywhere")
    new = _new(geometry, sources, scenes, labels)
    geometry, sources, scenes, labels = geometry[new], sources[new], scenes[new], labels[new]
    sight = look(geometry, scenes, _outlines(runs, reporter), crs)
    tiles = sources * (len(runs) + 1) + sight.scenes  # a run that is in two files is compared with itself
    detections = Detections.of(sight.boxes, columns["score"][new], labels, np.unique(tiles, return_inverse=True)[1])
    rows, boxes, scores = merge_rows(detections, sight.windows, sight.sides, limits, sources=sources)
    order = strongest_first(ranking(boxes, scores, labels[rows]))
    rows, boxes = rows[order], boxes[order]
    columns = {name: column[new][rows] for name, column in columns.items()}
    columns |= {"score": scores[order], "id": np.arange(1, len(rows) + 1)}
    left = Features(geometry[rows], columns, np.full((len(rows), 4), np.nan), crs)
    joined = (boxes != sight.boxes[rows]).any(axis=1)
    _redraw(left, joined, Detections.of(boxes, scores[order], labels[rows])[joined], sight.frame, classes)
    return left, classes


def _redraw(features: Features, rows: np.ndarray, union: Detections, frame: GeoGrid, classes: Sequence[str]) -> None:
    """Give the features (N,) in the mask `rows` the polygons and sizes of what their views were joined to."""
    made = from_detections(union, frame, classes, "", "", "")
    features.geometry[rows] = made.geometry
    for name in ("length_m", "width_m", "area_m2"):
        features.columns[name][rows] = made.columns[name]


def _outlines(runs: Sequence[Run], reporter: Reporter) -> list[Outline | None]:
    outlines = [Outline.of(run, lineage.crs_of(run)) for run in runs]
    lacking = outlines.count(None)
    if lacking and len(runs) > 1:
        reporter.note(
            f"{lacking:,} of {len(runs):,} runs do not tell where their scene ends (it has no CRS, or an older version "
            "made them): what its border cuts may be left beside the whole object"
        )
    return outlines


def _moved(part: _Part, crs: CRS | None) -> np.ndarray:
    """Return the polygons (N,) in another CRS; raises InputError where they have no place in it."""
    geometry, source = part.features.geometry, part.features.crs
    if source is None or crs is None or source == crs:
        return geometry
    xy = reproject(shapely.get_coordinates(geometry), source, crs)
    counts = shapely.get_num_coordinates(geometry)
    first = np.repeat(xy[np.cumsum(counts) - counts, 0], counts)
    xy = one_turn(xy, crs, first)  # a polygon across the antimeridian stays in one piece
    moved = shapely.set_coordinates(geometry.copy(), xy) if np.isfinite(xy).all() else None
    if moved is None or (_slimness(moved) > _TORN * _slimness(geometry)).any():
        name = lineage.crs_name(crs)
        raise InputError(f"{part.path} does not lie within the CRS {name}; give another CRS to merge in")
    return moved


def _slimness(geometry: np.ndarray) -> np.ndarray:
    return shapely.length(geometry) ** 2 / np.maximum(shapely.area(geometry), np.finfo(float).tiny)


def _in_one_turn(geometry: np.ndarray, crs: CRS | None) -> np.ndarray:
    """Return polygons whose longitudes count on to 360 where those of both sides of the antimeridian come together."""
    if crs is None or not crs.is_geographic or not len(geometry):
        return geometry
    left = shapely.bounds(geometry)[:, 0]
    turned = np.where(left < 0, left + 360, left)
    if np.ptp(left) <= 180 or np.ptp(turned) >= np.ptp(left):
        return geometry
    xy, shift = shapely.get_coordinates(geometry), np.repeat(turned - left, shapely.get_num_coordinates(geometry))
    return shapely.set_coordinates(geometry.copy(), xy + np.stack([shift, np.zeros(len(shift))], axis=1))


def _new(geometry: np.ndarray, sources: np.ndarray, scenes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the rows of features that no file before has; the same ones, where a run is in two files, come once."""
    import pandas

    table = pandas.DataFrame(shapely.bounds(geometry).reshape(-1, 4)).assign(scene=scenes, label=labels)
    group = table.groupby(list(table.columns), sort=False).ngroup().to_numpy()
    _, first = np.unique(group, return_index=True)
    return np.flatnonzero(sources == sources[first][group])


def _write(target: Path, features: Features, runs: list[Run], classes: Sequence[str]) -> None:
    """Write the features in the format of the target's ending, a GeoPackage with style and runs."""
    colours = lineage.colours_of(classes, runs)
    if target.suffix.lower() == ".gpkg":
        geopackage.write(target, features, runs, classes, colours)
    else:
        exports.write(target, features, {}, classes, colours, GeoGrid(1, 1, Affine.identity()))
