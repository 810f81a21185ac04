"""`geodetect models`, run as a user runs it."""

from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner, Result

from geodetect import engines
from geodetect.cli.main import cli
from geodetect.cli.models import models
from geodetect.errors import DownloadError, ModelError
from geodetect.package import open_package
from geodetect.registry import BUILT_IN

TINY = "planes-ships-yolov3-tiny"
WEIGHTS = BUILT_IN / TINY / "weights.safetensors"

needs_engine = pytest.mark.skipif(not engines.available(), reason="no engine is installed")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GEODETECT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path):
    """A copy of the bundled package that a test may spoil."""
    return shutil.copytree(BUILT_IN / TINY, tmp_path / "model")


def run(*arguments: object) -> Result:
    """Run `geodetect models ARGUMENTS`; errors that the command line's edge would print are raised."""
    result = CliRunner().invoke(models, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_list_shows_name_state_and_licence_on_one_line_each():
    lines = run("list").stdout.splitlines()
    assert len(lines) == 4
    assert lines[1].startswith(TINY)
    for words in ("plane, ship", "17 MB", "bundled", "non-commercial"):
        assert words in lines[1]
    assert "not downloaded" in lines[3]
    assert "16: plane, baseball-diamond, bridge, …" in lines[3]


def test_list_as_json_is_for_programs():
    rows = json.loads(run("list", "--json").stdout)
    assert {row["name"]: row["state"] for row in rows} == {
        TINY: "bundled",
        "yolov3-dota15": "not downloaded",
        "yolov4-dota15": "not downloaded",
    }
    assert rows[0]["classes"] == ["plane", "ship"]
    assert set(rows[0]) == {"name", "state", "family", "classes", "size", "licence", "folder"}


def test_a_broken_model_is_listed_with_its_problem(home):
    (home / "models" / "mine").mkdir(parents=True)
    (home / "models" / "mine" / "model.yaml").write_text("nme: mine")
    assert "did you mean name?" in " ".join(run("list").stdout.split())
    assert "problem" in json.loads(run("list", "--json").stdout)[0]


def test_info_shows_the_licence_first_and_all_that_a_user_must_know():
    lines = run("info", "yolov3-tiny").stdout.splitlines()
    assert lines[0].split()[:2] == ["Model", TINY]
    assert lines[1].startswith("Licence")
    assert "non-commercial" in lines[1]
    assert lines[2].startswith("Attribution")
    assert "CC BY-NC-SA 4.0" in lines[2]
    text = "\n".join(lines)
    for words in ("0.3 to 3 m/px", "640 px canvas", "■ plane", "plane 0.5", "AP50 0.89", "marinas", "SHA-256"):
        assert words in text


def test_info_needs_no_download_and_no_name():
    assert "AP50 0.682" in run("info", "yolov4").stdout
    assert TINY in run("info", BUILT_IN / TINY).stdout


def test_info_as_json_holds_the_card():
    described = json.loads(run("info", TINY, "--json").stdout)
    assert described["card"]["heads"]["strides"] == [32, 16]
    assert described["state"] == "bundled"


def test_an_unknown_model_is_an_error_of_its_own():
    with pytest.raises(ModelError, match="did you mean yolov4"):
        run("info", "yolo4")


def test_verify_checks_files_and_what_an_engine_computes():
    result = run("verify", TINY, "--precision", "float32")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{TINY}: ok: checksums and shapes agree, self-test on ")


@pytest.mark.parametrize("engine", engines.available())
def test_every_engine_gives_the_stored_heads(engine):
    assert "ok" in run("verify", TINY, "--engine", engine, "--device", "cpu", "--precision", "float32").stdout


def test_verify_without_a_name_checks_all_that_is_here():
    result = run("verify")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1


def test_verify_ends_with_3_and_goes_on_to_the_next(folder):
    (folder / "weights.safetensors").write_bytes(b"nothing")
    result = run("verify", folder, "yolov4-dota15", TINY)
    assert result.exit_code == 3
    first, second, third = result.stdout.splitlines()
    assert "FAILED" in first
    assert "damaged or was changed" in first
    assert second.endswith("not downloaded yet, `geodetect models pull yolov4-dota15` does that")
    assert third.startswith(f"{TINY}: ok")


@needs_engine
def test_verify_finds_heads_that_are_off(folder, monkeypatch):
    monkeypatch.setattr("geodetect.selftest._normalise", lambda pixels, takes: pixels.astype("float32"))
    result = run("verify", folder)
    assert result.exit_code == 3
    assert "fails its self-test on" in result.stdout


def test_pull_of_a_model_that_is_here_does_nothing():
    assert f"{TINY} is here already" in run("pull", TINY).stdout


def test_pull_without_a_network_says_how_to_go_on(monkeypatch):
    def fail(url: str, *_: object) -> None:
        raise DownloadError(f"{url} cannot be fetched (the host is not known, or there is no network)")

    monkeypatch.setattr("geodetect.registry.fetch", fail)
    with pytest.raises(DownloadError, match=r"geodetect models import 0-320_120960.ckpt --as yolov4-dota15$"):
        run("pull", "yolov4-dota15")


def test_import_makes_a_model_that_can_be_named(home, tmp_path):
    card = (BUILT_IN / TINY / "model.yaml").read_text(encoding="utf-8").replace(f"name: {TINY}", "name: mine")
    (tmp_path / "model.yaml").write_text(card, encoding="utf-8")
    result = run("import", WEIGHTS, "--card", tmp_path / "model.yaml")
    assert f"mine is installed in {home / 'models' / 'mine'}" in result.stdout
    assert "Licence: mine: Research and other non-commercial use" in result.stdout
    assert "installed" in run("info", "mine").stdout.splitlines()[0]
    assert "ok" in run("verify", "mine").stdout


def test_import_reproduces_the_bundled_model(tmp_path):
    run("import", WEIGHTS, "--card", BUILT_IN / TINY / "model.yaml", "--out", tmp_path / "again", "--float16")
    assert open_package(tmp_path / "again").sha256 == open_package(BUILT_IN / TINY).sha256


def test_import_of_a_folder_installs_it(home, folder):
    run("import", folder)
    assert open_package(home / "models" / TINY).card == open_package(folder).card


def test_import_as_a_built_in_model_checks_that_it_is_that_one(home):
    with pytest.raises(ModelError, match=r"weights.*do not fit the network"):
        run("import", WEIGHTS, "--as", "yolov4-dota15")
    assert not list((home / "models").glob("*"))


@pytest.mark.parametrize(
    "options",
    [[], ["--card", BUILT_IN / TINY / "model.yaml", "--as", TINY]],
)
def test_import_needs_to_be_told_what_the_file_is(options):
    result = run("import", WEIGHTS, *options)
    assert result.exit_code == 2
    assert "either --card model.yaml or --as NAME" in result.stderr


def test_errors_end_the_whole_command_line_with_one_sentence_and_a_code(monkeypatch):
    def fail(*_: object) -> None:
        raise DownloadError("no network")

    monkeypatch.setattr("geodetect.registry.fetch", fail)
    unknown = CliRunner().invoke(cli, ["models", "info", "yolo4"])
    assert unknown.exit_code == 3
    assert unknown.stderr.startswith("Error: no model is called yolo4, did you mean yolov4")
    dead = CliRunner().invoke(cli, ["models", "pull", "yolov4"])
    assert dead.exit_code == 1
    assert len(dead.stderr.splitlines()) == 1
