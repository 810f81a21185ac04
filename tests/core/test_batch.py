"""Many scenes: the same results by any number of workers, one bad scene does not stop the rest, and it goes on."""

from __future__ import annotations

import csv
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.warp
from affine import Affine

from geodetect import registry
from geodetect.batch.record import Record
from geodetect.batch.run import BatchOptions, run_batch, status
from geodetect.batch.state import FILE, State
from geodetect.errors import Cancelled, ConfigError, InputError, OutputError
from geodetect.journal import Journal
from geodetect.networks.safetensors import write_safetensors
from geodetect.package import write_package
from geodetect.progress import Reporter

UTM = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
SETTINGS = {"precision": "float32", "score": 0.3}


class Telling(Reporter):
    """Keeps what it is told; stops after some scenes."""

    def __init__(self, stop: int = 10**9) -> None:
        self.notes, self.steps, self.stop = [], [], stop

    def progress(self, stage, done, total, found=0):
        self.steps.append((stage, done, total, found))
        if stage == "batch" and done >= self.stop:
            raise Cancelled("stop")

    def note(self, message):
        self.notes.append(str(message))


@pytest.fixture(scope="module")
def scenes(pixels, tmp_path_factory) -> list[str]:
    """Five scenes of one tile and one of four."""
    folder = tmp_path_factory.mktemp("scenes")
    names = []
    for number in range(6):
        row, col, side = (0, 0, 1024) if number == 2 else (64 * number, 32 * number, 640)
        names.append(write(folder / f"scene{number}.tif", pixels[:, row : row + side, col : col + side], row, col))
    return names


def write(path: Path, pixels: np.ndarray, row: int = 0, col: int = 0) -> str:
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "crs": "EPSG:32631", "photometric": "RGB"}
    shape = {"height": pixels.shape[1], "width": pixels.shape[2], "transform": UTM @ Affine.translation(col, row)}
    with rasterio.open(path, "w", **profile, **shape, compress="deflate") as file:
        file.write(pixels)
    return str(path)


@pytest.fixture
def bundled_copy(tmp_path):
    """Return a function that writes a copy of the bundled model, with weights that depend on a word."""

    def write(word: str) -> str:
        package = registry.resolve("planes-ships-yolov3-tiny")
        parameters = dict(package.parameters())
        name = next(name for name in parameters if name.endswith("bias"))
        parameters[name] = parameters[name] + len(word) / 1e4
        write_safetensors(tmp_path / "mine.safetensors", parameters)
        write_package(tmp_path / "model", package.card, tmp_path / "mine.safetensors")
        return str(tmp_path / "model")

    return write


@pytest.fixture(scope="module")
def alone(scenes, tmp_path_factory) -> Path:
    """What one worker makes of the scenes, each as a whole."""
    folder = tmp_path_factory.mktemp("alone")
    result = run_batch(scenes, folder, options=BatchOptions(workers=1, block=0), **SETTINGS)
    assert [record.state for record in result.records] == ["done"] * 6
    assert sum(record.count for record in result.records) > 20
    return folder


def features(folder: Path) -> dict[str, list]:
    """Return all that was found, but for the runs' own numbers."""
    paths = sorted(folder.glob("*_detections.gpkg"))
    return {p.name: pyogrio.read_dataframe(p, layer="detections").drop(columns="run_id").values.tolist() for p in paths}


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


def test_other_settings_may_not_go_on(scenes, tmp_path):
    with pytest.raises(Cancelled):
        run_batch(scenes[:2], tmp_path, options=BatchOptions(workers=1), reporter=Telling(stop=1), **SETTINGS)
    with pytest.raises(ConfigError, match="score differs from what the batch was begun with"):
        run_batch([], tmp_path, go_on=True, precision="float32", score=0.4)
    result = run_batch(
        scenes[1:3], tmp_path, go_on=True, options=BatchOptions(workers=1), threads=1, **SETTINGS
    )  # one more scene
    assert [Path(record.scene).stem for record in result.records] == ["scene0", "scene1", "scene2"]
    assert {record.state for record in result.records} == {"done"}


