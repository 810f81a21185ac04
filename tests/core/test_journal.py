"""A run that was stopped or killed goes on where it was, and gives what one that was not gives."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyogrio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running import MODEL, run, same

import geodetect
from geodetect.detections import Detections
from geodetect.errors import Cancelled, OutputError
from geodetect.journal import Journal
from geodetect.progress import Reporter

THIS = {"geodetect": "1", "scene": "a", "model": "m", "plan": "p", "score": "0.05", "engine": "e"}


class Stopping(Reporter):
    """Stops a run after some tiles; keeps its notes."""

    def __init__(self, after: int = 10**9) -> None:
        self.after, self.notes, self.first = after, [], None

    def progress(self, stage, done, total, found=0):
        if stage == "detect":
            self.first = done if self.first is None else self.first
            if done >= self.after:
                raise Cancelled("stop")

    def note(self, message):
        self.notes.append(message)


@pytest.fixture
def output(tmp_path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "found.gpkg"


def some(n: int, tile: int = 0) -> Detections:
    corner = np.arange(n)[:, None] * [1.0, 1.0]
    return Detections.of(np.hstack([corner, corner + 5]), np.full(n, 0.5), np.zeros(n), np.full(n, tile))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def equal(one, other) -> None:
    for column in ("boxes", "scores", "labels"):
        np.testing.assert_array_equal(getattr(one.detections, column), getattr(other.detections, column))


@pytest.mark.parametrize("after", [1, 3, 4])
def test_a_stopped_run_goes_on_and_finds_the_same(scene, reference, output, after):
    with pytest.raises(Cancelled, match=rf"Stopped after {after} of 4 tiles; the same command goes on from there"):
        run(scene, output=output, batch_size=1, reporter=Stopping(after))
    assert files(output.parent) == [".found.gpkg.journal"]
    reporter = Stopping()
    result = run(scene, output=output, batch_size=1, reporter=reporter)
    assert reporter.first == after
    assert f"going on after {after} of 4 tiles, which an earlier run finished" in reporter.notes
    equal(result, reference)
    assert files(output.parent) == ["found.gpkg"]


def test_other_batches_and_scores_go_on_too(scene, output):
    """The journal holds what the network sees, whatever is asked of it later."""
    with pytest.raises(Cancelled):
        run(scene, output=output, batch_size=2, reporter=Stopping(2))
    reporter = Stopping()
    result = run(scene, output=output, batch_size=3, score=0.6, threads=1, reporter=reporter)
    assert reporter.first == 2
    same(result.detections, run(scene, score=0.6).detections)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"tile": 512}, "tiles, bands, stretch or area are others"),
        ({"stretch": "0,200"}, "tiles, bands, stretch or area are others"),
        ({"score": 0.01}, "a lower score is asked for"),
        ({"precision": "float32", "engine": "onnxruntime"}, "engine, device or precision are others"),
    ],
)
def test_other_settings_start_anew_and_say_why(scene, output, changes, why):
    with pytest.raises(Cancelled):
        run(scene, output=output, batch_size=1, reporter=Stopping(2))
    reporter = Stopping()
    result = run(scene, output=output, reporter=reporter, **changes)
    assert reporter.first == 0
    assert f"an earlier run was not finished, but {why}, so this one starts anew" in reporter.notes
    equal(result, run(scene, **changes))


def test_a_scene_that_was_changed_starts_anew(scene, tmp_path, output):
    copy = tmp_path / "copy.tif"
    copy.write_bytes(Path(scene).read_bytes())
    with pytest.raises(Cancelled):
        run(copy, output=output, batch_size=1, reporter=Stopping(2))
    os.utime(copy, ns=(1, 1))
    reporter = Stopping()
    run(copy, output=output, reporter=reporter)
    assert any("the scene has changed" in note for note in reporter.notes)


def test_it_can_be_told_to_start_anew(scene, output):
    with pytest.raises(Cancelled):
        run(scene, output=output, batch_size=1, reporter=Stopping(2))
    reporter = Stopping(2)
    with pytest.raises(Cancelled, match=r"^stop$"):
        run(scene, output=output, batch_size=1, resume=False, reporter=reporter)
    assert reporter.first == 0
    assert files(output.parent) == []


def test_a_run_that_is_killed_goes_on(scene, reference, output):
    command = [sys.executable, "-m", "geodetect", str(scene), "-o", str(output), "--batch-size", "1"]
    command += ["--score", "0.3", "--engine", "openvino", "--precision", "float32", "--progress", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout:
            if '"detect"' in line and '"done": 0' not in line:
                running.send_signal(signal.SIGKILL)
                break
    assert running.returncode == -signal.SIGKILL
    assert not output.exists()
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "of 4 tiles, which an earlier run finished" in told
    assert files(output.parent) == ["found.gpkg"]
    found = pyogrio.read_dataframe(output, layer="detections")
    np.testing.assert_array_equal(found.score.to_numpy(np.float32), reference.detections.scores)


def test_two_runs_do_not_write_one_output(output):
    with Journal(output):
        with pytest.raises(OutputError, match=r"another run is writing .*found.gpkg; wait for its end"):
            Journal(output)
        Journal(output.with_name("other.gpkg")).close(keep=False)
    with Journal(output):
        pass
    assert files(output.parent) == []


def test_a_full_disk_keeps_what_was_written(tmp_path):
    """The limit on a file's size stands for a disk that is full."""
    code = f"""
import resource, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_journal import THIS, some
from geodetect.errors import OutputError
from geodetect.journal import Journal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    with Journal(Path({str(tmp_path / "a.gpkg")!r})) as journal:
        journal.recall(THIS, 1000, 1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        for done in range(1, 1001):
            journal.add(range(done - 1, done), some(100, done - 1))
except OutputError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "cannot be written" in told
    done = int(told.rsplit("goes on after ", 1)[1].split(" tiles")[0])
    with Journal(tmp_path / "a.gpkg") as journal:
        assert journal.recall(THIS, 1000, 1) == ""
        assert journal.done == done > 5
        assert len(journal.found) == 100 * done


def test_where_no_journal_can_be_kept_the_run_goes_on_without(scene, reference, output):
    output.with_name(".found.gpkg.journal").mkdir()
    reporter = Stopping()
    equal(run(scene, output=output, reporter=reporter), reference)
    assert any(note.startswith("no journal can be kept beside the output") for note in reporter.notes)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
def test_any_bytes_in_its_place_start_anew(tmp_path, data):
    (tmp_path / ".a.gpkg.journal").write_bytes(data)
    with Journal(tmp_path / "a.gpkg") as journal:
        journal.recall(THIS, 4, 1)
        assert (journal.done, len(journal.found)) == (0, 0)
        journal.add(range(1), some(2))
    assert files(tmp_path) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=st.integers(-3, 6) | st.integers(),
    past=st.integers(-3, 6) | st.integers(),
    data=st.one_of(st.binary(max_size=200), st.lists(st.floats(width=32), max_size=44).map(np.float32).map(bytes)),
)
def test_a_journal_is_not_trusted(tmp_path, first, past, data):
    """What it holds is within this run's tiles, classes and numbers, or it is not used."""
    journal = Journal(tmp_path / "a.gpkg")
    journal.recall(THIS, 4, 2)
    journal.add(range(1), some(1))
    journal.close(keep=True)
    with sqlite3.connect(journal.path) as database:
        values = max(-(2**63), min(first, 2**63 - 1)), max(-(2**63), min(past, 2**63 - 1)), data
        database.execute("INSERT OR REPLACE INTO finished VALUES (?, ?, ?)", values)
    database.close()
    with Journal(tmp_path / "a.gpkg") as journal:
        why = journal.recall(THIS, 4, 2)
        assert why in ("", "its journal is damaged")
        found = journal.found
        assert 0 <= journal.done <= 4
        assert np.isfinite(found.boxes).all()
        assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()
        assert ((found.labels >= 0) & (found.labels < 2)).all()
        assert all(0 <= span.start <= span.stop <= 4 for span in journal.finished)
        assert all(any(tile in span for span in journal.finished) for tile in found.tiles)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=30))
