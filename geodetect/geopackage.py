"""Results as a GeoPackage: features, their style and a table of runs."""

from __future__ import annotations

import json
import re
import sqlite3
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from geodetect.errors import InputError
from geodetect.features import Features
from geodetect.files import replacing
from geodetect.schema import COLUMNS, LAYER, RUNS
from geodetect.style import LABEL_SCALE, qml

_LAYER_STYLES = """
CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256),
f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT,
styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))"""
_STYLE = """INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName,
styleQML, styleSLD, useAsDefault, description, owner) VALUES ('', '', ?, 'geom', ?, ?, '', 1, '', '')"""
_CONTENTS = "INSERT INTO gpkg_contents (table_name, data_type, identifier) VALUES (?, 'attributes', ?)"
_PLAIN = re.compile("[A-Za-z_][A-Za-z0-9_]{0,62}")  # names of a run's columns; others are not ours, and left out

MOST_FEATURES = 20_000_000  # that are read of one result: they take about 20 GB
_MOST_RUNS, _MOST_CLASSES = 1_000_000, 10_000


def write(
    path: Path,
    features: Features,
    runs: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    classes: Sequence[str],
    colours: Sequence[str],
) -> None:
    """Write features, style and runs to a GeoPackage 1.2, replacing `path` only when all is written.

    Args:
        path: ends in .gpkg.
        features: layer `detections`.
        runs: one row of `geodetect_runs` or several: text, numbers, or nested values, which are stored as JSON.
        classes, colours: for the style, one each.

    Raises:
        OutputError: the disk is full or the file cannot be written.
    """
    scale = None if features.crs is None else LABEL_SCALE  # without a CRS QGIS knows no scale
    with replacing(path) as temporary:
        write_layer(temporary, LAYER, features.geometry, features.columns, features.wkt)
        with closing(sqlite3.connect(temporary)) as database:
            add_style(database, LAYER, qml(classes, colours, label_scale=scale))
            _add_runs(database, [runs] if isinstance(runs, Mapping) else runs)
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


