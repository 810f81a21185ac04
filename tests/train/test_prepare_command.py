"""`geodetect prepare` prints what it did, and one line where it cannot."""

from __future__ import annotations

import json

from click.testing import CliRunner
from labels_made import dota, fleet, line

from geodetect.cli.main import cli


def run(*arguments):
    return CliRunner().invoke(cli, ["prepare", *map(str, arguments)])


def test_a_report_on_the_terminal_and_as_json(tmp_path):
    data = fleet(tmp_path / "data")
    options = ("--tile", "128", "--workers", "1", "--val-share", "0.3", "--anchors", "6")
    result = run(data, "-o", tmp_path / "out", *options)
    assert result.exit_code == 0, result.output
    for words in ("plane", "ship", "train:", "val:", "anchors: [[[", "# for 128 px", "contact_sheet.png"):
        assert words in result.output
    printed = run(data, "-o", tmp_path / "out", *options, "--progress", "json").output.splitlines()
    report = json.loads(printed[-1])["report"]
    assert report == json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))


def test_lists_and_pairs(tmp_path):
    data = fleet(tmp_path / "data")
    options = ("--tile", "128", "--workers", "1", "--val-share", "0.3", "--scales", "1,0.5")
    result = run(data, "-o", tmp_path / "out", *options, "--class-map", "ship=boat,plane=boat", "--classes", "boat")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))["classes"] == ["boat"]
    for wrong in (("--scales", "1,x"), ("--class-map", "ship"), ("--tile", "1"), ("--classes", "shipp")):
        result = run(data, "-o", tmp_path / "wrong", *wrong)
        assert result.exit_code == 3, result.output
        assert result.output.startswith("Error: ")


def test_wrong_labels_end_with_3_and_one_line(tmp_path):
    data = dota(tmp_path, {"a": line(1, 2, 3, 4) + "\n1 2 3"})
    result = run(data, "-o", tmp_path.parent / "out")
    assert result.exit_code == 3
    assert len(result.output.splitlines()) == 1
    assert "a.txt, line 2: 3 fields" in result.output
