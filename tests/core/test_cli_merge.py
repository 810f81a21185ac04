from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from mosaics import grid_of, quarters, scattered, seen, write

from geodetect import geopackage
from geodetect.cli.main import cli
from geodetect.cli.merge import merge


def run(*words):
    return CliRunner().invoke(cli, ["merge", *map(str, words)])


@pytest.fixture
def results(tmp_path) -> list[Path]:
    objects, raster = scattered(50, 90), grid_of((0, 0, 2000, 2000))
    return [
        write(tmp_path / f"{k}.gpkg", seen(objects, raster, grid), grid, licence=("MIT", "CC BY 4.0")[k % 2])
        for k, grid in enumerate(quarters(200))
    ]


def test_it_says_what_is_left_and_under_which_licences(results, tmp_path):
    result = run(*results, "-o", tmp_path / "merged.gpkg")
    assert result.exit_code == 0, result.output
    features, told = geopackage.read(tmp_path / "merged.gpkg")
    assert len(features) == 50
    assert len(told) == 4
    assert re.search(r"50 objects of \d+ features, 4 runs", result.output)
    for line in ("  plane", "  ship", "Model licence: MIT\n", "Model licence: CC BY 4.0\n", f"Wrote {tmp_path}"):
        assert result.output.count(line) == 1


def test_progress_as_json_ends_with_the_result(results, tmp_path):
    lines = [
        json.loads(line) for line in run(*results, "-o", tmp_path / "m.fgb", "--progress", "json").output.splitlines()
    ]
    assert {line["stage"] for line in lines if line["type"] == "progress"} == {"read", "merge", "write"}
    assert lines[-1]["type"] == "result"
    assert (lines[-1]["count"], lines[-1]["runs"], lines[-1]["crs"]) == (50, 4, "EPSG:32631")
    assert sum(lines[-1]["counts"].values()) == 50


def test_a_folder_may_be_given(results, tmp_path):
    result = run(tmp_path, "-o", tmp_path / "merged.gpkg")
    assert result.exit_code == 0, result.output
    assert len(geopackage.read(tmp_path / "merged.gpkg")[0]) == 50
    assert len(results) == 4


def test_crs_and_threshold_can_be_chosen(results, tmp_path):
    assert run(*results, "-o", tmp_path / "m.gpkg", "--crs", "EPSG:3857", "--iou", "plane=0.3,ship=0.4").exit_code == 0
    assert geopackage.read(tmp_path / "m.gpkg")[0].crs.to_epsg() == 3857


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "0.gpkg", "--overwrite"], "is also .*0.gpkg, which would be lost"),
        (["-o", "1.gpkg"], "1.gpkg"),
        (["-o", "m.json"], "COCO"),
        (["-o", "m.gpkg", "--crs", "nowhere"], "crs is 'nowhere'"),
        (["-o", "m.gpkg", "--iou", "2"], "iou is 2.0"),
        (["-o", "m.gpkg", "--iou", "tank=0.5"], "names 'tank'"),
        (["missing.gpkg", "-o", "m.gpkg"], r"missing.gpkg is no result to read \(No such file or directory\)"),
    ],
)
def test_what_cannot_be_is_one_sentence(results, monkeypatch, words, message):
    monkeypatch.chdir(results[0].parent)
    before = {path: path.read_bytes() for path in results}
    result = run(*results, *words)
    assert result.exit_code == 3
    assert re.search(message, result.output)
    assert len(result.output.strip().splitlines()) == 1
    assert {path: path.read_bytes() for path in results[0].parent.iterdir()} == before


def test_without_results_or_output_it_shows_its_usage(results):
    assert run("-o", "m.gpkg").exit_code == 2
    assert run(*results).exit_code == 2


def test_every_option_is_explained():
    assert all(option.help for option in merge.params if isinstance(option, click.Option))
