"""How far a run is, in words; and the time left, with a clock that the test turns."""

from __future__ import annotations

import pytest

from qgis_plugin.gui.pace import Pace, percent, progress_text, span


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def heard(pace, clock, seconds, done, total=100):
    clock.now += seconds
    pace.hear({"stage": "detect", "done": done, "total": total, "found": 0})


def test_time_left_follows_from_the_tiles_a_second():
    clock = Clock()
    pace = Pace(clock)
    for done in range(11):  # two tiles a second
        heard(pace, clock, 0.5, done)
    assert pace.seconds_left() == pytest.approx(45)
    clock.now += 3  # no tile, but time goes on
    assert pace.seconds_left() == pytest.approx(42)


def test_nothing_is_told_too_early_and_after_the_last():
    clock = Clock()
    pace = Pace(clock)
    assert pace.seconds_left() is None
    heard(pace, clock, 9, 0)
    heard(pace, clock, 9, 4)  # the first batch took long: that says nothing of the others
    assert pace.seconds_left() is None
    heard(pace, clock, 1, 8)
    assert pace.seconds_left() is None
    heard(pace, clock, 1, 12)
    assert pace.seconds_left() == pytest.approx(22)
    heard(pace, clock, 1, 100)
    assert pace.seconds_left() is None


def test_a_machine_that_slows_down_is_noticed():
    clock = Clock()
    pace = Pace(clock)
    for done in range(1, 101):
        heard(pace, clock, 0.1, done, 1000)
    for done in range(101, 131):
        heard(pace, clock, 1, done, 1000)
    assert pace.seconds_left() == pytest.approx(870, rel=0.05)


def test_no_less_than_a_second_while_tiles_are_left():
    clock = Clock()
    pace = Pace(clock)
    for done in range(1, 100):
        heard(pace, clock, 0.1, done)
    clock.now += 60
    assert pace.seconds_left() == 1


def test_another_stage_begins_anew():
    clock = Clock()
    pace = Pace(clock)
    for done in range(1, 50):
        heard(pace, clock, 0.1, done)
    pace.hear({"stage": "merge", "done": 0, "total": 0})
    assert pace.seconds_left() is None


def test_words():
    detect = {"stage": "detect", "done": 37, "total": 120, "found": 214}
    assert progress_text(detect, 41.2) == "37 of 120 tiles, 214 found, 0:42 left"
    assert progress_text(detect, None) == "37 of 120 tiles, 214 found"
    download = {"stage": "download", "done": 12_000_000, "total": 52_300_000}
    assert progress_text(download, None) == "Downloading the model, 12 of 52 MB"
    assert progress_text({"stage": "merge", "done": 0, "total": 0}, None) == "Merging…"
    assert (percent(detect), percent(download), percent({"stage": "merge", "done": 0, "total": 0})) == (30, 22, -1)
    assert [span(seconds) for seconds in (0, 41.2, 725, 3725)] == ["0:00", "0:42", "12:05", "1:02:05"]
