"""Evaluation of files: the vector layers that it reads, and the layer of errors and the figures that it writes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geodetect import evaluation
from geodetect.errors import ConfigError, InputError, OutputError
from geodetect.evaluation import Evaluation, MapObjects, Outcome
from geodetect.files import check_writable, replacing
from geodetect.geopackage import add_style, write_layer
from geodetect.style import qml
from geodetect.values import LONGEST_NAME
from geodetect.vectorfile import check_count

if TYPE_CHECKING:
    import geopandas

CLASS_FIELDS = ("class", "label", "class_name", "classname", "type", "name", "category", "kind", "species")
SCORE_FIELDS = ("score", "confidence", "conf", "probability")
DIFFICULT_FIELDS = ("difficult", "ignore", "iscrowd")
ERRORS = "errors"  # the layer's name
OUTCOMES = {  # what the layer holds, and its colour: the colour-blind too can tell them apart
    Outcome.HIT: ("hit", "#3399ff"),
    Outcome.MISS: ("miss", "#d55e00"),
    Outcome.FALSE_ALARM: ("false alarm", "#f0e442"),
    Outcome.DUPLICATE: ("duplicate", "#cc79a7"),
    Outcome.IGNORED: ("ignored", "#8c8c8c"),
}


def evaluate(
    detections: str | Path | MapObjects | geopandas.GeoDataFrame,
    truth: str | Path | MapObjects | geopandas.GeoDataFrame,
    iou: float = 0.5,
    *,
    score: float | Mapping[str, float] = 0.0,
    class_field: str | None = None,
    layer: str | None = None,
    errors: str | Path | None = None,
    report: str | Path | None = None,
    overwrite: bool = False,
) -> Evaluation:
    """Return how well detections meet the truth: vector layers in any format that GDAL reads, GeoDataFrames or objects.

    The rules of the comparison are those of `geodetect.evaluation.evaluate`. Where `score` leaves none out, the result
    has one outcome a row, in the rows' order; rows without geometry are not counted.

    Args:
        detections: polygons with a field `class` and, usually, `score`, such as `detect` writes.
        truth: polygons or points, in any CRS; those with a field `difficult` that is 1 count nowhere.
        iou: the least IoU of a hit, above 0, up to 1.
        score: detections below it are left out; a number, or one a class, of which those not named keep all.
        class_field: the attribute of the truth that holds the class; None looks for `class`, `label` and the like.
        layer: of the truth; None: the first one.
        errors: where to write hits, misses, false alarms and duplicates as a styled layer; ends in .gpkg.
        report: where to write the figures as JSON.
        overwrite: replace `errors` and `report` where they exist, but never an input.

    Raises:
        InputError: a layer cannot be read or the two cannot be compared.
        ConfigError: `iou` or `score` is out of range.
        OutputError: `errors` or `report` cannot be written, exists, or is an input.
    """
    _check_score(score)
    inputs: list[str | Path] = [_where(objects) for objects in (detections, truth)]
    if errors is not None:
        if Path(errors).suffix.lower() != ".gpkg":
            raise OutputError(f"the layer of errors {errors} must be a GeoPackage; give a name that ends in .gpkg")
        _check_output(errors, inputs, overwrite)
    if report is not None:
        _check_output(report, inputs if errors is None else [*inputs, errors], overwrite)
    found = _as_objects(detections)
    found = found[~(found.scores < _least_scores(found.names, score))]  # those without a score stay, to be refused
    true = _as_objects(truth, class_field, layer, is_truth=True)
    result = evaluation.evaluate(found, true, iou)
    if errors is not None:
        write_errors(errors, result, found, true)
    if report is not None:
        with replacing(Path(report)) as temporary:
            temporary.write_text(json.dumps(result.to_dict(), indent=2) + "\n", encoding="utf-8")
    return result


def read_objects(
    path: str | Path, class_field: str | None = None, layer: str | None = None, *, is_truth: bool = False
) -> MapObjects:
    """Return the objects of a vector layer in any format that GDAL reads.

    Args:
        path: the file.
        class_field: the attribute that holds the class; None looks for `class`, `label`, `type` and the like.
        layer: its name; None: the first one.
        is_truth: read the flag `difficult`, not the scores; detections have scores and no such flag.

    Raises:
        InputError: the file cannot be read, or it has no such field or layer, geometry of another kind, or text
            where numbers belong.
    """
    import pyogrio

    try:
        layer = layer or _first_layer(path)
        check_count(path, layer, InputError)
        meta, _, geometry, values = pyogrio.raw.read(str(path), layer=layer)
    except MemoryError as error:  # a file can claim any number
        raise InputError(f"{path} has more objects than fit into memory; divide it") from error
    except _faults() as error:
        raise InputError(f"{path} cannot be read as a vector layer ({' '.join(str(error).split())})") from error
    if geometry is None:
        raise InputError(f"{path} has no geometry; give a layer of polygons or points")
    columns = dict(zip(meta["fields"], values, strict=True))
    try:
        shapes = shapely.force_2d(shapely.from_wkb(geometry))
    except shapely.errors.GEOSException as error:  # a surface, for example
        raise InputError(f"{path} holds geometry that is neither polygon nor point ({error})") from error
    return _from_columns(shapes, columns, _known(meta["crs"]), str(path), class_field, is_truth)


def _faults() -> tuple[type[Exception], ...]:
    """Return what pyogrio raises for a file that is no vector file or is damaged, documented or not."""
    import pyogrio

    kinds = ("DataSourceError", "DataLayerError", "FeatureError", "FieldError", "GeometryError", "CRSError")
    return (*(getattr(pyogrio.errors, kind) for kind in kinds), LookupError, ValueError, OverflowError, OSError)


def _as_objects(
    objects: str | Path | MapObjects | geopandas.GeoDataFrame,
    class_field: str | None = None,
    layer: str | None = None,
    is_truth: bool = False,
) -> MapObjects:
    """Return objects as they are, those of a file or those of a GeoDataFrame."""
    if isinstance(objects, MapObjects):
        return objects
    if isinstance(objects, (str, Path)):
        return read_objects(objects, class_field, layer, is_truth=is_truth)
    where = _where(objects)
    try:
        geometry = objects.geometry
    except AttributeError as error:  # a plain table, or one whose geometry is not set
        raise InputError(f"{where} has no geometry; give a layer's path or a GeoDataFrame with one") from error
    fields = [name for name in objects.columns if name != geometry.name]
    columns = {str(name): objects[name].to_numpy(object, na_value=None) for name in fields}
    crs = None if objects.crs is None else objects.crs.to_wkt()
    return _from_columns(shapely.force_2d(geometry.to_numpy()), columns, crs, where, class_field, is_truth)


def _from_columns(
    shapes: np.ndarray, columns: dict[str, Any], crs: str | None, path: str, class_field: str | None, is_truth: bool
) -> MapObjects:
    """Return objects from a layer's geometry and attributes."""
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    odd = set(shapely.get_type_id(shapes[there]).tolist()) - {0, 3, 6}
    if odd:
        raise InputError(f"{path} holds geometry that is neither polygon nor point; give polygons or points")
    if not np.isfinite(shapely.get_coordinates(shapes[there])).all():
        raise InputError(f"{path} has coordinates that are no numbers; mend the layer")
    field = _class_field(columns, class_field, path)
    names = columns[field]
    _check_length(max((len(str(name)) for name in names if name is not None), default=0), field, path)
    numbers = _numbers(columns, DIFFICULT_FIELDS if is_truth else SCORE_FIELDS, path)
    objects = MapObjects.of(
        shapes,
        ["" if name is None else str(name) for name in names],
        None if is_truth else numbers,
        None if not is_truth or numbers is None else np.nan_to_num(numbers) > 0,
        crs,
        path,
    )
    return objects[there]


