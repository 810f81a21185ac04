"""The losses of the three families, as the model zoo defines them. Only `make_loss` imports MindSpore."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from geodetect.card import Heads
from geodetect.errors import ConfigError

if TYPE_CHECKING:
    from mindspore import nn

_CLASSES = {
    "yolov3": ("yolov3", "YOLOv3Loss"),
    "yolov4": ("giou", "YOLOv4Loss"),
    "yolov3-tiny": ("giou", "YOLOv3TinyLoss"),
}


def make_loss(family: str, heads: Heads, n_classes: int, ignore_threshold: float) -> nn.Cell:
    """Return the loss of a family.

    It is called with the raw heads, big stride to small, and with what `training.losses.targets.Targets` gives for a
    batch: for each head truth (B, 3, 5 + C, G, G) and its boxes (B, M, 4), then the ignored boxes (B, I, 4). It
    returns the loss and its terms (T,), which sum to it and are named by its attribute `terms`;
    all are divided by the batch size.

    A prediction is not held to be background where it overlaps one of its head's boxes, or where more than half of it
    lies in an ignored box.

    Args:
        family: one of `geodetect.card.FAMILIES`.
        heads: the model card's `heads`.
        n_classes: number of classes.
        ignore_threshold: the IoU that such an overlap is above, more than 0. In the model zoo 0.7, YOLOv3 on DOTA 0.1.

    Raises:
        ConfigError: no such family, or the threshold is out of its range.
        EngineError: MindSpore is not installed.
    """
    if family not in _CLASSES:
        raise ConfigError(f"there is no loss of {family!r}, one of {', '.join(_CLASSES)} is needed")
    if not 0 < ignore_threshold <= 1:
        raise ConfigError(f"ignore_threshold is {ignore_threshold}, a number above 0, 1 at most, is needed")
    module, name = _CLASSES[family]
    return getattr(importlib.import_module(f"training.losses.{module}"), name)(heads, n_classes, ignore_threshold)
