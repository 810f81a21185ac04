"""A batch as a table and as a map: `summary.csv` and `summary.gpkg`."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geodetect.batch.record import Record
from geodetect.batch.report.footprints import read_footprints, within_world
from geodetect.batch.report.shown import shown_reason
from geodetect.cells import plain_cell
from geodetect.files import replacing
from geodetect.geopackage import write_layer
from geodetect.shown import shown, shown_path

TABLE, MAP, LAYER = "summary.csv", "summary.gpkg", "scenes"
_BEFORE, _AFTER = ("scene", "output", "state", "objects"), ("tiles", "seconds", "attempts", "reason", "notes", "ended")
_RESERVED = {"fid", "geom", *_BEFORE, *_AFTER}


def write_summary(folder: Path, records: Sequence[Record], classes: Sequence[str] = ()) -> None:
    """Write one row a scene as `summary.csv`, and with footprints (EPSG:4326) as layer `scenes` of `summary.gpkg`.

    Args:
        folder: of the batch.
        records: its scenes.
        classes: the model's, for columns even where none was found; others that were counted follow.

    Raises:
        OutputError: the disk is full, or QGIS has the map open.
    """
    columns = _columns(records, class_names(records, classes))
    with replacing(folder / TABLE) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([plain_cell(name) for name in columns])
        for row in zip(*(column.tolist() for column in columns.values()), strict=True):
            writer.writerow([plain_cell(value) if isinstance(value, str) else value for value in row])
    shapes = read_footprints([record.footprint for record in records])
    geometry = np.array([*map(within_world, shapes), None], object)[:-1]
    with replacing(folder / MAP) as temporary:
        write_layer(temporary, LAYER, geometry, columns, "EPSG:4326")


def class_names(records: Iterable[Record], first: Iterable[str] = ()) -> list[str]:
    """Return the classes that were counted: those given first in their order, then others by name."""
    given = list(dict.fromkeys(first))
    return given + sorted({name for record in records for name in record.counts}.difference(given))


def _columns(records: Sequence[Record], classes: Sequence[str]) -> dict[str, np.ndarray]:
    values: dict[str, tuple[Any, type]] = {
        "scene": ([shown_path(record.scene) for record in records], object),
        "output": ([shown(record.output) for record in records], object),
        "state": ([record.state for record in records], object),
        "objects": ([record.count for record in records], np.int64),
        **{
            column: ([record.counts.get(name, 0) for record in records], np.int64)
            for column, name in zip(_class_columns(classes), classes, strict=True)
        },
        "tiles": ([record.tiles for record in records], np.int64),
        "seconds": ([round(record.seconds, 3) for record in records], np.float64),
        "attempts": ([record.attempts for record in records], np.int32),
        "reason": ([shown_reason(record, shown_path(record.scene)) for record in records], object),
        "notes": (["; ".join(map(shown, record.notes)) for record in records], object),
        "ended": ([record.ended for record in records], object),
    }
    return {name: np.array(column, kind) for name, (column, kind) in values.items()}


def _class_columns(classes: Sequence[str]) -> list[str]:
    """Return a column's name a class; one that is taken gets a line behind it, for databases ignore case."""
    taken, names = set(_RESERVED), []
    for name in map(shown, classes):
        while name.casefold() in taken or not name:
            name += "_"
        taken.add(name.casefold())
        names.append(name)
    return names
