"""Canvases for evaluation: what a run of geodetect gives the network for the same image."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from geodetect.card import ANCHORS, STRIDES, Heads, Input, ModelCard, Network
from geodetect.config import DetectConfig
from geodetect.letterbox import Letterbox
from geodetect.plan import make_plan
from geodetect.scene import Scene, open_scene
from geodetect.window import Window
from training.labels.picture import open_picture

_RGB = ("red", "green", "blue")


def read_canvas(path: str | Path, model_input: Input) -> tuple[np.ndarray, Letterbox]:
    """Return an image as the network takes it, (3, S, S) float32, and how it lies on the canvas.

    An image that fits into one tile of the card becomes, bit for bit, what a run makes of it: the same pixels,
    stretch, resampling and fill. A larger one, of which a run makes several tiles, is reduced to fit: with its aspect
    kept, or, where the card's `resize` is "stretch", so that it fills the canvas.

    Raises:
        SceneError: the image cannot be read.
    """
    with _open(path, model_input.bands) as scene:
        plan = make_plan(scene, _card(model_input), DetectConfig(overlap=0.0))
        whole = Window(0, 0, scene.grid.height, scene.grid.width)
        shape, letterbox = plan.shape, plan.letterbox
        if whole.width > plan.tile[0] or whole.height > plan.tile[1]:
            width, height = evaluation_size((whole.width, whole.height), plan.tile, model_input, plan.canvas)
            shape = max(1, round(height)), max(1, round(width))
            letterbox = Letterbox(shape[1] / whole.width, shape[0] / whole.height)
        tile = scene.read(whole, shape)
        canvas = np.empty((len(model_input.mean), plan.canvas, plan.canvas), np.float32)
        plan.normaliser(tile.pixels, tile.valid, canvas)
    return canvas, letterbox


def _open(path: str | Path, bands: tuple[str, ...]) -> Scene:
    """Return the image as a run opens it; or a grey one, which a run refuses, as three equal bands."""
    return open_picture(path) if bands == _RGB else open_scene(path, needed=bands)


def evaluation_size(
    image: tuple[int, int], tile: tuple[int, int], model_input: Input, size: int
) -> tuple[float, float]:
    """Return the width and height (px) that an image has on the canvas in evaluation.

    Args:
        image: width and height, px.
        tile: width and height of a tile, image px.
        model_input: of the card.
        size: side of the canvas, px.
    """
    shares = image[0] / tile[0], image[1] / tile[1]
    most = max(shares)
    if most > 1:
        shares = (1.0, 1.0) if model_input.resize == "stretch" else (shares[0] / most, shares[1] / most)
    return shares[0] * size, shares[1] * size


@functools.lru_cache(maxsize=8)
def _card(model_input: Input) -> ModelCard:
    """Return a card with this input: a plan asks for a whole one and needs no more of it."""
    strides = STRIDES["yolov3-tiny"]
    heads = Heads((((1.0, 1.0),) * ANCHORS,) * len(strides), strides, (1.0,) * len(strides))
    return ModelCard("canvas", Network("yolov3-tiny"), ("object",), model_input, heads)
