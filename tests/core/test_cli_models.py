"""`geodetect models`, run as a user runs it."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner, Result

from geodetect import engines
from geodetect.card import Network, Source
from geodetect.cli.main import cli
from geodetect.cli.models import models
from geodetect.errors import DownloadError, ModelError
from geodetect.networks.graphs import expected_shapes
from geodetect.package import dump_card, open_package, read_card
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
    for words in ("plane, ship", "26 MB", "bundled", "non-commercial"):
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
    for words in ("0.3 to 3 m/px", "640 px canvas", "■ plane", "plane 0.5", "AP50 0.8", "marinas", "SHA-256"):
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
    def fail(url: str, *_: object, **__: object) -> None:
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


def test_import_of_a_file_that_could_be_several_says_what_to_give(home):
    with pytest.raises(ModelError, match=rf"shapes of {TINY}; give --card model.yaml, or --as {TINY} if it is that"):
        run("import", WEIGHTS)
    assert not (home / "models").exists()


def test_import_takes_a_card_or_a_name_not_both():
    result = run("import", WEIGHTS, "--card", BUILT_IN / TINY / "model.yaml", "--as", TINY)
    assert result.exit_code == 2
    assert "either --card model.yaml or --as NAME" in result.stderr


@pytest.fixture
def unfetched(tmp_path, monkeypatch):
    """Built-in models of which one, a yolov3-tiny of three classes, is not downloaded."""
    card = read_card(BUILT_IN / TINY / "model.yaml")
    thresholds = dataclasses.replace(card.thresholds, score=0.5)
    source = Source("https://example.org/small.npz", "small.npz")
    card = dataclasses.replace(
        card, name="small", classes=("a", "b", "c"), colours=(), thresholds=thresholds, weights=None, selftest=None,
        source=source,
    )  # fmt: skip
    shutil.copytree(BUILT_IN / TINY, tmp_path / "built_in" / TINY)
    (tmp_path / "built_in" / "small").mkdir()
    (tmp_path / "built_in" / "small" / "model.yaml").write_text(dump_card(card), encoding="utf-8")
    monkeypatch.setattr("geodetect.registry.BUILT_IN", tmp_path / "built_in")


def drawn_parameters(n_classes: int) -> dict[str, np.ndarray]:
    rng, network = np.random.default_rng(0), read_card(BUILT_IN / TINY / "model.yaml").network
    return {
        name: rng.uniform(0.5, 1, shape).astype(np.float32) / max(1, np.prod(shape[1:]))
        for name, shape in expected_shapes(network.family, n_classes, network.variant).items()
    }


def test_import_knows_a_model_that_is_not_downloaded_by_its_shapes(unfetched, home, tmp_path):
    np.savez(tmp_path / "renamed.npz", **drawn_parameters(3))
    result = run("import", tmp_path / "renamed.npz")
    assert "renamed.npz fits small and is taken for it" in result.stdout
    assert open_package(home / "models" / "small").card.classes == ("a", "b", "c")
    with pytest.raises(ModelError, match="--as small if it is that very model"):  # now one of the user's own may fit
        run("import", tmp_path / "renamed.npz")


def test_import_knows_a_model_that_is_not_downloaded_by_its_files_name(unfetched, tmp_path):
    np.savez(tmp_path / "small.npz", **drawn_parameters(2))
    with pytest.raises(ModelError, match="the file was trained for 2 classes, the model has 3"):
        run("import", tmp_path / "small.npz")


def test_import_converts_darknet_weights_under_a_card_that_says_so(home, tmp_path):
    shapes = expected_shapes("yolov3-tiny", 2)
    count = sum(math.prod(shape) for shape in shapes.values())
    values = np.random.default_rng(0).uniform(0.5, 1, count).astype("<f4") / 1000
    (tmp_path / "mine.weights").write_bytes(np.array([0, 2, 0, 0, 0], "<i4").tobytes() + values.tobytes())
    card = read_card(BUILT_IN / TINY / "model.yaml")
    for variant in ("mindspore", "darknet"):
        described = dataclasses.replace(
            card, name="mine", network=Network("yolov3-tiny", variant), weights=None, selftest=None
        )
        (tmp_path / f"{variant}.yaml").write_text(dump_card(described), encoding="utf-8")
    with pytest.raises(ModelError, match=r"give a card with network: \{family: yolov3-tiny, variant: darknet\}"):
        run("import", tmp_path / "mine.weights", "--card", tmp_path / "mindspore.yaml")
    run("import", tmp_path / "mine.weights", "--card", tmp_path / "darknet.yaml")
    parameters = open_package(home / "models" / "mine").parameters()
    np.testing.assert_array_equal(parameters["feature_map.backbone.conv0.1.beta"], values[:16])


def test_errors_end_the_whole_command_line_with_one_sentence_and_a_code(monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise DownloadError("no network")

    monkeypatch.setattr("geodetect.registry.fetch", fail)
    unknown = CliRunner().invoke(cli, ["models", "info", "yolo4"])
    assert unknown.exit_code == 3
    assert unknown.stderr.startswith("Error: no model is called yolo4, did you mean yolov4")
    dead = CliRunner().invoke(cli, ["models", "pull", "yolov4"])
    assert dead.exit_code == 1
    assert len(dead.stderr.splitlines()) == 1


def test_a_failed_check_ends_the_process_with_its_code(folder):
    (folder / "weights.safetensors").write_bytes(b"nothing")
    words = ["models", "verify", str(folder)]
    assert CliRunner().invoke(cli, words).exit_code == 3
    result = subprocess.run([sys.executable, "-m", "geodetect", *words], capture_output=True, text=True, check=False)
    assert "FAILED" in result.stdout
    assert result.returncode == 3


def test_what_a_command_returns_is_no_exit_code(monkeypatch):
    monkeypatch.setattr("geodetect.cli.models.models.callback", lambda: 7)
    monkeypatch.setattr("geodetect.registry.catalogue", tuple)
    assert CliRunner().invoke(cli, ["models", "list", "--json"]).exit_code == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, ImportError])
def test_ctrl_c_is_an_ordinary_exit_for_who_runs_the_group(monkeypatch, error):
    def stopped(*_: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as cause:
            raise error from cause

    monkeypatch.setattr("geodetect.registry.catalogue", stopped)
    result = CliRunner().invoke(cli, ["models", "list"])
    assert result.exit_code == 130
    assert "No output was written" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without telling it")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_signal_ends_the_process_as_cancelled(number, when):
    code = (
        "import atexit, os, time, geodetect.cli.main as main\n"
        f"stop = lambda *_: (os.kill(os.getpid(), {int(number)}), time.sleep(5))\n"
        + ("main.Commands.parse_args = stop\n" if when == "before" else "atexit.register(stop)\n")
        + "import sys; sys.argv = ['geodetect', '--version']; main.main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 130
    assert "Traceback" not in result.stderr
