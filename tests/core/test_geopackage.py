from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
import warnings
from contextlib import closing
from pathlib import Path
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from geodetect import geopackage
from geodetect.detections import Detections
from geodetect.errors import OutputError
from geodetect.features import Features, from_detections
from geodetect.grid import GeoGrid
from geodetect.schema import COLUMNS, LAYER, RUNS

CLASSES, COLOURS = ("plane", "ship"), ("#e6194b", "#4363d8")
UTM = GeoGrid(10_000, 10_000, Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000), CRS.from_epsg(32631))
RUN = {
    "run_id": "r1",
    "scene": "scene.tif",
    "scores": {"plane": 0.5},
    "tile": [640, 640],
    "gsd": 0.5,
    "tiles": 81,
    "area": None,
    "notes": [],
}


def make_features(count: int, classes=CLASSES, scene: str = "scene.tif", grid: GeoGrid = UTM) -> Features:
    rng = np.random.default_rng(count)
    corner = rng.uniform(0, 9_900, (count, 2))
    boxes = np.hstack([corner, corner + rng.uniform(5, 80, (count, 2))])
    detections = Detections.of(boxes, np.sort(rng.uniform(0.05, 1, count))[::-1], np.arange(count) % len(classes))
    return from_detections(detections, grid, classes, scene, "model", "r1")


def write(path: Path, features: Features, run=RUN, classes=CLASSES, colours=COLOURS) -> Path:
    geopackage.write(path, features, run, classes, colours)
    return path


def query(path: Path, sql: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql).fetchall()


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "detections.gpkg", make_features(5))


def test_what_is_written_is_what_is_read(tmp_path):
    import pyogrio

    features = make_features(50)
    meta, _, geometry, values = pyogrio.raw.read(write(tmp_path / "out.gpkg", features), layer=LAYER)
    assert (shapely.from_wkb(geometry) == features.geometry).all()  # to the last bit
    assert meta["fields"].tolist() == list(COLUMNS)
    for name, column in zip(meta["fields"], values, strict=True):
        assert column.dtype == np.dtype(COLUMNS[name]), name
        assert (column == features.columns[name]).all(), name
    assert CRS.from_string(meta["crs"]) == UTM.crs


def test_it_is_a_sound_geopackage_1_2(path):
    assert query(path, "PRAGMA application_id") == [(int.from_bytes(b"GPKG", "big"),)]
    assert query(path, "PRAGMA user_version") == [(10_200,)]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert query(path, "PRAGMA foreign_key_check") == []
    assert query(path, "SELECT column_name, geometry_type_name, srs_id FROM gpkg_geometry_columns") == [
        ("geom", "POLYGON", 32631)
    ]


