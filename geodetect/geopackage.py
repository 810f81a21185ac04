"""Results as a GeoPackage: features, their style and a table of runs."""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from geodetect.errors import OutputError
from geodetect.features import Features
from geodetect.files import replacing
from geodetect.schema import LAYER, RUNS
from geodetect.style import qml

_LAYER_STYLES = """
CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256),
f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT,
styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))"""
_STYLE = """INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName,
styleQML, styleSLD, useAsDefault, description, owner) VALUES ('', '', ?, 'geom', ?, ?, '', 1, '', '')"""
_CONTENTS = "INSERT INTO gpkg_contents (table_name, data_type, identifier) VALUES (?, 'attributes', ?)"


def write(
    path: Path,
    features: Features,
    run: Mapping[str, Any],
    classes: Sequence[str],
    colours: Sequence[str],
) -> None:
    """Write features, style and run to a GeoPackage 1.2, replacing `path` only when all is written.

    Args:
        path: ends in .gpkg.
        features: layer `detections`.
        run: one row of `geodetect_runs`: text, numbers, or nested values, which are stored as JSON.
        classes, colours: for the style, one each.

    Raises:
        OutputError: the disk is full or the file cannot be written.
    """
    with replacing(path) as temporary:
        write_layer(temporary, features, LAYER, driver="GPKG")
        with closing(sqlite3.connect(temporary)) as database, _AsOutputError(path):
            add_style(database, LAYER, qml(classes, colours))
            _add_run(database, run)
            database.commit()


def write_layer(path: Path, features: Features, layer: str, driver: str, **options: str) -> None:
    """Write features as one vector layer with GDAL; `options` are the driver's layer options.

    Raises:
        OutputError: GDAL cannot write it.
    """
    import pyogrio
    import shapely

    dataset = {"dataset_options": {"VERSION": "1.2"}} if driver == "GPKG" else {}  # older GDALs warn at 1.4
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")  # a scene may have none, its notes say so
            pyogrio.raw.write(
                str(path),
                geometry=shapely.to_wkb(features.geometry),
                field_data=[np.ascontiguousarray(column) for column in features.columns.values()],
                fields=list(features.columns),
                layer=layer,
                driver=driver,
                geometry_type="Polygon",
                crs=features.wkt,
                layer_options={"GEOMETRY_NAME": "geom", "FID": "fid", **options} if driver == "GPKG" else options,
                **dataset,
            )
    except pyogrio.errors.DataSourceError as error:
        raise OutputError(f"the output {path.parent} cannot be written ({' '.join(str(error).split())})") from error


def add_style(database: sqlite3.Connection, layer: str, style: str) -> None:
    """Store a QML style as the layer's default, where QGIS looks for it."""
    if not _has_table(database, "layer_styles"):
        database.execute(_LAYER_STYLES)
        database.execute(_CONTENTS, ("layer_styles", "layer_styles"))
    database.execute(_STYLE, (layer, layer, style))


def read_runs(path: Path) -> list[dict[str, Any]]:
    """Return the rows of `geodetect_runs`, nested values parsed."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute(f"SELECT * FROM {RUNS}")]
    return [
        {key: json.loads(v) if isinstance(v, str) and v[:1] in "[{" else v for key, v in row.items()} for row in rows
    ]


def _add_run(database: sqlite3.Connection, run: Mapping[str, Any]) -> None:
    values = {key: _cell(value) for key, value in run.items()}
    kinds = {int: "INTEGER", float: "REAL"}
    columns = ", ".join(f'"{key}" {kinds.get(type(value), "TEXT")}' for key, value in values.items())
    database.execute(f"CREATE TABLE {RUNS} (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, {columns})")
    database.execute(_CONTENTS, (RUNS, RUNS))
    names = ", ".join(f'"{key}"' for key in values)
    marks = ", ".join("?" * len(values))
    database.execute(f"INSERT INTO {RUNS} ({names}) VALUES ({marks})", list(values.values()))


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, (int, float, str)) else json.dumps(value)


def _has_table(database: sqlite3.Connection, name: str) -> bool:
    return bool(database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone())


class _AsOutputError:
    """Turn SQLite's errors, such as a full disk, into OutputError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise OutputError(f"the output {self.path} could not be written ({error})") from error
