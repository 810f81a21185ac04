"""Vector layers that an evaluation reads, and the layer of errors that it writes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geodetect.errors import InputError
from geodetect.evaluation import Evaluation, MapObjects, Outcome
from geodetect.files import replacing
from geodetect.geopackage import add_style, write_layer
from geodetect.style import qml

CLASS_FIELDS = ("class", "label", "class_name", "classname", "type", "name", "category", "kind", "species")
SCORE_FIELDS = ("score", "confidence", "conf", "probability")
DIFFICULT_FIELDS = ("difficult", "ignore", "iscrowd")
ERRORS = "errors"  # the layer's name
OUTCOMES = {  # what the layer holds, and its colour
    Outcome.HIT: ("hit", "#2e9e4f"),
    Outcome.MISS: ("miss", "#e0362c"),
    Outcome.FALSE_ALARM: ("false alarm", "#f2a51e"),
    Outcome.DUPLICATE: ("duplicate", "#9b4fd1"),
    Outcome.IGNORED: ("ignored", "#8c8c8c"),
}


def read_objects(path: str | Path, class_field: str | None = None, layer: str | None = None) -> MapObjects:
    """Return the objects of a vector layer in any format that GDAL reads.

    Args:
        path: the file.
        class_field: the attribute that holds the class; None looks for `class`, `label`, `type` and the like.
        layer: its name; None: the first one.

    Raises:
        InputError: the file cannot be read, or it has no such field or layer, or geometry of another kind.
    """
    import pyogrio

    try:
        meta, _, geometry, values = pyogrio.raw.read(str(path), layer=layer or _first_layer(path))
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise InputError(f"{path} cannot be read as a vector layer ({' '.join(str(error).split())})") from error
    if geometry is None:
        raise InputError(f"{path} has no geometry; give a layer of polygons or points")
    columns = dict(zip(meta["fields"], values, strict=True))
    shapes = shapely.force_2d(shapely.from_wkb(geometry))
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    odd = set(shapely.get_type_id(shapes[there]).tolist()) - {0, 3, 6}
    if odd:
        raise InputError(f"{path} holds geometry that is neither polygon nor point; give polygons or points")
    names = columns[_class_field(columns, class_field, path)]
    scores, difficult = _find(columns, SCORE_FIELDS), _find(columns, DIFFICULT_FIELDS)
    objects = MapObjects.of(
        shapes,
        ["" if name is None else str(name) for name in names],
        None if scores is None else columns[scores],
        None if difficult is None else np.nan_to_num(np.asarray(columns[difficult], np.float64)) > 0,
        meta["crs"],
        str(path),
    )
    return objects[there]


def write_errors(path: str | Path, evaluation: Evaluation, detections: MapObjects, truth: MapObjects) -> None:
    """Write hits, misses, false alarms and duplicates as the layer `errors` of a GeoPackage with a QGIS style.

    Args:
        path: ends in .gpkg; replaced if it exists.
        evaluation: of these detections and this truth.
        detections, truth: as they were given to `evaluate`; the layer is in the detections' CRS.

    Raises:
        OutputError: the file cannot be written.
    """
    truth = truth.to_crs(detections.crs)
    missed = evaluation.truth_outcomes == Outcome.MISS
    fields = {
        "outcome": _words(np.concatenate([evaluation.outcomes, evaluation.truth_outcomes[missed]])),
        "class": np.concatenate([detections.names, truth.names[missed]]).astype(object),
        "score": np.concatenate([detections.scores, np.full(missed.sum(), np.nan)]),
        "iou": np.concatenate([evaluation.overlaps, np.zeros(missed.sum())]),
    }
    shapes = np.concatenate([detections.geometry, _drawn(truth.geometry[missed], detections.geometry)])
    with replacing(Path(path)) as temporary:
        write_layer(temporary, ERRORS, shapes, fields, detections.crs)
        names, colours = zip(*OUTCOMES.values(), strict=True)
        with closing(sqlite3.connect(temporary)) as database:
            add_style(database, ERRORS, qml(names, colours, field="outcome", label='concat("outcome", \' \', "class")'))
            database.commit()


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