def test_a_damaged_journal_starts_anew(tmp_path, damage):
    """Whichever bytes of a valid one are others."""
    journal = Journal(tmp_path / "a.gpkg")
    journal.recall(THIS, 4, 1)
    journal.add(range(2), some(300))
    journal.close(keep=True)
    data = bytearray(journal.path.read_bytes())
    for place, byte in damage:
        data[place % len(data)] = byte
    journal.path.write_bytes(data)
    with Journal(tmp_path / "a.gpkg") as journal:
        why = journal.recall(THIS, 4, 1)
        assert why or journal.done in (0, 2)
        journal.add(range(journal.done, 4), some(2, 3))
        assert journal.done == 4
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "statements",
    [
        "ALTER TABLE finished RENAME TO other; CREATE VIEW finished AS SELECT 0 AS first, ({query}) AS past, x'' AS d",
        "DROP TABLE identity; CREATE VIEW identity AS SELECT 'scene' AS key, ({query}) AS value",
        "CREATE TRIGGER slow BEFORE INSERT ON finished BEGIN SELECT ({query}); END",
    ],
)
def test_a_journal_that_holds_queries_starts_anew(tmp_path, statements):
    """This one would take seconds; another might take for ever."""
    query = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 30000000) SELECT max(x) FROM n"
    journal = Journal(tmp_path / "a.gpkg")
    journal.recall(THIS, 4, 1)
    journal.add(range(1), some(1))
    journal.close(keep=True)
    with sqlite3.connect(journal.path) as database:
        database.executescript(statements.format(query=query))
    database.close()
    begun = time.process_time()
    with Journal(tmp_path / "a.gpkg") as journal:
        journal.recall(THIS, 4, 1)
        assert journal.done == 0
        journal.add(range(4), some(1))
    assert time.process_time() - begun < 1


