"""QGIS's desktop with the plugin's package in it, driven by pointer and keyboard on a virtual screen.

What happened is told by the stories `first`, `second` and `third`; the tests judge what they saw.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

NOTICED = 0.2  # s: a window that answers later feels stuck; the goal
FROZEN = 1.0  # s that no machine is slow enough to excuse
SOON = 1.0  # s in which a cancelled run is gone
ALGORITHMS = ["geodetect:detect", "geodetect:evaluate", "geodetect:trainingdata"]


def rows(path):
    """Return the features of a GeoPackage."""
    with closing(sqlite3.connect(path)) as file:
        file.row_factory = sqlite3.Row
        table = file.execute("SELECT table_name FROM gpkg_contents WHERE data_type = 'features'").fetchone()[0]
        return [dict(row) for row in file.execute(f'SELECT * FROM "{table}"')]


def test_qgis_loads_the_package_and_is_left_without_questions(starts):
    assert starts.first.facts["loaded"] == {"plugin": True, "algorithms": ALGORITHMS, "dock": False}
    assert (starts.first.code, starts.second.code) == (0, 0), starts.first.log + starts.second.log


def test_nothing_goes_wrong_unseen(starts):
    for start in (starts.first, starts.second, starts.third):
        assert [error for error in start.errors if "SAGA" not in error] == []  # not installed, and not ours
        for sign in ("Traceback", "Segmentation", "QObject::", "QTimer::", "RuntimeError"):
            assert sign not in start.log, start.log


def test_without_an_engine_one_button_leads_to_one(starts):
    facts = starts.first.facts
    assert facts["without engine"]["banner"].startswith("GeoDetect looks for objects with an engine")
    assert not facts["without engine"]["detect"]
    assert "MB" in facts["install dialog"]["room"]
    assert "non-commercial use only" in facts["install dialog"]["licence"]
    assert facts["settings"]["state"].startswith("Ready: geodetect")
    assert facts["settings"]["mood"] == "good", facts["settings"]["test"]
    assert not facts["with engine"]["banner"]
    assert "non-commercial" in facts["with engine"]["licence"]


def test_a_run_is_watched_and_gives_a_layer(starts):
    facts = starts.first.facts
    said = facts["run"]["said"]
    assert said[0] == "Starting the engine…"
    assert any(" of 16 tiles, " in text and not text.startswith(("0 ", "16 ")) for text in said), said
    assert any(0 < value < 100 for value in facts["run"]["values"]), "the bar did not move"
    assert facts["engine's processes"] >= 1
    result = facts["result"]
    assert result["layer"] == "harbour: detections"
    assert result["source"] == str(starts.scene.with_name("harbour_detections.gpkg"))
    assert result["groups"] == ["GeoDetect: harbour"]
    assert result["top"] == ["harbour: detections", "harbour"]
    assert result["style"] == "categorizedSymbol"
    assert result["ticked"] == ["plane", "ship"]
    assert result["tab"] == 1, "the page of results comes to the front"
    assert "non-commercial" in result["licences"][0]
    assert 35 <= result["features"] <= 60, "32 planes and 16 ships, about"
    assert "objects found in “harbour”" in result["message"][0]


def test_the_window_answers_while_the_engine_works(starts):
    for name in ("latency of a run", "latency beside the engine"):
        figures = starts.first.facts[name]
        print(f"{name}: {figures}; the goal is {NOTICED} s")
        assert figures["count"] > 100
        assert figures["p99"] < NOTICED, figures
        assert figures["worst"] < FROZEN, figures


def test_slider_and_ticks_filter_without_a_run(starts):
    facts = starts.first.facts
    before, after = facts["slider"]["before"], facts["slider"]["after"]
    assert 0.85 <= float(after["score"]) <= 0.95
    assert 0 < after["features"] < before["features"]
    assert after["total"].startswith(f"{after['features']} of ")
    assert facts["slider"]["pixels"] > 500, "the map shows the same as before"
    assert facts["slider"]["processes"] == 0
    off = facts["class off"]
    assert (off["class"], off["ticked"]) == ("ship", ["plane"])
    assert 0 < off["features"] < after["features"]
    assert off["pixels"] > 500
    assert facts["by keys"]["features"] > before["features"]
    assert facts["by keys"]["ticked"] == ["plane", "ship"]


def test_corrections_are_edits_that_can_be_taken_back_and_saved(starts):
    facts = starts.first.facts
    assert facts["review"] == {
        "accepted": "accepted", "rejected": "rejected", "after undo": "", "still": "accepted"
    }  # fmt: skip
    assert facts["relabel"]["before"].startswith("ship")
    assert facts["relabel"]["after"].startswith("plane")
    assert facts["relabel"]["class_id"] == 0
    assert not facts["while editing"]["slider"]
    assert "save the edits" in facts["while editing"]["note"]
    found = {row["fid"]: row for row in rows(facts["result"]["source"])}
    assert {fid: row["review"] for fid, row in found.items() if row["review"]} == {facts["saved"]["first"]: "accepted"}
    assert found[facts["saved"]["wrong"]]["class"] == "plane"


def test_training_data_is_made_of_what_is_shown(starts):
    facts = starts.first.facts
    assert facts["training dialog"] == "Make Training Data"
    assert int(facts["training"]["OBJECTS"]) == facts["saved"]["features"]
    assert int(facts["training"]["TILES"]) > 0


def test_a_cancelled_run_is_gone_at_once(starts):
    cancelled = starts.first.facts["cancelled"]
    assert cancelled["processes"] >= 1
    assert cancelled["seconds"] < SOON
    assert cancelled["said"] == "Cancelled; nothing was kept."
    assert not cancelled["new layers"]
    assert not cancelled["left behind"]
    assert not cancelled["output exists"]
    assert cancelled["children"] == 0


def test_the_toolbox_has_the_algorithm_and_runs_batches(starts):
    assert starts.first.facts["toolbox"] == {"title": "Detect Objects", "image": True}
    west, east = ({row["class"] for row in rows(path)} for path in starts.first.facts["batch"])
    assert "plane" in west
    assert "ship" in east


def test_choices_outlive_a_reload_and_a_restart(starts):
    chosen = starts.first.facts["choices"]
    assert chosen["area"] == "Visible map"
    assert chosen["scores"]["ship"] == 0.7
    assert chosen["threads"] == 2
    assert chosen["advanced open"]
    assert starts.first.facts["reloaded"] == {"algorithms": ALGORITHMS, "dock": True, "choices": chosen}
    assert starts.second.facts["choices"] == chosen
    saved = starts.first.facts["saved"]
    assert starts.second.facts["result"] == {name: saved[name] for name in starts.second.facts["result"]}


def test_nothing_is_left_of_an_unloaded_plugin(starts):
    facts = starts.second.facts
    assert facts["action"] == {"closed": True, "open": True}
    assert facts["unloaded"] == {"algorithms": [], "docks": 0, "actions": [], "plugin": False}


def test_qgis_keeps_its_process_to_itself(starts):
    assert starts.first.facts["heavy modules"] == []


def test_the_desktop_speaks_chinese(starts):
    texts = starts.third.facts["texts"]
    assert texts["QGIS"].startswith("工程"), "QGIS itself is not Chinese here"
    assert texts["tabs"] == ["检测", "结果"]
    assert texts["detect"].startswith("检测")
    assert not any(text.isascii() for text in (texts["area"], texts["advanced"]))


def test_a_killed_qgis_takes_the_engine_with_it(starts):
    assert starts.third.code == -9
    assert starts.third.facts["engine"], "no engine ran when QGIS was killed"
    assert starts.left is not None, "the engine runs on"
    assert starts.left < 10


def test_every_picture_is_there(starts):
    names = {path.stem for path in starts.pictures.glob("*.png")}
    assert "failure" not in names
    assert len(names) >= 18, sorted(names)
    assert all(path.stat().st_size > 20_000 for path in starts.pictures.glob("*.png"))
    print(json.dumps({"pictures": str(starts.pictures), "seconds": [round(start.seconds) for start in (
        starts.first, starts.second, starts.third)]}))  # fmt: skip