def read(path: Path) -> tuple[Features, list[dict[str, Any]]]:
    """Return what `write` wrote: the features, whose boxes in scene px are not known, and the rows of the runs.

    Nothing in the file is trusted: it may come from anybody.

    Raises:
        InputError: it is no GeoPackage, or none that geodetect wrote, or it is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is odd in the file; what matters is checked
            count = _check_tables(path)
            return _read_layer(path, count), read_runs(path)
    except (RuntimeError, ValueError, OSError, sqlite3.Error, MemoryError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path} is no result to read ({reason}); give a GeoPackage that geodetect wrote") from error


def read_runs(path: Path) -> list[dict[str, Any]]:
    """Return the rows of `geodetect_runs`, nested values parsed."""
    with closing(_opened(path)) as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute(f"SELECT * FROM {RUNS} LIMIT {_MOST_RUNS}")]
    return [{key: _parsed(value) for key, value in row.items() if _PLAIN.fullmatch(key)} for row in rows]


def _opened(path: Path) -> sqlite3.Connection:
    where = path.resolve().as_posix()  # of a Windows share: //server/share, which SQLite wants with four slashes
    where = f"//{where}" if where.startswith("//") else where if where.startswith("/") else f"/{where}"
    database = sqlite3.connect(f"file:{quote(where)}?mode=ro", uri=True)
    database.execute("PRAGMA trusted_schema = OFF")
    return database


def _check_tables(path: Path) -> int:
    """Return how many features the layer holds; raises ValueError where the file holds no plain tables of ours.

    A view, a virtual table or a generated column could compute without end when it is read.
    """
    with path.open("rb") as file:
        header = file.read(72)
    if header[:16] != b"SQLite format 3\0" or header[68:] != b"GPKG":
        raise ValueError("it is no GeoPackage")
    with closing(_opened(path)) as database:
        for table in (LAYER, RUNS):
            found = database.execute("SELECT type, sql FROM sqlite_master WHERE name = ?", (table,)).fetchall()
            if len(found) != 1 or found[0][0] != "table" or not str(found[0][1]).upper().startswith("CREATE TABLE"):
                raise ValueError(f"it has no table {table}")
            if any(column[6] for column in database.execute(f"PRAGMA table_xinfo({table})")):
                raise ValueError(f"its table {table} has computed columns")
        count = int(database.execute(f"SELECT count(*) FROM {LAYER}").fetchone()[0])
    if count > MOST_FEATURES:
        raise ValueError(f"it holds {count:,} features, which is more than {MOST_FEATURES:,}")
    return count


def _read_layer(path: Path, count: int) -> Features:
    import pyogrio
    import shapely
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    told = pyogrio.read_info(path, layer=LAYER)["features"]
    if told != count:  # GDAL believes what the file says of itself, and would make room for it
        raise ValueError(f"it says that it holds {told:,} features, but has {count:,}")
    meta, _, geometry, values = pyogrio.raw.read(path, layer=LAYER, columns=list(COLUMNS), force_2d=True)
    columns = dict(zip(meta["fields"], values, strict=True))
    lacking = [name for name in COLUMNS if name not in columns]
    if geometry is None or lacking:
        raise ValueError(f"its layer {LAYER} has no column {lacking[0] if lacking else 'of polygons'}")
    try:
        crs = CRS.from_user_input(meta["crs"]) if meta["crs"] else None
        shapes = shapely.from_wkb(geometry)
    except (CRSError, shapely.errors.ShapelyError) as error:
        raise ValueError(str(error)) from error
    if meta["crs"] and '"Undefined ' in meta["crs"]:  # how GDAL before 3.9 says that a layer has none
        crs = None
    _check_shapes(shapes)
    return Features(shapes, _checked(columns), np.full((len(shapes), 4), np.nan), crs)


def _check_shapes(shapes: np.ndarray) -> None:
    import shapely

    kinds = shapely.get_type_id(shapes)
    odd = ~np.isin(kinds, (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON))
    bounds = shapely.bounds(shapes).reshape(-1, 4)
    odd |= ~(np.isfinite(bounds).all(axis=1) & (bounds[:, 2:] > bounds[:, :2]).all(axis=1))
    if odd.any():
        raise ValueError(f"{odd.sum():,} of its features are no polygons")


def _checked(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the columns in the schema's types; raises ValueError where one holds what it cannot."""
    import pandas

    result = {}
    for name, kind in COLUMNS.items():
        column = columns[name]
        text = pandas.api.types.infer_dtype(column, skipna=True) in ("string", "empty")
        if (kind == "object") != (column.dtype == object and text) or (
            kind != "object" and column.dtype.kind not in "iuf"
        ):
            raise ValueError(f"its column {name} holds {'no text' if kind == 'object' else 'no numbers'}")
        if kind == "object":
            column = np.where(pandas.isna(column), "", column).astype(object)
        elif kind == "float64":
            column = np.where(np.isfinite(column), column, np.nan)
        result[name] = column
    for name, most in (("score", 1), ("class_id", 1 << 30)):
        if not ((result[name] >= 0) & (result[name] <= most)).all():  # NULL is NaN
            raise ValueError(f"its column {name} holds numbers out of range, or none")
    names = pandas.unique(result["class"])
    if len(names) > _MOST_CLASSES or not all(name and name.isprintable() for name in names):
        raise ValueError("its column class holds no names of classes")
    result["id"] = np.arange(1, len(result["id"]) + 1)
    return {name: np.asarray(result[name]).astype(kind) for name, kind in COLUMNS.items()}


def _add_runs(database: sqlite3.Connection, runs: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows; columns are all that any row has, NULL where another lacks it."""
    names: dict[str, str] = {}  # SQLite knows no case
    for run in runs:
        for key in run:
            names.setdefault(key.lower(), key)
    names.pop("fid", None)
    cells = [{key.lower(): _cell(value) for key, value in run.items()} for run in runs]
    columns = ", ".join(f'"{name}" {_kind([row.get(key) for row in cells])}' for key, name in names.items())
    database.execute(f"CREATE TABLE {RUNS} (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, {columns})")
    database.execute(_CONTENTS, (RUNS, RUNS))
    quoted = ", ".join(f'"{name}"' for name in names.values())
    marks = ", ".join("?" * len(names))
    rows = [[row.get(key) for key in names] for row in cells]
    database.executemany(f"INSERT INTO {RUNS} ({quoted}) VALUES ({marks})", rows)


def _kind(values: Sequence[Any]) -> str:
    """Return SQLite's type of a column: one that changes none of the values."""
    kinds = {type(value) for value in values if value is not None}
    if not kinds or not kinds <= {int, float}:
        return "TEXT" if kinds <= {str} else "BLOB"  # a column of this type converts nothing
    return "INTEGER" if kinds == {int} else "REAL"


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, (int, float, str, bytes)) else json.dumps(value)


def _parsed(value: Any) -> Any:
    if not (isinstance(value, str) and value[:1] in ("[", "{")):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):  # text that looks nested, such as a scene called "[1].tif"
        return value


def _has_table(database: sqlite3.Connection, name: str) -> bool:
    return bool(database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone())
