"""Vector files that are damaged or made to mislead: an InputError or objects, nothing else."""

import contextlib
import sqlite3
import struct

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from geodetect.area import read_area
from geodetect.errors import AreaError, InputError
from geodetect.grid import GeoGrid
from geodetect.vectors import evaluate, read_objects

pytestmark = pytest.mark.filterwarnings("ignore")  # pyogrio and pyproj warn of what is damaged

GRID = GeoGrid(100, 100, Affine(0.5, 0, 0, 0, -0.5, 50), CRS.from_epsg(32631))
FORMATS = {"a.gpkg": "GPKG", "a.geojson": "GeoJSON", "a.fgb": "FlatGeobuf", "a.kml": "KML"}
HEADER = b"GP\0\1" + struct.pack("<i", 32631)
DAMAGE = st.binary(min_size=1, max_size=4) | st.sampled_from([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f"])


def layer(path, driver="GPKG", name="l"):
    table = geopandas.GeoDataFrame(
        {"class": ["plane", "ship", "ship"], "score": [0.5, 0.6, 0.7]},
        geometry=[shapely.box(i * 10, 0, i * 10 + 5, 5) for i in range(3)],
        crs=32631,
    )
    table.to_file(path, driver=driver, **({"layer": name} if driver == "GPKG" else {}))
    return path


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("valid")
    return {name: layer(folder / name, driver).read_bytes() for name, driver in FORMATS.items()}


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=100)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(name, data, blobs, tmp_path_factory):
    blob = bytearray(blobs[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at, damage = data.draw(st.integers(0, len(blob) - 1)), data.draw(DAMAGE)
        blob[at : at + len(damage)] = damage
    if data.draw(st.booleans()):
        del blob[data.draw(st.integers(0, len(blob))) :]
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(blob)
    for ending in ("-wal", "-shm", "-journal"):
        path.with_name(name + ending).unlink(missing_ok=True)
    with contextlib.suppress(InputError):
        assert np.isfinite(shapely.get_coordinates(read_objects(path).geometry)).all()
    with contextlib.suppress(InputError):
        evaluate(path, path)
    with contextlib.suppress(AreaError):
        assert read_area(str(path), None, GRID, "scene").area > 0


def changed(path, *statements):
    """Run SQL on a GeoPackage, without its triggers, and return its path."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        for statement in statements:
            database.execute(*statement) if isinstance(statement, tuple) else database.execute(statement)
        database.commit()
    return path


@pytest.mark.parametrize(
    ("wkb", "message"),
    [
        (struct.pack("<BII", 1, 3, 0xFFFFFFFF), None),
        (struct.pack("<BIII", 1, 3, 1, 0x7FFFFFFF), None),
        (struct.pack("<BII", 1, 7, 1) * 5_000, None),
        (struct.pack("<BII", 1, 16, 0), "neither polygon nor point"),
        (struct.pack("<BII6d", 1, 8, 3, 0, 0, 1, 1, 2, 0), "neither polygon nor point"),
        (struct.pack("<BIII8d", 1, 3, 1, 4, 0, 0, np.nan, 1, 1, 1, 0, 0), "coordinates that are no numbers"),
        (struct.pack("<BIII8d", 1, 3, 1, 4, 0, 0, np.inf, 1, 1, 1, 0, 0), "coordinates that are no numbers"),
    ],
    ids=["rings", "points", "nested", "surface", "arc", "nan", "inf"],
)
def test_geometry_that_lies_is_left_out_or_refused(wkb, message, tmp_path):
    path = changed(layer(tmp_path / "a.gpkg"), ("UPDATE l SET geom = ?", (HEADER + wkb,)))
    with pytest.raises(InputError, match=message) if message else contextlib.nullcontext():
        assert len(read_objects(path)) == 0


@pytest.mark.parametrize("count", [10**9, 10**7])
def test_a_count_that_lies_takes_no_memory(count, tmp_path):
    path = changed(layer(tmp_path / "a.gpkg"), f"UPDATE gpkg_ogr_contents SET feature_count = {count}")
    with pytest.raises(InputError, match=f"claims {count:,} objects, but has"):
        read_objects(path)
    with pytest.raises(AreaError, match=f"claims {count:,} objects, but has"):
        read_area(str(path), None, GRID, "scene")


@pytest.mark.parametrize("name", ['a"; DROP TABLE x; --', "x' OR '1'='1", "ship, plane", "é", "1"])
def test_layers_of_any_name_are_read_by_it(name, tmp_path):
    path = layer(tmp_path / "a.gpkg", name=name)
    assert len(read_objects(path)) == len(read_objects(path, layer=name)) == 3
    with pytest.raises(InputError, match="cannot be read"):
        read_objects(path, layer=f"{name}' --")


@pytest.mark.parametrize("field", ['class" FROM l; --', "x' OR '1'='1", "class\0", "a" * 5_000])
def test_a_field_is_a_name_and_no_sql(field, tmp_path):
    with pytest.raises(InputError, match="has no field"):
        read_objects(layer(tmp_path / "a.gpkg"), class_field=field)


def test_a_view_and_a_trigger_are_read_like_a_table(tmp_path):
    path = changed(
        layer(tmp_path / "a.gpkg"),
        "ALTER TABLE l RENAME TO m",
        "CREATE VIEW l AS SELECT fid, geom, class, score FROM m",
        "UPDATE gpkg_geometry_columns SET table_name = 'l'",
        "CREATE TRIGGER t AFTER INSERT ON m BEGIN DELETE FROM m; END",
    )
    assert read_objects(path).names.tolist() == ["plane", "ship", "ship"]


def test_one_long_name_does_not_make_all_others_as_long(tmp_path):
    path = changed(layer(tmp_path / "a.gpkg"), ("UPDATE l SET class = ? WHERE fid = 1", ("x" * 1_000_000,)))
    with pytest.raises(InputError, match="a text of 1,000,000 characters in its field 'class', at most 200"):
        read_objects(path)


def test_text_that_is_no_utf8_is_refused(tmp_path):
    path = changed(layer(tmp_path / "a.gpkg"), "UPDATE l SET class = CAST(x'ff80' AS TEXT)")
    with pytest.raises(InputError, match="cannot be read as a vector layer"):
        read_objects(path)


def test_a_file_without_layers_is_refused(tmp_path):
    (tmp_path / "a.gml").write_text(
        '<?xml version="1.0"?><gml:FeatureCollection xmlns:gml="http://www.opengis.net/gml"/>'
    )
    with pytest.raises(InputError):
        read_objects(tmp_path / "a.gml")


NUMBERS = st.floats() | st.sampled_from([1e308, -1e308, 1e-320, 1e19, 0, 50])


@given(
    st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), st.sampled_from([None, "EPSG:4326", "EPSG:3857", "garbage", "\0"])
)
def test_any_bounds_are_an_area_or_an_area_error(numbers, crs):
    with contextlib.suppress(AreaError):
        area = read_area(",".join(map(repr, numbers)), crs, GRID, "scene")
        assert 0 < area.area <= 100 * 100


@pytest.mark.parametrize("area", ["a" * 5_000, "a\0b", "", "1,2,3", "\ud800", "/vsimem/none", "{}", "http://[::1"])
def test_what_is_no_area(area):
    with pytest.raises(AreaError):
        read_area(area, None, GRID, "scene")
