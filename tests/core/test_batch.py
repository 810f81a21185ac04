"""Many scenes: the same results by any number of workers, one bad scene does not stop the rest, and it goes on."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.warp
from affine import Affine
from running import UTM, Telling, features, write_scene

from geodetect import registry
from geodetect.batch.record import Record
from geodetect.batch.run import BatchOptions, run_batch, status
from geodetect.batch.sources import find_scenes
from geodetect.batch.state import FILE, State
from geodetect.cli.main import cli
from geodetect.errors import Cancelled, OutputError
from geodetect.journal import Journal
from geodetect.progress import Caution

SETTINGS = {"precision": "float32", "score": 0.3}


@pytest.fixture(scope="module")
def alone(scenes, tmp_path_factory) -> Path:
    """What one worker makes of the scenes, each as a whole."""
    folder = tmp_path_factory.mktemp("alone")
    result = run_batch(scenes, folder, options=BatchOptions(workers=1, block=0), **SETTINGS)
    assert [record.state for record in result.records] == ["done"] * 6
    assert sum(record.count for record in result.records) > 20
    return folder


def test_any_number_of_workers_finds_the_same(scenes, alone, tmp_path):
    reporter = Telling()
    result = run_batch(scenes, tmp_path, options=BatchOptions(workers=2, block=1), reporter=reporter, **SETTINGS)
    assert [record.state for record in result.records] == ["done"] * 6
    assert features(tmp_path) == features(alone)
    assert {record.tiles for record in result.records} == {1, 4}
    assert reporter.steps[-1] == ("batch", 6, 6, sum(record.count for record in result.records))
    hidden = {path.name for path in tmp_path.glob(".*")}
    assert hidden == {".batch.lock"}  # no journal, no half file


def test_it_leaves_a_summary_and_pictures(scenes, alone):
    with (alone / "summary.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["done"] * 6
    outlines = pyogrio.read_dataframe(alone / "summary.gpkg")
    assert len(outlines) == 6
    assert outlines.crs.to_epsg() == 4326
    with rasterio.open(scenes[2]) as scene:
        left, bottom, right, top = rasterio.warp.transform_bounds(scene.crs, "EPSG:4326", *scene.bounds)
    np.testing.assert_allclose(outlines.total_bounds, (left, bottom, right, top), atol=2e-3)
    assert (alone / "report.html").stat().st_size > 10_000
    assert len(list((alone / "quicklooks").glob("*.jpg"))) == 6


def test_a_bad_scene_does_not_stop_the_rest(scenes, tmp_path):
    text = tmp_path / "text.tif"
    text.write_text("this is no raster")
    whole = Path(scenes[0]).read_bytes()
    cut = tmp_path / "cut.tif"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    reporter = Telling()
    given = [str(text), scenes[1], str(cut), str(tmp_path / "none.tif"), scenes[3]]
    result = run_batch(given, tmp_path / "out", options=BatchOptions(workers=1), reporter=reporter, **SETTINGS)
    assert [record.state for record in result.records] == ["failed", "done", "failed", "failed", "done"]
    reasons = [record.reason for record in result.records]
    assert "text.tif cannot be opened as a raster" in reasons[0]
    assert "cut.tif" in reasons[2]
    assert "none.tif does not exist" in reasons[3]
    assert [record.attempts for record in result.records] == [1] * 5  # to try again would not help
    assert len(list((tmp_path / "out").glob("*_detections.gpkg"))) == 2
    assert sum(note.startswith("failed: ") for note in reporter.notes) == 3


def test_a_scene_outside_the_area_is_no_failure(scenes, tmp_path, capsys):
    corner = "500000,4999990,500010,5000000"  # of the first and the third
    words = ["batch", *scenes[:3], "-o", str(tmp_path), "--area", corner, "--workers", "1", "--precision", "float32"]
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert not end.value.code
    assert "1  scene outside the area" in capsys.readouterr().out
    assert [record.state for record in status(tmp_path)[0].records] == ["done", "outside", "done"]
    with (tmp_path / "summary.csv").open(newline="", encoding="utf-8-sig") as file:
        row = list(csv.DictReader(file))[1]
    assert row["state"] == "outside"
    assert "does not meet the scene scene1.tif" in row["reason"]
    reporter = Telling()
    result = run_batch([], tmp_path, go_on=True, reporter=reporter)
    assert [record.attempts for record in result.records] == [1, 1, 1]  # none was tried again
    assert reporter.notes == []
    away = run_batch(scenes[:1], tmp_path / "away", area="0,0,1,1", reporter=reporter)
    assert away.records[0].state == "outside"
    assert reporter.notes == ["the area meets none of the scenes; check its coordinates and its CRS"]


def test_notes_of_a_scene_come_back(pixels, tmp_path):
    """Whether it is looked at as a whole or in blocks."""
    coarse = write_scene(tmp_path / "coarse.tif", pixels[:, :640, :640], transform=UTM @ Affine.scale(80))
    empty = write_scene(tmp_path / "empty.tif", np.zeros_like(pixels), nodata=0)
    for block in (0, 1):
        out, reporter = tmp_path / f"out{block}", Telling()
        options = BatchOptions(workers=1, block=block)
        run_batch([coarse, empty], out, options=options, reporter=reporter, **SETTINGS)
        records = status(out)[0].records
        assert [record.state for record in records] == ["done", "done"]
        cautions = [[note for note in record.notes if isinstance(note, Caution)] for record in records]
        assert "too coarse" in cautions[0][0]
        assert "no tile holds a valid pixel" in cautions[1][0]
        assert sorted(map(len, cautions)) == [1, 1]
        assert all("bands 1, 2, 3" in " ".join(record.notes) for record in records)
        assert sorted(reporter.notes)[0].startswith("coarse_detections.gpkg: its pixels of 40")
        assert sorted(reporter.notes)[1].startswith("empty_detections.gpkg: no tile holds a valid pixel")
        assert "no tile holds a valid pixel" in (out / "summary.csv").read_text("utf-8")
        assert "no tile holds a valid pixel" in (out / "report.html").read_text("utf-8")


def test_what_failed_and_is_no_longer_named_is_dropped(scenes, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for path in scenes[:2]:
        shutil.copy(path, folder)
    for name in ("bad.tif", "worse.tif"):
        (folder / name).write_text("no raster")
    out, options = tmp_path / "out", BatchOptions(workers=1)
    run_batch(find_scenes([folder]), out, options=options, **SETTINGS)
    (folder / "bad.tif").unlink()
    (folder / "scene0.tif").unlink()  # its result is there, and stays
    journal = out / ".bad_detections.gpkg.journal"
    journal.touch()
    reporter = Telling()
    result = run_batch(find_scenes([folder]), out, go_on=True, options=options, reporter=reporter)
    names = {Path(record.scene).name: record.state for record in result.records}
    assert names == {"scene0.tif": "done", "scene1.tif": "done", "worse.tif": "failed"}
    assert reporter.notes[0] == f"1 scene is no longer named and dropped, such as {folder / 'bad.tif'}"
    assert (out / "scene0_detections.gpkg").exists()
    assert not journal.exists()
    result = run_batch([], out, go_on=True, options=options)  # which names none, and so drops none
    assert result.of("failed")[0].attempts == 3
    result = run_batch(scenes[2:3], out, go_on=True, options=options)  # more than before, but for what failed
    assert {record.state for record in result.records} == {"done"}
    assert len(result.records) == 3


def test_leftovers_of_killed_writers_go_and_nothing_else(scenes, tmp_path):
    run_batch(scenes[:1], tmp_path, options=BatchOptions(workers=1), **SETTINGS)
    ours = [
        *("quicklooks/.scene0_detections.0123abcd.jpg", "quicklooks/.scene0_detections.0123abcd.jpg.aux.xml"),
        *(".scene0_detections.0123abcd.gpkg", ".scene0_detections.0123abcd.gpkg-journal", ".report.00000000.html"),
    ]
    others = [
        *("quicklooks/.mine.0123abcd.jpg", "quicklooks/.scene0_detections.jpg", "quicklooks/scene0.0123abcd.jpg"),
        *(".scene0_detections.0123abc.gpkg", ".scene0_detections.0123abcd.tif", "scene0_detections.0123abcd.gpkg"),
    ]
    for name in (*ours, *others):
        (tmp_path / name).touch()
    run_batch([], tmp_path, go_on=True, options=BatchOptions(quicklooks=False))
    assert not [name for name in ours if (tmp_path / name).exists()]
    assert all((tmp_path / name).exists() for name in others)


def test_the_model_is_read_once(scenes, tmp_path, monkeypatch):
    resolved, resolve = [], registry.resolve
    monkeypatch.setattr(registry, "resolve", lambda *words: resolved.append(words) or resolve(*words))
    run_batch(scenes[:1], tmp_path, options=BatchOptions(workers=1), **SETTINGS)
    assert len(resolved) == 1


def test_a_scene_is_one_however_it_is_named(scenes, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(scenes[0]).parent)
    run_batch(["scene0.tif"], tmp_path, options=BatchOptions(workers=1), **SETTINGS)
    result = run_batch([f"../{Path.cwd().name}/scene0.tif"], tmp_path, go_on=True)
    assert [record.scene for record in result.records] == [scenes[0]]


def test_a_stopped_batch_goes_on(scenes, alone, tmp_path):
    with pytest.raises(Cancelled, match=r"Stopped with \d of 6 scenes done; go on with `geodetect batch --continue"):
        run_batch(scenes, tmp_path, options=BatchOptions(workers=1, block=1), reporter=Telling(stop=3), **SETTINGS)
    states = [record.state for record in status(tmp_path)[0].records]
    assert states.count("done") == 3
    assert set(states) == {"done", "waiting"}
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*_detections.gpkg")}
    with pytest.raises(
        OutputError, match=r"a batch of 6 scenes, 3 of them done, is in .*; go on with it by --continue"
    ):
        run_batch(scenes, tmp_path, **SETTINGS)
    result = run_batch([], tmp_path, go_on=True, options=BatchOptions(workers=1))
    assert {record.state for record in result.records} == {"done"}
    assert features(tmp_path) == features(alone)
    assert all(path.stat().st_mtime_ns == when for path, when in written.items())  # nothing was done twice


def test_a_result_that_is_gone_is_made_again(scenes, tmp_path):
    run_batch(scenes[:2], tmp_path, options=BatchOptions(workers=1), **SETTINGS)
    gone, kept = (tmp_path / f"scene{n}_detections.gpkg" for n in (0, 1))
    gone.unlink()
    when, reporter = kept.stat().st_mtime_ns, Telling()
    run_batch([], tmp_path, go_on=True, options=BatchOptions(workers=1), reporter=reporter)
    assert gone.exists()
    assert kept.stat().st_mtime_ns == when
    assert "1 result is no longer there and made again" in reporter.notes


def test_a_summary_that_is_open_elsewhere_stops_nothing(scenes, tmp_path):
    (tmp_path / "summary.gpkg-wal").touch()  # as QGIS has beside a layer that it shows
    reporter = Telling()
    result = run_batch(scenes[:1], tmp_path, options=BatchOptions(workers=1), reporter=reporter, **SETTINGS)
    assert result.records[0].state == "done"
    assert any("summary.gpkg is open in another program" in note for note in reporter.notes)
    assert result.report.exists()


def test_two_runs_do_not_work_in_one_folder(scenes, tmp_path, capsys):
    with State(tmp_path, write=True) as state:
        assert status(tmp_path)[1]
        with pytest.raises(OutputError, match="another run is working in"):
            run_batch(scenes, tmp_path)
        state.add([Record("a.tif", "a.gpkg")])
        capsys.readouterr()
        with contextlib.suppress(SystemExit):
            cli.main(["batch", "--status", "-o", str(tmp_path), "--progress", "json"])
        told = json.loads(capsys.readouterr().out)
        assert (told["runs"], told["running"], told["waiting"]) == (True, 0, 1)
    assert not status(tmp_path)[1]


def test_an_output_that_another_run_writes_is_left_to_it(scenes, tmp_path):
    with Journal(tmp_path / "scene0_detections.gpkg"):
        result = run_batch(scenes[:2], tmp_path, options=BatchOptions(workers=1, retries=1), **SETTINGS)
    assert [record.state for record in result.records] == ["failed", "done"]
    assert "another run is writing" in result.records[0].reason
    assert result.records[0].attempts == 2


def test_a_state_is_not_trusted(tmp_path):
    with State(tmp_path, write=True) as state:
        state.add([Record("a.tif", "a.gpkg")])
        state.update([replace(state.records()[0], state="done", counts={"ship": 3})])
        assert state.records()[0].counts == {"ship": 3}
    for column, value in (
        ("output", "../../a.gpkg"),
        ("output", ".."),
        ("state", "dead"),
        ("counts", "[" * 10_000),
        ("counts", '{"ship": -1}'),
        ("tiles", "many"),
    ):
        with sqlite3.connect(tmp_path / FILE) as database:
            kept = database.execute(f"SELECT {column} FROM scenes").fetchone()[0]
            database.execute(f"UPDATE scenes SET {column} = ?", (value,))
        with pytest.raises(OutputError, match="is damaged"):
            status(tmp_path)
        with sqlite3.connect(tmp_path / FILE) as database:
            database.execute(f"UPDATE scenes SET {column} = ?", (kept,))
        database.close()
    (tmp_path / FILE).write_bytes(b"nothing of SQLite" * 100)
    with pytest.raises(OutputError, match="cannot be used"):
        status(tmp_path)
    with pytest.raises(OutputError, match="no batch is in"):
        status(tmp_path.parent)
