"""The three networks. Nothing here imports MindSpore before `build` or `load_parameters` is called."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from geodetect.card import VARIANTS
from geodetect.errors import ModelError
from geodetect.networks.parameters import check_parameters, read_parameters

if TYPE_CHECKING:
    from mindspore import nn

_CLASSES = {
    "yolov3": ("yolov3", "YOLOv3"),
    "yolov4": ("yolov4", "YOLOv4"),
    "yolov3-tiny": ("yolov3_tiny", "YOLOv3Tiny"),
}


def build(family: str, n_classes: int, variant: str = "mindspore") -> nn.Cell:
    """Return the network with fresh parameters, named and ordered as in MindSpore's model zoo.

    It takes (B, 3, H, W) float32, H and W multiples of 32, and returns its raw heads, big stride to small, each
    (B, 3 * (5 + n_classes), H / stride, W / stride).

    Args:
        family: one of `geodetect.card.FAMILIES`.
        n_classes: number of classes.
        variant: "mindspore"; "darknet" for converted Darknet weights; "3l": YOLOv3-Tiny with a third head, of stride 8.

    Raises:
        ModelError: no such family or variant.
        EngineError: MindSpore is not installed.
    """
    if variant not in VARIANTS.get(family, ()) or n_classes < 1:
        raise ModelError(f"no network {family!r} of variant {variant!r} with {n_classes} classes")
    module, name = _CLASSES[family]
    network = getattr(importlib.import_module(f"geodetect.networks.{module}"), name)
    return network(n_classes, variant)


def load_parameters(cell: nn.Cell, path: str | Path) -> None:
    """Fill the network with the parameters of a .safetensors, .ckpt or .npz file.

    Raises:
        ModelError: the file cannot be read, or its names or shapes are not the network's.
    """
    from geodetect.networks.runtime import mindspore

    parameters = read_parameters(path)
    check_parameters(parameters, {item.name: tuple(item.shape) for item in cell.get_parameters()}, where=str(path))
    for item in cell.get_parameters():
        item.set_data(mindspore.Tensor(parameters[item.name]))