@given(
    finished=st.sets(st.integers(0, 30)).map(lambda tiles: [range(tile, tile + 1) for tile in tiles]),
    start=st.integers(0, 30),
    length=st.integers(0, 31),
)
def test_what_is_missing_and_what_is_finished_make_the_whole(finished, start, length):
    journal = Journal.__new__(Journal)
    journal.finished, span = finished, range(start, start + length)
    missing = [tile for gap in journal.missing(span) for tile in gap]
    assert missing == [tile for tile in span if not any(tile in part for part in finished)]
    assert all(journal.missing(span))


def test_tiles_may_be_finished_in_any_order(scene, reference, output):
    """As by several processes, each of which looks at some rows of the scene."""
    with geodetect.Detector(model=MODEL, precision="float32", score=0.3) as detector:
        journal = Journal(output)
        with detector.view(scene) as view:
            journal.recall(view.identity, 4, 2)
            for span in (range(3, 4), range(1, 2)):
                for seen in detector.predict(view, span):
                    journal.add(seen.span, seen.found)
        journal.close(keep=True)
        reporter = Stopping()
        result = detector.detect(scene, output=output, reporter=reporter)
    assert "going on after 2 of 4 tiles, which an earlier run finished" in reporter.notes
    equal(result, reference)


def test_its_cost_is_small(tmp_path):
    """A batch of tiles takes tens of milliseconds at least; to write it down takes far less than 2 % of a slow one."""
    with Journal(tmp_path / "a.gpkg") as journal:
        journal.recall(THIS, 300, 1)
        begun = time.perf_counter()
        for done in range(1, 301):
            journal.add(range(done - 1, done), some(200, done - 1))
        assert (time.perf_counter() - begun) / 300 < 0.01


def test_it_may_be_written_by_another_thread(tmp_path):
    with Journal(tmp_path / "a.gpkg") as journal:
        journal.recall(THIS, 3, 1)
        thread = threading.Thread(target=journal.add, args=(range(1), some(1)))
        thread.start()
        thread.join()
        assert journal.done == 1


def test_only_a_damaged_journal_is_removed(output, monkeypatch):
    """Not one that cannot be opened now, for want of handles or rights."""
    journal = Journal(output)
    journal.recall(THIS, 9, 1)
    journal.add(range(3), some(2))
    journal.close(keep=True)
    opened = Journal._opened

    def out_of_handles(self, path=None):
        if path is None:
            raise sqlite3.OperationalError("unable to open database file")
        return opened(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_opened", out_of_handles)
        without = Journal(output)
        without.close(keep=True)
    assert without.lacking == "unable to open database file"
    with Journal(output) as again:
        assert (again.recall(THIS, 9, 1), again.done) == ("", 3)
