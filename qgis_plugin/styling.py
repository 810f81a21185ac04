"""How a result looks and where it comes from: both are taken from the engine's GeoPackage and go with every copy."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import deque
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsLayerMetadata,
    QgsProcessingLayerPostProcessorInterface,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtXml import QDomDocument

RUNS = "geodetect_runs"  # a row a run: model, licence, settings, versions; geometry has its own table beside
STYLES = "layer_styles"  # where QGIS looks for a GeoPackage's styles
BUSY = 5.0  # s to wait for a file that another connection writes to
_CONTENTS = "INSERT OR IGNORE INTO gpkg_contents (table_name, data_type, identifier) VALUES (?, 'attributes', ?)"
_NO_CRS = (  # "undefined Cartesian"; GDAL writes "undefined geographic", which QGIS would put on the globe
    "UPDATE gpkg_contents SET srs_id = -1 WHERE table_name = ?",
    "UPDATE gpkg_geometry_columns SET srs_id = -1 WHERE table_name = ?",
)
_STYLE = """INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName,
styleQML, styleSLD, useAsDefault, description, owner) VALUES ('', '', ?, ?, ?, ?, '', 1, '', '')"""


@dataclass(frozen=True)
class Dressing:
    """A layer's style and origin.

    Attributes:
        qml: the style.
        run: the row of `geodetect_runs`; {} for a layer that is no run's.
        tables: SQL that makes the tables `layer_styles` and `geodetect_runs`, by name.
        on_map: False where the coordinates are pixels, or of a system that nobody knows.
    """

    qml: str
    run: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    on_map: bool = True

    @classmethod
    def of(cls, path: str, table: str, on_map: bool = True) -> Dressing:
        """Return the dressing of a table in a GeoPackage that the engine wrote."""
        with closing(sqlite3.connect(path)) as database:
            wanted = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name IN (?, ?)"
            tables = dict(database.execute(wanted, (RUNS, STYLES)).fetchall())
            style = database.execute("SELECT styleQML FROM layer_styles WHERE f_table_name = ?", (table,)).fetchone()
            run: dict[str, Any] = {}
            if RUNS in tables:
                rows = database.execute("SELECT * FROM geodetect_runs")
                names = [column[0] for column in rows.description]
                run = {name: value for name, value in zip(names, rows.fetchone() or ()) if name != "fid"}
        return cls(style[0] if style else "", run, tables, on_map)

    def with_area(self, area: str) -> Dressing:
        """Return it with words for the area, of which the engine knows the file alone."""
        return replace(self, run={**self.run, "area": area or None})

    def put_on(self, layer: QgsVectorLayer) -> None:
        """Style the layer and tell in its metadata where it comes from."""
        if self.qml:
            document = QDomDocument()
            document.setContent(self.qml)
            layer.importNamedStyle(document)
        if not self.on_map and layer.crs().isValid():  # formats that must name a CRS name a wrong one
            layer.setCrs(QgsCoordinateReferenceSystem())
        if self.run:
            layer.setMetadata(self.metadata(layer))
        layer.triggerRepaint()

    def metadata(self, layer: QgsVectorLayer) -> QgsLayerMetadata:
        """Return a layer's metadata with licence, attribution and history of the run."""
        run = {key: _parsed(value) for key, value in self.run.items() if value not in (None, "", "[]", "{}")}
        metadata = QgsLayerMetadata()
        metadata.setIdentifier(str(run.get("run_id", "")))
        metadata.setTitle(layer.name())
        metadata.setType("dataset")
        metadata.setAbstract(
            _tr("Objects in {scene}, found by GeoDetect with the model {model} {version}.").format(
                scene=run.get("scene", ""), model=run.get("model", ""), version=run.get("model_version", "")
            )
        )
        metadata.setLicenses([str(run["licence"])] if "licence" in run else [])
        metadata.setRights([str(run["attribution"])] if "attribution" in run else [])
        metadata.setHistory([f"{key}: {_shown(value)}" for key, value in run.items()])
        metadata.setCrs(layer.crs())
        return metadata

    def store(self, path: str, table: str) -> None:
        """Put style and run into the GeoPackage at `path`, for its layer `table`, whose style becomes the default.

        Raises:
            sqlite3.Error: the file cannot be written, or is no GeoPackage.
        """
        with closing(sqlite3.connect(path, timeout=BUSY)) as database, database:
            for name, sql in self.tables.items():
                if not _has(database, name):
                    database.execute(sql)
                    database.execute(_CONTENTS, (name, name))
            if not self.on_map:
                for sql in _NO_CRS:
                    database.execute(sql, (table,))
            if self.qml:
                _add_style(database, table, self.qml)
            if self.run:
                _add_run(database, self.run)

    def save_beside(self, layer: QgsVectorLayer, path: str) -> None:
        """Write style and metadata as files beside a layer's file, where QGIS looks for them."""
        self.put_on(layer)
        stem = os.path.splitext(path)[0]
        layer.saveNamedStyle(stem + ".qml")
        if self.run:
            layer.saveNamedMetadata(stem + ".qmd")


class DressUp(QgsProcessingLayerPostProcessorInterface):
    """Dresses a layer when Processing adds it to the project."""

    # QGIS holds a pointer that keeps no Python object alive; where it calls a collected one, it crashes.
    _kept: ClassVar[deque[DressUp]] = deque(maxlen=200)

    def __init__(self, dressing: Dressing) -> None:
        super().__init__()
        self._dressing = dressing
        self._kept.append(self)

    def postProcessLayer(self, layer, context, feedback) -> None:  # noqa: N802
        """Dress the layer; called in the main thread."""
        if isinstance(layer, QgsVectorLayer):
            self._dressing.put_on(layer)


def _add_style(database: sqlite3.Connection, table: str, qml: str) -> None:
    found = database.execute("SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (table,)).fetchone()
    database.execute("DELETE FROM layer_styles WHERE f_table_name = ? AND styleName = ?", (table, table))
    database.execute("UPDATE layer_styles SET useAsDefault = 0 WHERE f_table_name = ?", (table,))
    database.execute(_STYLE, (table, found[0] if found else "geom", table, qml))


def _add_run(database: sqlite3.Connection, run: Mapping[str, Any]) -> None:
    """Add the row; a table of another version of the engine gets the columns that it lacks."""
    there = {column[1] for column in database.execute("PRAGMA table_info(geodetect_runs)")}
    for name in run:
        if name not in there:
            database.execute(f"ALTER TABLE geodetect_runs ADD COLUMN {_quoted(name)}")
    names = ", ".join(map(_quoted, run))
    marks = ", ".join("?" * len(run))
    row = f"INSERT INTO geodetect_runs ({names}) VALUES ({marks})"  # nosec B608 - the names are quoted
    database.execute(row, tuple(run.values()))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _has(database: sqlite3.Connection, table: str) -> bool:
    return database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None


def _parsed(value: Any) -> Any:
    """Return what a cell holds: nested values are stored as JSON."""
    if not (isinstance(value, str) and value[:1] in ("[", "{")):
        return value
    try:
        return json.loads(value)
    except ValueError:  # text that looks nested, such as a scene called "[1].tif"
        return value


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(part)}" for key, part in value.items())
    if isinstance(value, list):
        return "; ".join(map(_shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Dressing", text)
