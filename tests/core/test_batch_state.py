"""A batch's state that is damaged, or was made to do harm, is refused in one sentence or heals; it leads nowhere."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from faults import Here, command, ended, told
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from running import write_scene

from geodetect.batch import run
from geodetect.batch.run import BatchOptions, run_batch, status
from geodetect.batch.state import FILE

few = settings(
    max_examples=10, phases=[Phase.explicit, Phase.generate], deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module", autouse=True)
def here():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "LocalWorkers", Here)
        yield


@pytest.fixture(scope="module")
def batch(pixels, tmp_path_factory) -> Path:
    """A folder with a batch of one scene, which is done, and a file beside it."""
    folder = tmp_path_factory.mktemp("state")
    (folder / "mine.gpkg").write_text("mine")
    scene = write_scene(folder / "scene.tif", pixels[:, :640, :640])
    result = run_batch([scene], folder / "out", options=BatchOptions(workers=1), precision="float32", score=0.3)
    assert [record.state for record in result.records] == ["done"]
    return folder


@contextlib.contextmanager
def copied(batch: Path):
    """Yield a copy of the batch's folder that may be harmed."""
    folder = batch / "copy"
    shutil.copytree(batch / "out", folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def outside(batch: Path) -> dict[str, bytes]:
    """Return all files around the copy."""
    paths = [path for path in batch.rglob("*") if path.is_file() and "copy" not in path.parts]
    return {str(path): path.read_bytes() for path in (*paths, *batch.parent.glob("*.*"))}


def refused_or_healed(batch: Path, folder: Path) -> None:
    """The law of this file: a sentence and an exit code, or the work is done; and nothing around is touched."""
    around = outside(batch)
    for words in (["--status"], ["--continue", "--retries", "0"], ["--status"]):
        code, said = told(*words, "-o", folder)
        assert outside(batch) == around
        assert said.count("\n") <= 1, said
        assert (code in (0, 1)) == (not said.startswith("Error: ")), said  # 1: the scene failed, which its record tells
    if code == 0:
        assert {"done"} >= {record.state for record in status(folder)[0].records if not record.reason}


@few
@given(data=st.binary(max_size=400))
@example(b"SQLite format 3\0")
@example(b"")
def test_any_bytes_in_its_place_are_refused(batch, data):
    with copied(batch) as folder:
        (folder / FILE).write_bytes(data)
        refused_or_healed(batch, folder)


@few
@given(share=st.floats(0, 1))
def test_a_state_that_is_cut_off(batch, share):
    with copied(batch) as folder:
        whole = (folder / FILE).read_bytes()
        (folder / FILE).write_bytes(whole[: int(share * len(whole))])
        refused_or_healed(batch, folder)


places = st.integers(0, 99) | st.integers(0, 10**6)  # the first hundred bytes are SQLite's header


@few
@given(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=20))
def test_a_state_of_which_bytes_are_others(batch, damage):
    with copied(batch) as folder:
        data = bytearray((folder / FILE).read_bytes())
        for place, byte in damage:
            data[place % len(data)] = byte
        (folder / FILE).write_bytes(data)
        refused_or_healed(batch, folder)


TEXTS = ("scene", "output", "state", "reason", "footprint", "ended", "counts", "notes")
NUMBERS = ("attempts", "seconds", "tiles")
VALUES = (
    *((column, "x" * 300_000) for column in TEXTS),
    *((column, value) for column in NUMBERS for value in (-1, 9e999, "9" * 30, "many")),
    *(("output", name) for name in ("", "..", "../mine.gpkg", "/tmp/x.gpkg", "a\0b.gpkg", "x" * 300, FILE)),
    *(("scene", name) for name in ("", "\0", "-", b"\xff", "http://x?" + "." * 90_000 + "x")),
    *(("counts", text) for text in ("[]", '{"ship": -1}', f'{{"ship": 1{"0" * 99}}}', "[" * 10_000)),
    *(
        ("footprint", text)
        for text in ("POINT (1 1)", "POLYGON ((nan 0, 1 1, 2 2, nan 0))", "POLYGON Z ((0 0 1, 1 1 1, 1 0 1, 0 0 1))")
    ),
    *(("notes", text) for text in ("{}", "[[]]", "[[1, 2]]", "3")),
)


