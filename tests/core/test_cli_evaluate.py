from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from geodetect.cli.evaluate import evaluate
from geodetect.cli.main import cli
from geodetect.demo import make_scene
from geodetect.geopackage import write_layer
from geodetect.vectors import read_objects


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


def test_the_least_score_may_be_one_a_class(truth, tmp_path):
    drawn = read_objects(truth)
    fields = {"class": drawn.names.astype(object), "score": np.full(len(drawn), 0.5)}
    write_layer(tmp_path / "found.gpkg", "found", drawn.geometry, fields, drawn.crs)
    output = run(tmp_path / "found.gpkg", truth, "--score", "plane=0.5,ship=0.6", "--json", "-").output
    classes = json.loads(output)["classes"]
    assert (classes["plane"]["recall"], classes["ship"]["recall"]) == (1, 0)


@pytest.mark.parametrize("score", ["1.5", "plane=2", "high"])
def test_a_score_out_of_range_is_one_sentence(truth, score):
    result = run(truth, truth, "--score", score)
    assert result.exit_code == 3
    assert "score is" in result.output


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


@pytest.mark.parametrize("option", ["--errors", "--json"])
@pytest.mark.parametrize("role", ["detections", "truth"])
def test_an_input_is_never_replaced(truth, tmp_path, option, role):
    inputs = [Path(shutil.copy(truth, tmp_path / f"{name}.gpkg")) for name in ("detections", "truth")]
    linked = tmp_path / "linked.gpkg"
    linked.hardlink_to(tmp_path / f"{role}.gpkg")
    before = truth.read_bytes()
    for target in (tmp_path / f"{role}.gpkg", linked, tmp_path / ".." / tmp_path.name / f"{role}.gpkg"):
        result = run(*inputs, option, target, "--overwrite")
        assert result.exit_code == 3
        assert f"is also {tmp_path}/{role}.gpkg, which would be lost" in result.output
    assert [path.read_bytes() for path in inputs] == [before, before]


@pytest.mark.parametrize(("option", "name"), [("--errors", "errors.gpkg"), ("--json", "figures.json")])
def test_a_file_is_replaced_only_on_request(truth, tmp_path, option, name):
    target = tmp_path / name
    target.write_text("precious")
    result = run("missing.gpkg", truth, option, target)  # refused before an input is read
    assert result.exit_code == 3
    assert f"{target} exists" in result.output
    assert target.read_text() == "precious"
    assert run(truth, truth, option, target, "--overwrite").exit_code == 0
    assert target.read_bytes() != b"precious"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--errors", "errors.geojson"], "ends in .gpkg"),
        (["--errors", "none/errors.gpkg"], "folder .*none .*does not exist"),
        (["--errors", "both.gpkg", "--json", "both.gpkg"], "is also .*both.gpkg"),
    ],
)
def test_an_output_that_cannot_be_is_refused_first(truth, tmp_path, arguments, message):
    paths = [word if word.startswith("--") else tmp_path / word for word in arguments]
    result = run("missing.gpkg", truth, *paths)
    assert result.exit_code == 3
    assert re.search(message, result.output)
    assert list(tmp_path.iterdir()) == []


def test_a_layer_without_crs_is_noted_beside_clean_json(truth, tmp_path):
    drawn = read_objects(truth)
    write_layer(tmp_path / "bare.gpkg", "bare", drawn.geometry, {"class": drawn.names.astype(object)}, crs=None)
    result = run(truth, tmp_path / "bare.gpkg", "--json", "-")
    assert "bare.gpkg has no CRS" in result.stderr
    figures = json.loads(result.stdout)
    assert figures["all"]["recall"] == 1
    assert len(figures["notes"]) == 1


def test_help_says_what_double_means():
    assert "Double further detections of an object" in " ".join(run("--help").output.split())


def test_every_option_is_explained():
    assert all(option.help for option in evaluate.params if isinstance(option, click.Option))


def test_the_demo_finds_most_of_what_it_drew(tmp_path):
    pytest.importorskip("openvino")
    result = CliRunner().invoke(cli, ["demo", "--folder", str(tmp_path), "--size", "1024"])
    assert result.exit_code == 0, result.output
    assert re.search(r"\d+ objects drawn, \d+ detections in [\d.]+ s with planes-ships-yolov3-tiny:", result.output)
    figures = json.loads(run(tmp_path / "detections.gpkg", tmp_path / "scene-truth.gpkg", "--json", "-").output)
    assert figures["classes"]["plane"]["recall"] >= 0.8
    assert figures["classes"]["plane"]["precision"] >= 0.8
    for name in ("scene.tif", "errors.gpkg", "preview.png"):
        assert (tmp_path / name).is_file()
        assert name in result.output


@pytest.mark.parametrize("name", ["scene.tif", "detections.gpkg", "preview.png"])
def test_the_demo_spares_what_it_did_not_make(tmp_path, name):
    (tmp_path / name).write_text("precious")
    result = CliRunner().invoke(cli, ["demo", "--folder", str(tmp_path), "--size", "512"])
    assert result.exit_code == 3
    assert f"{name} is not of the demo" in result.output
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


def test_a_demo_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    result = CliRunner().invoke(cli, ["demo", "--folder", str(tmp_path / "file" / "demo")])
    assert result.exit_code == 3
    assert "cannot be made (Not a directory); give another --folder" in result.output
