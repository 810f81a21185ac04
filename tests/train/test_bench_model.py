"""The script that tells how good a model is on a folder in DOTA's layout."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from benchmarks import bench_model, labelled
from geodetect.demo.scene import draw_scene


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two drawn images of one source and one of another, with what is in them."""
    root = tmp_path_factory.mktemp("labelled")
    for kind in ("images", "labelTxt"):
        (root / "val" / kind).mkdir(parents=True)
    for number, name in enumerate(("north_1", "north_2", "south_1")):
        pixels, placed = draw_scene(1280, seed=number + 1, gsd=0.5)
        Image.fromarray(np.asarray(pixels)).save(root / "val" / "images" / f"{name}.png")
        lines = []
        for item in placed:
            if item.name is None:  # scenery
                continue
            x1, y1, x2, y2 = item.sprite.box
            lines.append(f"{x1} {y1} {x2} {y1} {x2} {y2} {x1} {y2} {item.name} 0")
        (root / "val" / "labelTxt" / f"{name}.txt").write_text("\n".join(["imagesource:drawn", "gsd:0.5", *lines]))
    return root


def measured(folder, out, *words):
    result = CliRunner().invoke(bench_model.main, ["--data", str(folder), "--out", str(out), *words])
    assert result.exit_code == 0, result.output
    return json.loads((out / "figures.json").read_text())


def test_it_tells_by_level_source_and_size(folder, tmp_path):
    found = measured(folder, tmp_path)
    for level in ("tile", "scene"):
        sources = found[level]["sources"]
        assert sources["plane, all"]["AP50"] > 0.9
        assert {"plane, north", "ship, north"} <= sources.keys()
        for name in ("plane", "ship"):
            parts = [row["objects"] for key, row in sources.items() if key.startswith(name) and "all" not in key]
            assert sum(parts) == sources[f"{name}, all"]["objects"]
            sizes = [row for key, row in found[level]["sizes"].items() if key.startswith(name)]
            assert sum(row["objects"] for row in sizes) == sources[f"{name}, all"]["objects"]
            hits = sum(row["objects"] * row["recall"] for row in sizes)
            assert hits == pytest.approx(
                sources[f"{name}, all"]["objects"] * sources[f"{name}, all"]["recall"], abs=0.6
            )
        assert (tmp_path / f"precision-recall-{level}.png").stat().st_size > 1000
    assert found["scene"]["images"] == 3


def test_it_tells_what_is_found_where_nothing_is(folder, tmp_path):
    found = measured(folder, tmp_path, "--level", "empty", "--quick")
    assert {f"ship, {kind}" for kind in labelled.DRAWN} <= found["drawn"].keys()
    assert found["drawn"]["ship, sea"]["false alarms"] == 0
    assert found["drawn"]["ship, sea"]["Mpx"] == pytest.approx(4 * 0.4096, abs=0.1)


def test_shrunk_images_keep_their_objects(folder, tmp_path):
    with labelled.shrunk(folder, "val", 2) as small:
        for path in sorted((folder / "val" / "images").iterdir()):
            with Image.open(path) as image, Image.open(small / "val" / "images" / path.name) as half:
                assert (half.width, half.height) == (image.width // 2, image.height // 2)
            before, after = (
                [line.split() for line in (root / "val" / "labelTxt" / f"{path.stem}.txt").read_text().splitlines()]
                for root in (folder, small)
            )
            assert [row[8:] for row in before[2:]] == [row[8:] for row in after[2:]]
            corners = [np.array([row[:8] for row in rows[2:]], float) for rows in (before, after)]
            np.testing.assert_allclose(corners[0] / 2, corners[1], atol=0.01)
    assert not small.exists()
