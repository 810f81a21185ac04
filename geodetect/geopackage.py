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

from geodetect.features import Features
from geodetect.files import replacing
from geodetect.schema import LAYER, RUNS
from geodetect.style import LABEL_SCALE, qml

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
    scale = None if features.crs is None else LABEL_SCALE  # without a CRS QGIS knows no scale
    with replacing(path) as temporary:
        write_layer(temporary, LAYER, features.geometry, features.columns, features.wkt)
        with closing(sqlite3.connect(temporary)) as database:
            add_style(database, LAYER, qml(classes, colours, label_scale=scale))
            _add_run(database, run)
            database.commit()


def write_layer(
    path: Path,
    layer: str,
    geometry: np.ndarray,
    fields: Mapping[str, np.ndarray],
    crs: str | None,
    driver: str = "GPKG",
    **options: str,
) -> None:
    """Write polygons (N,) and their fields, (N,) each, as one vector layer; `options` are the driver's own.

    Raises:
        OSError: GDAL cannot write it; `files.replacing` says of which file.
    """
    import pyogrio
    import shapely

    settings: dict[str, Any] = {"layer_options": options}
    if driver == "GPKG":
        settings = {"layer_options": {"GEOMETRY_NAME": "geom", "FID": "fid", **options}}
        settings["dataset_options"] = {"VERSION": "1.2"}  # older GDALs warn at 1.4
    multi = bool((shapely.get_type_id(geometry) == shapely.GeometryType.MULTIPOLYGON).any())
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")  # a scene may have none, its notes say so
            pyogrio.raw.write(
                str(path),
                geometry=shapely.to_wkb(geometry),
                field_data=[np.ascontiguousarray(column) for column in fields.values()],
                fields=list(fields),
                layer=layer,
                driver=driver,
                geometry_type="MultiPolygon" if multi else "Polygon",
                promote_to_multi=multi,
                crs=crs,
                **settings,
            )
    except RuntimeError as error:  # pyogrio's errors of source, layer and feature have no nearer base
        raise OSError(" ".join(str(error).split())[:120]) from error


def add_style(database: sqlite3.Connection, layer: str, style: str) -> None:
    """Store a QML style as the layer's default, where QGIS looks for it."""
    if not _has_table(database, "layer_styles"):
        database.execute(_LAYER_STYLES)
        database.execute(_CONTENTS, ("layer_styles", "layer_styles"))
    database.execute(_STYLE, (layer, layer, style))


def read_runs(path: Path) -> list[dict[str, Any]]:
    """Return the rows of `geodetect_runs`, nested values parsed."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute(f"SELECT * FROM {RUNS}")]
    return [{key: _parsed(value) for key, value in row.items()} for row in rows]


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


def _parsed(value: Any) -> Any:
    if not (isinstance(value, str) and value[:1] in ("[", "{")):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:  # text that looks nested, such as a scene called "[1].tif"
        return value


def _has_table(database: sqlite3.Connection, name: str) -> bool:
    return bool(database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone())
