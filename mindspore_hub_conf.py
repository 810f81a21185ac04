"""Entry point for MindSpore Hub: `create_network(name, ...)` gives one of geodetect's networks as a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mindspore import nn

_FAMILIES = {  # names of geodetect and of the model zoo
    "yolov3": "yolov3",
    "yolov3_darknet53": "yolov3",
    "yolov4": "yolov4",
    "yolov4_cspdarknet53": "yolov4",
    "yolov3-tiny": "yolov3-tiny",
    "yolov3_tiny": "yolov3-tiny",
}


def create_network(
    name: str, num_classes: int | None = None, *, variant: str = "mindspore", pretrained: str | None = None
) -> nn.Cell:
    """Return a network that takes (B, 3, H, W) float32 and gives its raw heads, big stride to small.

    Args:
        name: yolov3_darknet53, yolov4_cspdarknet53 or yolov3_tiny; geodetect's names yolov3, yolov4 and yolov3-tiny
            mean the same, and case does not matter.
        num_classes: number of classes; without it that of the checkpoint, and 80 without either.
        variant: "darknet" for converted Darknet weights; "3l" for YOLOv3-Tiny with a third head.
        pretrained: a .ckpt, .safetensors or .npz file, or a model package's folder, to load. A package tells its
            classes and variant itself.

    Raises:
        ValueError: there is no network of this name.
        geodetect.errors.ModelError: the checkpoint cannot be read or is that of another network.
    """
    from geodetect.networks import build, load_parameters

    family = _FAMILIES.get(name.lower())
    if family is None:
        raise ValueError(f"no network is called {name!r}, give one of {', '.join(_FAMILIES)}")
    if pretrained is None:
        return build(family, num_classes or 80, variant)
    weights, found, variant = _checkpoint(pretrained, family, variant)
    network = build(family, num_classes or found, variant)
    load_parameters(network, weights)
    return network


def _checkpoint(pretrained: str, family: str, variant: str) -> tuple[str, int, str]:
    """Return the file of the parameters, their number of classes, and the variant of the network."""
    from pathlib import Path

    from geodetect.errors import ModelError
    from geodetect.networks.parameters import read_parameters
    from geodetect.package import open_package

    if Path(pretrained).is_dir():
        package = open_package(pretrained)
        card, weights = package.card, package.weights_path
        if card.network.family != family or weights is None:
            raise ModelError(f"{pretrained} is a {card.network.family} and not to be loaded as {family}")
        return str(weights), len(card.classes), card.network.variant
    parameters = read_parameters(pretrained)
    biases = [array for name, array in parameters.items() if name.endswith(".bias")]
    if family == "yolov3-tiny" and "feature_map.head3.bias" in parameters:
        variant = "3l"
    return pretrained, max(len(biases[0]) // 3 - 5, 1) if biases else 80, variant