def test_every_table_is_in_the_contents_with_its_kind(path):
    contents = dict(query(path, "SELECT table_name, data_type FROM gpkg_contents"))
    assert contents == {LAYER: "features", "layer_styles": "attributes", RUNS: "attributes"}
    tables = {name for (name,) in query(path, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    own = {name for name in tables if not name.startswith(("gpkg_", "rtree_", "sqlite_"))}
    assert own == set(contents)


def test_the_contents_know_where_the_layer_lies(path):
    ((*extent, crs),) = query(
        path, f"SELECT min_x, min_y, max_x, max_y, srs_id FROM gpkg_contents WHERE table_name = '{LAYER}'"
    )
    assert extent == pytest.approx(shapely.total_bounds(make_features(5).geometry))
    assert crs == 32631


def test_gdal_reads_it_without_a_warning(path):
    """GDAL 3.6, which QGIS of many users is built with, warns at what it does not know."""
    ogrinfo = shutil.which("ogrinfo")
    if ogrinfo is None:
        pytest.skip("there is no ogrinfo")
    done = subprocess.run([ogrinfo, "-al", "-so", "-ro", str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "Warning" not in done.stdout
    assert "Feature Count: 5" in done.stdout


def test_the_style_is_the_layers_default_where_qgis_looks_for_it(path):
    columns = "f_table_name, f_geometry_column, styleName, useAsDefault, f_table_schema, f_table_catalog"
    assert query(path, f"SELECT {columns} FROM layer_styles") == [(LAYER, "geom", LAYER, 1, "", "")]
    ((xml,),) = query(path, "SELECT styleQML FROM layer_styles")
    values = [category.attrib["value"] for category in fromstring(xml).findall("renderer-v2/categories/category")]
    assert values == list(CLASSES)


def test_a_style_can_be_added_to_a_file_that_has_one(path):
    with closing(sqlite3.connect(path)) as database:
        geopackage.add_style(database, "other", "<qgis/>")
        database.commit()
    assert query(path, "SELECT f_table_name FROM layer_styles") == [(LAYER,), ("other",)]
    assert query(path, "SELECT count(*) FROM gpkg_contents WHERE table_name = 'layer_styles'") == [(1,)]


def test_a_run_is_read_as_it_was_written(path):
    (run,) = geopackage.read_runs(path)
    assert run == {"fid": 1, **RUN}
    kinds = dict(query(path, f"SELECT name, type FROM pragma_table_info('{RUNS}')"))
    assert (kinds["tiles"], kinds["gsd"], kinds["scores"]) == ("INTEGER", "REAL", "TEXT")


@pytest.mark.parametrize("name", ["{a}.tif", "[1].tif", "a'b.tif", 'a"b.tif', "Häfen 船.tif"])
def test_a_scene_may_have_any_name(tmp_path, name):
    import pyogrio

    written = write(tmp_path / "out.gpkg", make_features(2, scene=name), RUN | {"scene": name})
    assert geopackage.read_runs(written)[0]["scene"] == name
    assert pyogrio.raw.read(written, layer=LAYER, columns=["scene"])[3][0].tolist() == [name] * 2


@pytest.mark.parametrize("name", ["a#b.gpkg", "a?b.gpkg", "50%20.gpkg", "Häfen 船.gpkg", "a b'c.gpkg"])
def test_a_geopackage_may_have_any_name(tmp_path, name):
    written = write(tmp_path / name, make_features(2))
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    assert geopackage.read_runs(written)[0]["run_id"] == "r1"


def test_classes_may_have_any_name(tmp_path):
    import pyogrio

    classes = ("Flugzeug & <Schiff>", 'l\'avion "A"', "船")
    written = write(tmp_path / "out.gpkg", make_features(3, classes), classes=classes, colours=["#000000"] * 3)
    assert pyogrio.raw.read(written, layer=LAYER, columns=["class"])[3][0].tolist() == list(classes)


def test_no_detections_make_an_empty_layer_with_all_columns(tmp_path):
    import pyogrio

    written = write(tmp_path / "out.gpkg", make_features(0))
    info = pyogrio.read_info(written, layer=LAYER)
    assert info["features"] == 0
    assert info["fields"].tolist() == list(COLUMNS)
    assert info["geometry_type"] == "Polygon"
    assert CRS.from_string(info["crs"]) == UTM.crs
    assert query(written, "SELECT count(*) FROM layer_styles") == [(1,)]
    assert len(geopackage.read_runs(written)) == 1


def test_a_scene_without_crs_gives_a_layer_without_one(tmp_path):
    import pyogrio

    written = write(tmp_path / "out.gpkg", make_features(3, grid=GeoGrid(10_000, 10_000, Affine.identity())))
    assert pyogrio.read_info(written, layer=LAYER)["crs"] is None
    assert query(written, f"SELECT count(*) FROM {LAYER} WHERE length_m IS NULL") == [(3,)]


def test_a_rotated_scene_gives_polygons_that_lie_askew(tmp_path):
    import pyogrio

    turn = np.radians(30)
    cosine, sine = 0.5 * np.cos(turn), 0.5 * np.sin(turn)
    transform = Affine(cosine, -sine, 5e5, -sine, -cosine, 5e6)
    features = make_features(4, grid=GeoGrid(10_000, 10_000, transform, CRS.from_epsg(32631)))
    shapes = shapely.from_wkb(pyogrio.raw.read(write(tmp_path / "out.gpkg", features), layer=LAYER)[2])
    assert (shapely.area(shapes) < 0.9 * shapely.area(shapely.envelope(shapes))).all()
    assert shapely.area(shapes) == pytest.approx(features.columns["area_m2"], rel=2e-3)  # UTM scale is not quite 1


def test_writing_again_replaces_the_file_and_leaves_nothing_else(path):
    write(path, make_features(9))
    assert query(path, f"SELECT count(*) FROM {LAYER}") == [(9,)]
    assert list(path.parent.iterdir()) == [path]


FULL_DISK = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_geopackage import RUN, OutputError, make_features, write
path, limit, count, note = Path(sys.argv[2]), *map(int, sys.argv[3:])
features = make_features(count)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    write(path, features, RUN | {"notes": ["n" * note]})
except OutputError as error:
    sys.exit(f"OutputError: {error}")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file's size")
@pytest.mark.parametrize(
    ("limit", "count", "note"),
    [(20_000, 2_000, 1), (100_000, 2_000, 1), (110_000, 1, 1), (130_000, 1, 100_000)],
    ids=["creating", "features", "style", "run"],
)
def test_a_full_disk_is_an_error_that_leaves_the_old_file(path, limit, count, note):
    pytest.importorskip("resource")
    before = path.read_bytes()
    command = [sys.executable, "-c", FULL_DISK, str(Path(__file__).parent), str(path), *map(str, (limit, count, note))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stderr.strip().splitlines()[-1].startswith("OutputError: the output ")
    assert done.returncode == 1
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_gone_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="could not be written"):
        write(tmp_path / "none" / "out.gpkg", make_features(1))


def test_a_hundred_thousand_features_are_written_in_seconds(tmp_path):
    features = make_features(100_000)
    start = time.perf_counter()
    written = write(tmp_path / "out.gpkg", features)
    assert time.perf_counter() - start < 20  # 0.8 s on an idle machine
    assert query(written, f"SELECT count(*) FROM {LAYER}") == [(100_000,)]
    assert query(written, "SELECT count(*) FROM rtree_detections_geom") == [(100_000,)]


def test_geopandas_reads_the_detections_also_where_no_layer_is_named(path):
    import geopandas

    frame = geopandas.read_file(path, layer=LAYER)
    assert frame.crs.to_epsg() == 32631
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "More than one layer")
        assert geopandas.read_file(path).equals(frame)
