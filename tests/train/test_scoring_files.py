"""Result files and tiles put together."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scored import random_found, random_index

from geodetect.detections import Detections
from geodetect.tiling import tile_windows
from geodetect.window import Window
from training.scoring.files import write_dota
from training.scoring.tiles import merge_tiles

IOUS = (0.45, 0.45, 0.45)


def seen(objects, labels, window, rate):
    """Return what a tile shows of objects (N, 4) in image px, in tile px, cut at its border."""
    frame = np.array([window.col, window.row] * 2)
    boxes = np.clip(objects * rate - frame, 0, [window.width, window.height] * 2)
    kept = (boxes[:, 2] - boxes[:, 0] > 1e-9) & (boxes[:, 3] - boxes[:, 1] > 1e-9)
    return boxes[kept], labels[kept], np.flatnonzero(kept)


@given(st.integers(0, 10**6), st.sampled_from([1, 2, 0.5]))
def test_tiles_of_an_image_give_each_object_once(seed, rate):
    """Law: where the overlap holds every object and what is near a border, merged tiles give the objects themselves."""
    rng = np.random.default_rng(seed)
    cells = rng.choice(16, 6, replace=False)  # objects apart from each other
    corner = np.stack([cells % 4, cells // 4], axis=1) * 50.0 + rng.uniform(0, 20, (6, 2))
    objects = np.concatenate([corner, corner + rng.uniform(10, 25, (6, 2))], axis=1)
    labels, strengths = rng.integers(0, 3, 6), np.linspace(0.3, 0.9, 6)
    windows = tile_windows(Window(0, 0, int(200 * rate), int(200 * rate)), (120, 120), (int(25 * rate) + 24,) * 2)
    names, sizes, parts = [], [], []
    for number, window in enumerate(windows):
        names.append(f"val/P01__{rate}__{window.col}___{window.row}.png")
        sizes.append((window.width, window.height))
        boxes, own, which = seen(objects, labels, window, rate)
        parts.append(Detections.of(boxes, strengths[which], own, np.full(len(own), number)))
    images, merged = merge_tiles(names, np.array(sizes), Detections.concatenate(parts), IOUS)
    assert images == ("P01",)
    order = np.argsort(-strengths)
    np.testing.assert_allclose(merged.boxes, objects[order], atol=1e-9)
    np.testing.assert_array_equal(merged.labels, labels[order])


def test_images_and_tiles_are_told_apart_by_name():
    names = ("a__1__0___0.png", "b.png", "a__1__80___0.png", "c__x__0___0.png", "a__2__0___0.png")
    found = Detections.of([[10, 10, 20, 20]] * 5, [0.9, 0.8, 0.7, 0.6, 0.5], [0] * 5, range(5))
    images, merged = merge_tiles(names, np.full((5, 2), 100), found, IOUS)
    assert images == ("a", "b", "c__x__0___0")
    boxes = {images[tile]: [] for tile in range(3)}
    for tile, box in zip(merged.tiles, merged.boxes.tolist(), strict=True):
        boxes[images[tile]].append(box)
    assert boxes["a"] == [[10, 10, 20, 20], [90, 10, 100, 20], [5, 5, 10, 10]]
    assert boxes["b"] == boxes["c__x__0___0"] == [[10, 10, 20, 20]]


def test_nothing_found_merges_to_nothing():
    images, merged = merge_tiles(("a__1__0___0.png",), np.array([[9, 9]]), Detections.empty(), IOUS)
    assert images == ("a",)
    assert len(merged) == 0


def test_dota_files_hold_what_was_found(tmp_path):
    index = random_index(0)
    found = random_found(index)[:40]
    classes = ("plane", "large vehicle", "harbor", "bridge")
    names = [Path(name).stem for name in index.files]
    write_dota(tmp_path / "r.zip", found, names, classes)
    rows = []
    with zipfile.ZipFile(tmp_path / "r.zip") as archive:
        assert archive.namelist() == [f"Task2_{n}.txt" for n in ("plane", "large-vehicle", "harbor", "bridge")]
        assert archive.read("Task2_bridge.txt") == b""
        for label, name in enumerate(archive.namelist()):
            for line in archive.read(name).decode().splitlines():
                image, score, *box = line.split(" ")
                rows.append((names.index(image), label, float(score), *map(float, box)))
    back = np.array(sorted(rows))
    expected = np.column_stack([found.tiles, found.labels, found.scores, found.boxes])
    expected = expected[np.lexsort(expected.T[::-1])]
    np.testing.assert_allclose(back, expected, atol=0.006)
    write_dota(tmp_path / "again.zip", found, names, classes)
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "r.zip").read_bytes()


@pytest.mark.parametrize("value", [0.1234567, 1.0])
def test_scores_keep_the_digits_that_float32_has(value, tmp_path):
    found = Detections.of([[0, 0, 1, 1]], [value], [0], [0])
    write_dota(tmp_path / "r.zip", found, ["a"], ["plane"])
    with zipfile.ZipFile(tmp_path / "r.zip") as archive:
        text = archive.read("Task2_plane.txt").decode()
    assert np.float32(text.split()[1]) == np.float32(value)