def _check_length(longest: int, field: str, path: str) -> None:
    """Raise InputError where a class is a long text: in a column, all take as much room as the longest."""
    if longest > LONGEST_NAME:
        raise InputError(
            f"{path} has a text of {longest:,} characters in its field {field!r}, at most {LONGEST_NAME} make the name "
            "of a class; name another field with --class-field"
        )


def _where(objects: str | Path | MapObjects | geopandas.GeoDataFrame) -> str:
    """Return what messages call these objects: their file, if they have one."""
    if isinstance(objects, (str, Path)):
        return str(objects)
    return objects.where if isinstance(objects, MapObjects) else "the table"


def _check_score(score: float | Mapping[str, float]) -> None:
    for value in score.values() if isinstance(score, Mapping) else (score,):
        if not 0 <= value <= 1:
            raise ConfigError(f"score is {score!r}, give a number from 0 to 1, for all classes or each")


def _least_scores(names: np.ndarray, score: float | Mapping[str, float]) -> np.ndarray:
    """Return the least score (N,) of each detection; names are compared without regard to case, as everywhere."""
    if not isinstance(score, Mapping):
        return np.full(len(names), float(score))
    least = {name.strip().lower(): float(value) for name, value in score.items()}
    return np.array([least.get(name.strip().lower(), 0.0) for name in names.tolist()])


