"""A batch as a table and a layer."""

import csv

import geopandas
import pyogrio
import pytest
import shapely

from geodetect.batch.record import Record
from geodetect.batch.report.summary import write_summary
from geodetect.errors import OutputError

SQUARE = "POLYGON((4 51, 4.1 51, 4.1 51.1, 4 51.1, 4 51))"
ACROSS = "POLYGON((179.9 -18, -179.9 -18, -179.9 -17.9, 179.9 -17.9, 179.9 -18))"
RECORDS = [
    Record(
        "/data/a.tif", "a.gpkg", "done", "", 1, 12.3456, 40, {"ship": 3, "plane": 1}, SQUARE, "2024-06-14T07:44:31Z"
    ),
    Record(
        "s3://b/c.tif?key=SECRET", "c.gpkg", "failed", "s3://b/c.tif?key=SECRET is damaged", 3, 1.0, footprint=ACROSS
    ),
    Record("/data/none.png", "none.gpkg", "done", counts={"=cmd|'/C calc'!A0": 2}),
    Record("@later.tif", "later.gpkg", notes=("=1+1", "https://h/a?key=SECRET is far away")),
]


def rows(folder):
    with (folder / "summary.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_has_a_row_a_scene_and_a_column_a_class(tmp_path):
    write_summary(tmp_path, RECORDS, ["plane", "ship", "never"])
    table = rows(tmp_path)
    assert list(table[0]) == ["scene", "output", "state", "objects", "plane", "ship", "never", "'=cmd|'/C calc'!A0",
                              "tiles", "seconds", "attempts", "reason", "notes", "ended"]  # fmt: skip
    assert [row["state"] for row in table] == ["done", "failed", "done", "waiting"]
    assert table[0]["scene"] == "/data/a.tif"
    assert [table[0][name] for name in ("objects", "plane", "ship", "never", "tiles")] == ["4", "1", "3", "0", "40"]
    assert float(table[0]["seconds"]) == 12.346
    assert table[3]["scene"] == "'@later.tif"
    assert table[3]["notes"] == "'=1+1; https://h/a is far away"
    assert not list(tmp_path.glob(".*"))


def test_the_layer_says_the_same_where_it_is(tmp_path):
    write_summary(tmp_path, RECORDS, ["plane"])
    layer = geopandas.read_file(tmp_path / "summary.gpkg", layer="scenes")
    assert layer.crs.to_epsg() == 4326
    table = rows(tmp_path)
    for name in ("output", "state", "reason", "ended"):
        assert [value or "" for value in layer[name]] == [row[name] for row in table]
    for name in ("objects", "plane", "ship", "tiles", "seconds", "attempts"):
        assert layer[name].tolist() == [float(row[name]) for row in table]
    assert layer.notes.tolist()[3].startswith("=1+1; ")
    assert layer.scene.tolist()[3] == "@later.tif"  # no spreadsheet, no apostrophe
    assert [shape is None for shape in layer.geometry] == [False, False, True, True]
    assert layer.geometry[0].equals(shapely.from_wkt(SQUARE))
    assert layer.geometry[1].area == pytest.approx(0.02)  # two halves, not a band around the globe
    assert list(layer.geometry[1].bounds[::2]) == [-180, 180]


def test_no_key_is_told(tmp_path):
    write_summary(tmp_path, RECORDS)
    assert rows(tmp_path)[1]["scene"] == "s3://b/c.tif"
    assert rows(tmp_path)[1]["reason"] == "s3://b/c.tif is damaged"
    for path in tmp_path.iterdir():
        assert b"SECRET" not in path.read_bytes()


def test_classes_named_like_columns_and_names_that_are_no_text(tmp_path):
    record = Record("/data/\udce9.tif", "a.gpkg", "done", counts={"Scene": 1, "fid": 2, "": 3, "ship": 4, "SHIP": 5})
    write_summary(tmp_path, [record])
    (row,) = rows(tmp_path)
    assert row["objects"] == "15"
    assert {row[name] for name in ("Scene_", "fid_", "_", "ship_", "SHIP")} == {"1", "2", "3", "4", "5"}
    assert row["scene"] == "/data/\\udce9.tif"
    assert len(pyogrio.read_info(tmp_path / "summary.gpkg")["fields"]) == len(row)


def test_a_batch_without_scenes_has_empty_tables(tmp_path):
    write_summary(tmp_path, [], ["ship"])
    assert rows(tmp_path) == []
    assert pyogrio.read_info(tmp_path / "summary.gpkg", layer="scenes")["features"] == 0


def test_what_cannot_be_written_is_one_error_and_the_old_stays(tmp_path):
    write_summary(tmp_path, RECORDS[:1])
    before = (tmp_path / "summary.gpkg").read_bytes()
    (tmp_path / "summary.gpkg-wal").touch()  # QGIS has it open
    with pytest.raises(OutputError, match="open in another program"):
        write_summary(tmp_path, RECORDS)
    assert (tmp_path / "summary.gpkg").read_bytes() == before
