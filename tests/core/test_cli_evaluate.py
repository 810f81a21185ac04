from __future__ import annotations

import json
import re

import click
import pytest
from click.testing import CliRunner

from geodetect.cli.evaluate import evaluate
from geodetect.cli.main import cli
from geodetect.demo import make_scene


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    return make_scene(tmp_path_factory.mktemp("demo") / "scene.tif", size=1024).layer


def run(*arguments):
    return CliRunner().invoke(cli, ["evaluate", *map(str, arguments)])


def test_a_layer_meets_itself(truth):
    result = run(truth, truth)
    assert result.exit_code == 0, result.output
    assert "plane" in result.output
    assert "1.000" in result.output


def test_json_has_the_figures(truth, tmp_path):
    printed = json.loads(run(truth, truth, "--json", "-").output)
    assert printed["all"]["recall"] == printed["classes"]["plane"]["ap"] == 1
    run(truth, truth, "--json", tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == printed


def test_errors_are_written(truth, tmp_path):
    assert run(truth, truth, "--errors", tmp_path / "errors.gpkg").exit_code == 0
    assert (tmp_path / "errors.gpkg").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["missing.gpkg"], "missing.gpkg"), (["--class-field", "sort"], "no field 'sort'.*class")],
)
def test_bad_input_ends_with_3_and_a_sentence(truth, arguments, message):
    first = arguments[0] if len(arguments) == 1 else truth
    result = run(first, truth, *(arguments if len(arguments) == 2 else []))
    assert result.exit_code == 3
    assert re.search(message, result.output)


def test_every_option_is_explained():
    assert all(option.help for option in evaluate.params if isinstance(option, click.Option))


def test_the_demo_finds_most_of_what_it_drew(tmp_path):
    pytest.importorskip("openvino")
    result = CliRunner().invoke(cli, ["demo", "--folder", str(tmp_path), "--size", "1024"])
    assert result.exit_code == 0, result.output
    figures = json.loads(run(tmp_path / "detections.gpkg", tmp_path / "scene-truth.gpkg", "--json", "-").output)
    assert figures["classes"]["plane"]["recall"] >= 0.8
    assert figures["classes"]["plane"]["precision"] >= 0.8
    for name in ("scene.tif", "errors.gpkg", "preview.png"):
        assert (tmp_path / name).is_file()
        assert name in result.output