@pytest.mark.parametrize(("column", "value"), VALUES, ids=lambda value: repr(value)[:30])
def test_a_scene_with_hostile_values(batch, column, value):
    state = (
        "waiting" if column in ("scene", "output", "attempts") else "done"
    )  # else it is done anew, and they replaced
    with copied(batch) as folder:
        change(folder, "UPDATE scenes SET state = ?", state)
        change(folder, f"UPDATE scenes SET {column} = ?", value)
        refused_or_healed(batch, folder)


ABOUT = (
    *(("seconds", value) for value in ("null", '"x"', "NaN", "1e999", "-1", "[1]")),
    *(("ending", value) for value in ("3", "null", '"x"', '".exe"', "[]")),
    *(("palette", value) for value in ("3", "[1]", '{"plane": 3}')),
    *(("settings", value) for value in ("null", "[1]", '{"score": {"plane": "x"}}', "[" * 10_000, "{")),
    *((key, value) for key in ("title", "model", "licence", "begun", "engine") for value in ("3", "[1]")),
)


@pytest.mark.parametrize(("key", "value"), ABOUT, ids=lambda value: value[:30])
def test_a_batch_with_hostile_values(batch, key, value):
    with copied(batch) as folder:
        change(folder, "UPDATE batch SET value = ? WHERE key = ?", value, key)
        refused_or_healed(batch, folder)


@pytest.mark.parametrize("ending", ["_x/../../mine.gpkg", "/../../mine.gpkg", ".gpkg/../../mine.gpkg"])
def test_an_ending_leads_nowhere(batch, pixels, ending):
    more = write_scene(batch / "more.tif", pixels[:, :640, :640])
    with copied(batch) as folder:
        change(folder, "UPDATE batch SET value = ? WHERE key = 'ending'", json.dumps(ending))
        around = outside(batch)
        code, said = told("--continue", more, "-o", folder)
        assert (code, said.count("\n")) == (3, 1)
        assert outside(batch) == around
        change(folder, "UPDATE batch SET value = ? WHERE key = 'ending'", json.dumps(".gpkg"))
        assert told("--status", "-o", folder)[0] == 0  # the state took no harm of it
    Path(more).unlink()


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"


@pytest.mark.parametrize(
    "statements",
    [
        ["ALTER TABLE scenes RENAME TO others", f"CREATE VIEW scenes AS {ENDLESS}"],
        ["DROP TABLE batch", f"CREATE VIEW batch AS SELECT 'title' AS key, ({ENDLESS}) AS value"],
        [f"CREATE TRIGGER t AFTER UPDATE ON scenes BEGIN {ENDLESS}; END"],
        ["CREATE TRIGGER t AFTER INSERT ON batch BEGIN DELETE FROM scenes; END"],
        ["ALTER TABLE scenes ADD COLUMN newer TEXT NOT NULL DEFAULT 'x'"],
        ["ALTER TABLE scenes RENAME COLUMN tiles TO squares"],
        ["DROP TABLE scenes", "CREATE TABLE scenes (scene)"],
        ["DROP TABLE scenes"],
        ["PRAGMA user_version = 7", "PRAGMA application_id = 7"],
    ],
    ids=range(9),
)
def test_another_schema_is_refused_or_healed_in_little_time(batch, statements):
    """One of a later version, or one made to run for ever."""
    with copied(batch) as folder:
        for statement in statements:
            change(folder, statement)
        if any(ENDLESS in statement for statement in statements):
            code, said = ended(command("--continue", "-o", folder))
            assert (code, said.count("\n")) == (3, 1)
        else:
            refused_or_healed(batch, folder)


def change(folder: Path, statement: str, *values) -> None:
    with contextlib.closing(sqlite3.connect(folder / FILE)) as database, database:
        database.execute(statement, values)
