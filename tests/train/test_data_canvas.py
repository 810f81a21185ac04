"""Evaluation and a run give the network the same pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio
from PIL import Image

from geodetect.batching import batches
from geodetect.card import Input
from geodetect.config import DetectConfig
from geodetect.plan import make_plan
from geodetect.scene import open_scene
from training.data import canvas
from training.data.augment import Augment
from training.data.canvas import evaluation_size, read_canvas
from training.data.examples import ExampleMaker, Place
from training.data.index import read_index

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
INPUTS = {
    "letterbox": Input(64, 0, mean=MEAN, std=STD),
    "tile larger than the canvas": Input(64, 90),
    "tile smaller than the canvas": Input(96, 90, fill=128),
    "stretch": Input(64, 90, resize="stretch", mean=MEAN, std=STD),
    "ground sample distance": Input(64, 64, gsd=(0.8, 3.0)),
}


def pixels(width: int, height: int, dtype=np.uint8) -> np.ndarray:
    rng = np.random.default_rng(width * height)
    return (rng.integers(0, 256, (3, height, width)) * (1 if dtype == np.uint8 else 11)).astype(dtype)


def run_canvases(path, model_input: Input) -> np.ndarray:
    """Return what the pipeline would give an engine."""
    card = canvas._card(model_input)
    with open_scene(path, needed=model_input.bands) as scene:
        plan = make_plan(scene, card, DetectConfig())
        return np.concatenate([batch.images.copy() for batch in batches(scene, plan, 1)]), plan.letterbox


def written(tmp_path, write_raster, kind: str, width: int, height: int):
    image = pixels(width, height)
    if kind == "tif":
        return write_raster(image)
    if kind == "deep":
        return write_raster(pixels(width, height, np.uint16))
    if kind == "masked":
        image[:, : height // 3, : width // 2] = 0
        return write_raster(image, nodata=0)
    path = tmp_path / f"image.{kind}"
    Image.fromarray(image.transpose(1, 2, 0)).save(path)
    return path


@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "deep", "masked"])
@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("size", ["tile", "smaller", "flat"])
def test_an_image_of_one_tile_is_what_a_run_sees(tmp_path, write_raster, kind, name, size):
    model_input = INPUTS[name]
    side = model_input.tile or model_input.size
    if model_input.gsd and kind in ("tif", "deep", "masked"):
        side = round(side * 0.8 / 0.5)  # the file has 0.5 m, the network sees 0.8
    width, height = {"tile": (side, side), "smaller": (side - 21, side - 8), "flat": (side, side // 3)}[size]
    path = written(tmp_path, write_raster, kind, width, height)
    image, letterbox = read_canvas(path, model_input)
    expected, expected_letterbox = run_canvases(path, model_input)
    assert len(expected) == 1
    np.testing.assert_array_equal(image, expected[0])
    assert letterbox == expected_letterbox


@pytest.mark.parametrize(("resize", "shape"), [("letterbox", (64, 32)), ("stretch", (64, 64))])
def test_a_larger_image_is_reduced_to_fit(tmp_path, write_raster, resize, shape):
    model_input = replace(INPUTS["letterbox"], resize=resize)
    path = written(tmp_path, write_raster, "png", 200, 100)
    image, letterbox = read_canvas(path, model_input)
    assert image.shape == (3, 64, 64)
    corner = letterbox.to_canvas(np.array([[0.0, 0, 200, 100]]))[0, 2:]
    assert corner.tolist() == [*shape]
    fill = (114 / 255 - np.array(MEAN)) / STD
    np.testing.assert_allclose(
        image[:, shape[1] :], np.broadcast_to(fill[:, None, None], image[:, shape[1] :].shape), 1e-6
    )
    inner = image[:, : shape[1], : shape[0]]
    assert np.abs(inner.mean() - ((pixels(200, 100) / 255).mean() - np.mean(MEAN)) / np.mean(STD)) < 0.1


def test_grey_images_are_taken_as_three_equal_bands(tmp_path):
    Image.fromarray(pixels(50, 40)[0]).save(tmp_path / "grey.png")
    image, _ = read_canvas(tmp_path / "grey.png", Input(64))
    np.testing.assert_array_equal(image[0], image[1])
    np.testing.assert_allclose(image[0, :40, :50], pixels(50, 40)[0] / np.float32(255), 1e-6)


def test_nothing_valid_is_all_fill(tmp_path, write_raster):
    image, _ = read_canvas(write_raster(np.zeros((3, 40, 50), np.uint8), nodata=0), Input(64))
    np.testing.assert_allclose(image, 114 / 255, 1e-6)


@pytest.mark.parametrize(("width", "height"), [(60, 60), (60, 45), (33, 60)])
@pytest.mark.parametrize("name", ["letterbox", "tile larger than the canvas", "stretch"])
def test_evaluation_size_is_where_a_run_puts_the_image(tmp_path, write_raster, name, width, height):
    model_input = INPUTS[name]
    tile = model_input.tile or model_input.size
    _, letterbox = read_canvas(written(tmp_path, write_raster, "png", width, height), model_input)
    expected = evaluation_size((width, height), (tile, tile), model_input, model_input.size)
    np.testing.assert_allclose((letterbox.scale_x * width, letterbox.scale_y * height), expected, atol=0.5)


def test_training_without_augmentation_sees_what_evaluation_sees(tmp_path):
    """On tiles of the canvas's size, where nothing is resampled: the same pixels, normalised by the same lines."""
    from made_dataset import write_dataset

    index = read_index(write_dataset(tmp_path / "set", 3, side=64), "train")
    model_input = INPUTS["letterbox"]
    maker = ExampleMaker(index, Augment.none(), model_input, lambda *_: ())
    for i in range(3):
        (image,) = maker(Place(0, i, i, 64))
        np.testing.assert_array_equal(image, read_canvas(index.path(i), model_input)[0])


@pytest.mark.parametrize(("scales_with_canvas", "times"), [(False, 1), (True, 0.5)])
def test_a_smaller_canvas_shows_a_part_at_the_scale_of_evaluation_or_all_of_it_smaller(
    tmp_path, scales_with_canvas, times
):
    from made_dataset import write_dataset

    index = read_index(write_dataset(tmp_path / "set", 2, side=64), "train")
    boxes_only = lambda boxes, labels, ignored, size: (boxes,)  # noqa: E731
    maker = ExampleMaker(
        index, replace(Augment.none(), keep_cut=True), Input(64), boxes_only, scales_with_canvas=scales_with_canvas
    )
    sides = [np.diff(maker(Place(0, i, 1, 32))[1].reshape(-1, 2, 2), axis=1)[0, 0] for i in range(20)]
    np.testing.assert_allclose(np.max(sides, axis=0), np.array([20, 14]) * times)


def test_a_damaged_image_is_named(tmp_path):
    from geodetect.errors import SceneError

    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(SceneError, match=r"a\.png cannot be opened"), rasterio.Env(CPL_DEBUG=False):
        read_canvas(tmp_path / "a.png", Input(64))
