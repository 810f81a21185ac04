"""The model that comes with geodetect: that it is as good as its card says, on a drawn scene and on real images."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import geodetect
from geodetect.demo import make_scene
from geodetect.evaluation import Evaluation, compare
from geodetect.registry import BUILT_IN

NAME = "planes-ships-yolov3-tiny"
TWICE = ("airbus_1e7e0450", "airbus_48ef8e15", "airbus_ca7b1077")  # images whose planes are labelled twice
ROOM = 40e6  # bytes; more no one wants in a package that pip fetches


def f1(result: Evaluation) -> dict[str, float]:
    return {row.name: row.f1 for row in result.classes}


def test_it_is_the_default_and_small():
    package = geodetect.resolve(geodetect.DetectConfig().model)
    assert package.card.name == NAME
    assert sum(file.stat().st_size for file in (BUILT_IN / NAME).iterdir()) < ROOM


def test_its_terms_are_in_every_result(tmp_path):
    scene = make_scene(tmp_path / "scene.tif", size=512).scene
    run = geodetect.detect(scene, output=tmp_path / "found.gpkg").run
    assert "non-commercial" in run["licence"]
    for source in ("Airbus", "Google Earth", "Planet"):
        assert source in run["attribution"]


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_it_finds_what_is_drawn(tmp_path, precision):
    truth = make_scene(tmp_path / "scene.tif", size=2048, seed=1)
    geodetect.detect(truth.scene, output=tmp_path / "found.gpkg", precision=precision)
    found = f1(geodetect.evaluate(tmp_path / "found.gpkg", truth.layer))
    assert found["plane"] > 0.95
    assert found["ship"] > 0.9


@pytest.fixture
def labelled(shared: Path) -> Path:
    """Real validation images with their labels."""
    folder = shared / "data" / "planes-ships" / "val"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


def test_it_finds_real_planes_and_ships(labelled):
    """On each fourth image, which docs/models has the figures of all beside."""
    images = [path for path in sorted((labelled / "images").iterdir()) if not path.stem.startswith(TWICE)]
    found = f1(_compared(images[::4]))
    assert found["plane"] > 0.95
    assert found["ship"] > 0.75


def test_it_finds_planes_at_two_metres_a_pixel(labelled, tmp_path):
    """Those of three images, which are labelled twice, are left out."""
    images = [path for path in sorted((labelled / "images").glob("airbus_*")) if not path.stem.startswith(TWICE)]
    assert f1(_compared(images, times=4, folder=tmp_path))["plane"] > 0.8


def _compared(images: list[Path], times: int = 1, folder: Path | None = None) -> Evaluation:
    """Return how the default run does on images, of which `times` pixels along a side are made one."""
    parts = []
    for image in images:
        small = image
        if folder is not None:
            small = folder / f"{image.stem}.png"
            with Image.open(image) as opened:
                opened.convert("RGB").reduce(times).save(small)
        parts.append(_found_and_true(small, image.parents[1] / "labelTxt" / f"{image.stem}.txt", times))
    boxes, scores, names, true_boxes, true_names, difficult = (
        list(chain.from_iterable(column)) for column in zip(*parts, strict=True)
    )
    return compare(
        np.array(boxes), np.array(scores), names, np.array(true_boxes), true_names, difficult=np.array(difficult),
        images=_owners(parts, 0), truth_images=_owners(parts, 3),
    )  # fmt: skip


def _found_and_true(image: Path, label: Path, times: int) -> tuple[list, ...]:
    """Return boxes, scores and classes found, boxes, classes and difficult flags labelled."""
    result = geodetect.detect(image)
    found = result.detections
    rows = [line.split() for line in label.read_text().splitlines()]
    objects = [row for row in rows if len(row) >= 10]
    corners = [np.array(row[:8], float).reshape(4, 2) / times for row in objects]
    return (
        found.boxes.tolist(),
        found.scores.tolist(),
        [result.classes[number] for number in found.labels],
        [[*points.min(axis=0), *points.max(axis=0)] for points in corners],
        [row[8] for row in objects],
        [row[9] == "1" for row in objects],
    )


def _owners(parts: list[tuple[list, ...]], column: int) -> np.ndarray:
    return np.repeat(np.arange(len(parts)), [len(part[column]) for part in parts])
