from __future__ import annotations

import numpy as np
import pytest
import rasterio
import shapely

from geodetect import vectors
from geodetect.demo import find_scene, make_scene
from geodetect.demo.planes import AIRFRAMES, draw_plane
from geodetect.demo.scene import draw_scene


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    return make_scene(tmp_path_factory.mktemp("demo") / "scene.tif", size=1024)


def test_the_scene_is_a_tiled_georeferenced_rgb_image(truth):
    with rasterio.open(truth.scene) as scene:
        assert (scene.width, scene.height, scene.count, scene.dtypes[0]) == (1024, 1024, 3, "uint8")
        assert scene.crs.to_epsg() == 32631
        assert scene.transform.a == 0.5 == -scene.transform.e
        assert scene.profile["tiled"]
        assert scene.profile["compress"] == "deflate"
        pixels = scene.read()
    assert 50 < pixels.mean() < 150
    assert pixels.std() > 25


def test_there_are_planes_and_ships_wholly_in_the_scene(truth):
    assert set(truth.classes) == {"plane", "ship"}
    assert truth.boxes.min() >= 0
    assert truth.boxes.max() <= 1024
    sides = (truth.boxes[:, 2:] - truth.boxes[:, :2]).max(1) * 0.5
    assert sides.min() > 10  # metres
    assert sides.max() < 250


@pytest.mark.parametrize("size", [512, 768])
def test_a_small_scene_has_planes_too(size):
    _, placed = draw_scene(size, 0, 0.5)
    assert "plane" in {item.name for item in placed}


def test_every_box_holds_an_object_that_reaches_all_its_sides():
    with_objects, placed = draw_scene(768, 3, 0.5)
    for item in (item for item in placed if item.name is not None):
        sprite = item.sprite
        rows, columns = np.nonzero(np.asarray(sprite.cover) > 127)
        drawn = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert np.abs(np.array(drawn) + [sprite.left, sprite.top] * 2 - sprite.box).max() < 2
        x1, y1, x2, y2 = (round(value) for value in sprite.box)
        assert with_objects[y1:y2, x1:x2].std() > 10


@pytest.mark.parametrize("kind", AIRFRAMES)
def test_a_plane_that_flies_along_a_row_has_its_own_length_and_span(kind):
    x1, y1, x2, y2 = draw_plane(kind, 0, (200.0, 200.0), 90.0, 0.5).box
    assert (x2 - x1) / 2 == pytest.approx(AIRFRAMES[kind].length, rel=0.06)
    assert (y2 - y1) / 2 == pytest.approx(AIRFRAMES[kind].span, rel=0.01)


def test_one_seed_gives_one_scene_and_another_seed_another():
    first, _ = draw_scene(512, 5, 0.5)
    again, _ = draw_scene(512, 5, 0.5)
    other, _ = draw_scene(512, 6, 0.5)
    assert (first == again).all()
    assert (first != other).any()


def test_the_layer_says_what_the_boxes_say(truth):
    layer = vectors.read_objects(truth.layer)
    assert layer.names.tolist() == truth.classes
    with rasterio.open(truth.scene) as scene:
        (left, top), (gsd, _) = (scene.transform.c, scene.transform.f), scene.res
    low_x, low_y, high_x, high_y = shapely.bounds(layer.geometry).T
    boxes = np.stack([low_x - left, top - high_y, high_x - left, top - low_y], 1) / gsd
    assert boxes == pytest.approx(truth.boxes, abs=1e-6)


def test_a_scene_is_found_again_by_its_arguments(truth):
    again = find_scene(truth.scene, 1024, 0)
    assert again is not None
    assert again.boxes == pytest.approx(truth.boxes, abs=1e-6)
    assert again.labels.tolist() == truth.labels.tolist()
    assert find_scene(truth.scene, 1024, 1) is None
    assert find_scene(truth.scene.with_name("none.tif"), 1024, 0) is None


def test_a_scene_too_small_is_refused(tmp_path):
    with pytest.raises(ValueError, match="too small"):
        make_scene(tmp_path / "scene.tif", size=64)
