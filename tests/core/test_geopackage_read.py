"""Reading results that may come from anybody: one clear error, whatever is in the file."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from geodetect import geopackage
from geodetect.detections import Detections
from geodetect.errors import InputError
from geodetect.features import Features, from_detections
from geodetect.grid import GeoGrid
from geodetect.mosaic import merge_results
from geodetect.schema import COLUMNS, LAYER, RUNS

UTM = GeoGrid(1000, 1000, Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000), CRS.from_epsg(32631))
RUN = {"run_id": "r1", "scene": "scene.tif", "scores": {"plane": 0.5}, "ious": {"plane": 0.4}, "gsd": 0.5,
       "footprint": UTM.footprint.wkt, "tiles": 4, "area": None, "notes": ["a", "b"]}  # fmt: skip


def features() -> Features:
    corner = np.arange(8)[:, None] * 90.0 + np.array([10.0, 20.0])
    boxes = np.concatenate([corner, corner + 30], axis=1)
    return from_detections(Detections.of(boxes, np.linspace(0.9, 0.2, 8), np.arange(8) % 2), UTM, ("plane", "ship"),
                           "scene.tif", "model", "r1")  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "sound.gpkg"
    geopackage.write(path, features(), RUN, ("plane", "ship"), ("#000000", "#ffffff"))
    return path


@pytest.fixture
def path(sound, tmp_path) -> Path:
    return Path(shutil.copy(sound, tmp_path / "a.gpkg"))


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        triggers = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:  # they need functions that only GDAL has
            database.execute(f'DROP TRIGGER "{name}"')
        for statement in statements:
            database.execute(statement)
        database.commit()


def test_what_is_written_is_read(sound):
    read, (run,) = geopackage.read(sound)
    written = features()
    assert (read.geometry == written.geometry).all()
    assert read.crs == UTM.crs
    assert np.isnan(read.boxes).all()
    assert run == {"fid": 1, **RUN}
    for name, kind in COLUMNS.items():
        assert read.columns[name].dtype == np.dtype(kind)
        assert (read.columns[name] == written.columns[name]).all()


def test_several_runs_are_read_as_they_were_written(path):
    told = [
        {"run_id": "a", "tiles": 3, "gsd": None, "mixed": 1, "only": "first"},
        {"run_id": "b", "gsd": 0.5, "tiles": 4, "mixed": "01", "late": ["x"]},
        {"run_id": "c", "Tiles": 5, "gsd": 2.0, "mixed": 0.25},
    ]
    geopackage.write(path, features(), told, ("plane", "ship"), ("#000000", "#ffffff"))
    read = geopackage.read_runs(path)
    assert [run.pop("fid") for run in read] == [1, 2, 3]
    nothing = dict.fromkeys(("run_id", "tiles", "gsd", "mixed", "only", "late"))
    assert read == [nothing | {key.lower(): value for key, value in run.items()} for run in told]
    assert [type(run["mixed"]) for run in read] == [int, str, float]


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (["DROP TABLE detections"], "it has no table detections"),
        (["DROP TABLE geodetect_runs"], "it has no table geodetect_runs"),
        (["ALTER TABLE detections DROP COLUMN score"], "has no column score"),
        (["ALTER TABLE detections DROP COLUMN run_id"], "has no column run_id"),
        (["UPDATE detections SET score = NULL WHERE fid = 3"], "column score holds numbers out of range"),
        (["UPDATE detections SET score = 1.5 WHERE fid = 3"], "column score holds numbers out of range"),
        (["UPDATE detections SET score = 9e999 WHERE fid = 3"], "column score holds numbers out of range"),
        (["UPDATE detections SET class_id = -1 WHERE fid = 3"], "column class_id holds numbers out of range"),
        (["UPDATE detections SET class_id = NULL"], "column class_id holds numbers out of range"),
        (["UPDATE detections SET class = NULL WHERE fid = 3"], "holds no names of classes"),
        (["UPDATE detections SET class = char(7)"], "holds no names of classes"),
        (["UPDATE detections SET class = CAST(x'ff' AS TEXT)"], "a.gpkg is no result to read"),
        (["UPDATE detections SET geom = NULL WHERE fid = 3"], "1 of its features are no polygons"),
        (["UPDATE detections SET geom = x'00'"], "a.gpkg is no result to read"),
        (["ALTER TABLE detections DROP COLUMN score", "ALTER TABLE detections ADD COLUMN score TEXT"], "no numbers"),
        (["ALTER TABLE detections DROP COLUMN class", "ALTER TABLE detections ADD COLUMN class REAL"], "no text"),
        (["UPDATE gpkg_ogr_contents SET feature_count = 1000000000"], "it says that it holds 1,000,000,000 features"),
        (["DELETE FROM gpkg_contents"], "a.gpkg is no result to read"),
        (["DELETE FROM gpkg_geometry_columns"], "a.gpkg is no result to read"),
    ],
)
def test_what_is_not_as_geodetect_writes_it_is_an_error(path, statements, message):
    change(path, *statements)
    with pytest.raises(InputError, match=message) as caught:
        geopackage.read(path)
    assert str(caught.value).endswith("give a GeoPackage that geodetect wrote")
    assert len(str(caught.value).splitlines()) == 1


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS fid, i AS run_id FROM n"


@pytest.mark.parametrize("table", [LAYER, RUNS])
@pytest.mark.parametrize("kind", ["view", "virtual", "computed"])
def test_nothing_is_computed_when_it_is_read(path, table, kind):
    make = {
        "view": f"CREATE VIEW {table} AS {ENDLESS}",
        "virtual": f"CREATE VIRTUAL TABLE {table} USING rtree(id, a, b)",
        "computed": f"CREATE TABLE {table} (fid INTEGER PRIMARY KEY, x BLOB AS (zeroblob(900000000)))",
    }[kind]
    change(path, f"DROP TABLE {table}", make)
    with pytest.raises(InputError, match=f"{'computed columns' if kind == 'computed' else 'no table'}"):
        geopackage.read(path)


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "empty", "sqlite", "geojson"])
def test_what_is_no_geopackage_is_an_error(path, kind):
    if kind in ("missing", "folder"):
        path.unlink()
        path.mkdir() if kind == "folder" else None
    elif kind == "sqlite":
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA application_id = 0")
            database.commit()
    else:
        path.write_bytes({"text": b"hello", "empty": b"", "geojson": b'{"type": "FeatureCollection"}'}[kind] * 9)
    with pytest.raises(InputError, match=r"a\.gpkg is no result to read"):
        geopackage.read(path)


def test_points_and_lines_are_no_polygons(path):
    point = shapely.to_wkb(shapely.Point(500_010, 4_999_990))
    header = b"GP\x00\x01" + (32631).to_bytes(4, "little")
    change(path, f"UPDATE detections SET geom = x'{(header + point).hex()}' WHERE fid = 1")
    with pytest.raises(InputError, match="1 of its features are no polygons"):
        geopackage.read(path)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=24)), min_size=1, max_size=12),
       st.one_of(st.none(), st.integers(0, 1 << 20)))  # fmt: skip
def test_a_damaged_file_is_read_or_refused(sound, tmp_path, patches, length):
    """Also what can be read of it must merge: into a sound file or an error of ours."""
    data = bytearray(sound.read_bytes())
    for at, patch in patches:
        at %= len(data)
        data[at : at + len(patch)] = patch
    path = tmp_path / "damaged.gpkg"
    path.write_bytes(data if length is None else data[: length % len(data)])
    try:
        merged = merge_results([path, sound], tmp_path / "merged.gpkg", overwrite=True)
    except InputError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert len(geopackage.read(tmp_path / "merged.gpkg")[0]) == len(merged.features)


square, nothing = "POLYGON ((0 0, 1 0, 1 1, 0 1, 0 0))", "POLYGON ((0 0, 0 0, 0 0, 0 0, 0 0))"
crses = ["EPSG:4326", "[0]", "{}", "EPSG:1", "+proj=x", "+proj=merc +nadgrids=/dev/zero"]
texts = st.text(max_size=12) | st.sampled_from(["{", "[" * 5000, "[1]", "NaN", "1e999", square, nothing, *crses])
values = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.binary(max_size=8) | texts
shares = st.dictionaries(st.sampled_from(["plane", "ship", "", "\x07"]), st.none() | st.floats() | texts, max_size=3)
names_of_runs = ("run_id", "created", "scene", "model", "scores", "ious", "gsd", "footprint", "crs", "georeference")
runs = st.dictionaries(st.sampled_from([*names_of_runs, "licence", "x y", 'a"b']), values | shares, max_size=8)
cells = st.dictionaries(st.sampled_from([name for name in COLUMNS if name != "id"]), values, max_size=2)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(runs, cells)
def test_odd_values_are_read_or_refused(sound, tmp_path, run, cells):
    path = Path(shutil.copy(sound, tmp_path / "odd.gpkg"))
    change(path, f"DROP TABLE {RUNS}")
    with closing(sqlite3.connect(path)) as database:
        names = ", ".join('"' + name.replace('"', '""') + '"' for name in ("fid", *run))
        database.execute(f"CREATE TABLE {RUNS} ({names})")
        row = [1, *(json.dumps(value) if isinstance(value, dict) else value for value in run.values())]
        try:
            database.execute(f"INSERT INTO {RUNS} VALUES ({', '.join('?' * len(row))})", row)
            for name, value in cells.items():
                database.execute(f'UPDATE {LAYER} SET "{name}" = ? WHERE fid < 4', (value,))
        except (UnicodeEncodeError, sqlite3.Error):
            return
        database.commit()
    try:
        merged = merge_results([path, sound], tmp_path / "merged.gpkg", overwrite=True)
    except InputError as error:
        assert len(str(error).splitlines()) == 1
    else:
        read, told = geopackage.read(tmp_path / "merged.gpkg")
        assert len(read) == len(merged.features)
        assert len(told) == len(merged.runs)