def write_errors(path: str | Path, result: Evaluation, detections: MapObjects, truth: MapObjects) -> None:
    """Write hits, misses, false alarms and duplicates as the layer `errors` of a GeoPackage with a QGIS style.

    Args:
        path: ends in .gpkg; replaced if it exists.
        result: of these detections and this truth.
        detections, truth: as they were given to `evaluate`; the layer is in the detections' CRS if they have one.

    Raises:
        OutputError: the file cannot be written.
    """
    truth = truth.to_crs(detections.crs)
    missed = result.truth_outcomes == Outcome.MISS
    fields = {
        "outcome": _words(np.concatenate([result.outcomes, result.truth_outcomes[missed]])),
        "class": np.concatenate([detections.names, truth.names[missed]]).astype(object),
        "score": np.concatenate([detections.scores, np.full(missed.sum(), np.nan)]),
        "iou": np.concatenate([result.overlaps, np.zeros(missed.sum())]),
    }
    shapes = np.concatenate([detections.geometry, _drawn(truth.geometry[missed], detections.geometry)])
    with replacing(Path(path)) as temporary:
        write_layer(temporary, ERRORS, shapes, fields, detections.crs or truth.crs)
        names, colours = zip(*OUTCOMES.values(), strict=True)
        with closing(sqlite3.connect(temporary)) as database:
            add_style(database, ERRORS, qml(names, colours, field="outcome", label='concat("outcome", \' \', "class")'))
            database.commit()


def _check_output(path: str | Path, others: list[str | Path], overwrite: bool) -> None:
    """Raise OutputError where `path` is one of the other files of this evaluation, or cannot become a new file."""
    for other in map(Path, others):
        both_there = Path(path).exists() and other.exists()
        if (both_there and other.samefile(path)) or other.resolve() == Path(path).resolve():
            raise OutputError(f"the output {path} is also {other}, which would be lost; give another name")
    check_writable(Path(path), overwrite)


def _drawn(missed: np.ndarray, detections: np.ndarray) -> np.ndarray:
    """Return missed objects as polygons: points become squares of a usual box, since QGIS fills no point."""
    side = float(np.median(np.sqrt(shapely.area(detections)))) if len(detections) else 1.0
    return np.where(shapely.get_type_id(missed) == 0, shapely.buffer(missed, side / 2, cap_style="square"), missed)


def _first_layer(path: str | Path) -> str | None:
    """Return the name of the first layer with a geometry, None where there is none: tables stand beside layers."""
    import pyogrio

    return next((str(name) for name, kind in pyogrio.list_layers(str(path)) if kind is not None), None)


def _words(outcomes: np.ndarray) -> np.ndarray:
    return np.array([OUTCOMES[Outcome(outcome)][0] for outcome in outcomes.tolist()], object)


def _known(crs: str | None) -> str | None:
    """Return None for the CRS by which a GeoPackage of before GDAL 3.9 says that it has none."""
    return None if crs is None or '"Undefined ' in crs else crs


def _numbers(columns: dict[str, Any], wanted: tuple[str, ...], path: str | Path) -> np.ndarray | None:
    """Return the first wanted column as float64, NULL as NaN; None where there is none."""
    field = _find(columns, wanted)
    if field is None:
        return None
    column = columns[field]
    if column.dtype == object:
        column = [np.nan if value is None else value for value in column]
    try:
        return np.asarray(column, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{path} has a field {field!r} that holds no numbers; rename it, or give it numbers from 0 to 1"
        ) from error


def _find(columns: dict[str, Any], wanted: tuple[str, ...]) -> str | None:
    """Return the first wanted name that is a column, whatever its case."""
    by_lower = {name.lower(): name for name in columns}
    return next((by_lower[name] for name in wanted if name in by_lower), None)


def _class_field(columns: dict[str, Any], wanted: str | None, path: str | Path) -> str:
    field = _find(columns, CLASS_FIELDS if wanted is None else (wanted.lower(),))
    if field is None:
        missing = "no field that looks like a class" if wanted is None else f"no field {wanted!r}"
        raise InputError(
            f"{path} has {missing}; name one of its fields with --class-field: {', '.join(columns) or 'it has none'}"
        )
    return field