def test_only_what_is_given_is_compared_and_the_format_is_kept(scenes, tmp_path):
    run_batch(scenes[:1], tmp_path, ending=".csv", options=BatchOptions(workers=1), **SETTINGS)
    result = run_batch(scenes[1:2], tmp_path, go_on=True, options=BatchOptions(workers=1), max_gigapixels=5)
    assert [record.output for record in result.records] == ["scene0_detections.csv", "scene1_detections.csv"]
    assert {record.state for record in result.records} == {"done"}
    with pytest.raises(ConfigError, match=r"the batch's results are \.csv"):
        run_batch([], tmp_path, go_on=True, ending=".gpkg")


def test_a_result_that_is_gone_is_made_again(scenes, tmp_path):
    run_batch(scenes[:2], tmp_path, options=BatchOptions(workers=1), **SETTINGS)
    gone, kept = (tmp_path / f"scene{n}_detections.gpkg" for n in (0, 1))
    gone.unlink()
    when, reporter = kept.stat().st_mtime_ns, Telling()
    run_batch([], tmp_path, go_on=True, options=BatchOptions(workers=1), reporter=reporter)
    assert gone.exists()
    assert kept.stat().st_mtime_ns == when
    assert "1 result is no longer there and made again" in reporter.notes


def test_another_model_may_not_go_on(scenes, tmp_path, bundled_copy):
    run_batch(scenes[:1], tmp_path / "out", model=bundled_copy("0.2"), options=BatchOptions(workers=1), **SETTINGS)
    bundled_copy("other weights")
    with pytest.raises(ConfigError, match="the model's weights changed since the batch was begun"):
        run_batch(scenes[1:2], tmp_path / "out", go_on=True)


def test_what_fails_before_the_first_scene_loses_no_state(scenes, tmp_path):
    run_batch(scenes[:1], tmp_path, options=BatchOptions(workers=1), **SETTINGS)
    with pytest.raises(InputError, match="no model is called"):
        run_batch(scenes, tmp_path, overwrite=True, model="no-such-model")
    assert [record.state for record in status(tmp_path)[0].records] == ["done"]
    (tmp_path / "scene1_detections.gpkg").write_text("mine")
    with pytest.raises(OutputError, match="1 output exists"):
        run_batch(scenes[1:2], tmp_path, go_on=True)
    assert (tmp_path / "scene1_detections.gpkg").read_text() == "mine"
    with pytest.raises(OutputError, match="no batch is in"):
        run_batch([], tmp_path / "typo", go_on=True)
    assert not (tmp_path / "typo").exists()


def test_a_summary_that_is_open_elsewhere_stops_nothing(scenes, tmp_path):
    (tmp_path / "summary.gpkg-wal").touch()  # as QGIS has beside a layer that it shows
    reporter = Telling()
    result = run_batch(scenes[:1], tmp_path, options=BatchOptions(workers=1), reporter=reporter, **SETTINGS)
    assert result.records[0].state == "done"
    assert any("summary.gpkg is open in another program" in note for note in reporter.notes)
    assert result.report.exists()


def test_a_name_of_a_model_wins_over_a_folder_called_so(scenes, tmp_path, monkeypatch):
    (tmp_path / "yolov3-tiny").mkdir()
    monkeypatch.chdir(tmp_path)
    result = run_batch(scenes[:1], "out", model="yolov3-tiny", options=BatchOptions(workers=1))
    assert result.records[0].state == "done"


def test_what_would_fail_for_every_scene_fails_at_once(scenes, tmp_path):
    with pytest.raises(ConfigError, match="classes names 'car'"):
        run_batch(scenes, tmp_path / "a", classes=("car",))
    with pytest.raises(InputError, match="no model is called"):
        run_batch(scenes, tmp_path / "b", model="no-such-model")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "scene1_detections.gpkg").touch()
    with pytest.raises(OutputError, match=r"1 output exists in .*, such as scene1_detections.gpkg"):
        run_batch(scenes, tmp_path / "c")


def test_two_runs_do_not_work_in_one_folder(scenes, tmp_path):
    with State(tmp_path, write=True) as state:
        assert status(tmp_path)[1]
        with pytest.raises(OutputError, match="another run is working in"):
            run_batch(scenes, tmp_path)
        state.add([Record("a.tif", "a.gpkg")])
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
