"""Reading Darknet's .weights files: convolutions alone, in the order of the network's configuration.

A file is three int32 (version 0.2.x), the number of images seen (int64) and float32 values. A convolution with batch
normalisation stores beta, gamma, mean, variance and weight, one without stores bias and weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from geodetect.errors import ModelError
from geodetect.networks.parameters import check_size

_NORMALISED = (".1.beta", ".1.gamma", ".1.moving_mean", ".1.moving_variance", ".0.weight")
_PLAIN = (".bias", ".weight")
# Darknet puts the lateral map before the upsampled one, this network after it
_SWAPPED = {("yolov4", f"feature_map.backblock{block}.conv0.0.weight") for block in (0, 1)}


def read_darknet(
    path: str | Path, family: str, shapes: Mapping[str, tuple[int, ...]], variant: str = "darknet"
) -> dict[str, np.ndarray]:
    """Return the parameters that a Darknet file holds, float32, by the names of this network.

    A file that ends after any convolution (`darknet53.conv.74`) gives the parameters up to there. A complete one
    gives all of them; YOLOv4's two convolutions that are never used are then zero.

    Args:
        path: the file.
        family: one of `geodetect.card.FAMILIES`.
        shapes: of every parameter, from `graphs.expected_shapes`.
        variant: one of `geodetect.card.VARIANTS` of the family.

    Raises:
        ModelError: the file is no Darknet file, or its length fits no border between convolutions.
    """
    values = read_values(Path(path))
    parameters: dict[str, np.ndarray] = {}
    at = 0
    for prefix in convolutions(family, variant):
        names = [prefix + suffix for suffix in (_NORMALISED if f"{prefix}.0.weight" in shapes else _PLAIN)]
        needed = sum(math.prod(shapes[name]) for name in names)
        if at == values.size:
            return parameters
        if at + needed > values.size:
            raise ModelError(
                f"{path} has {values.size} values and ends inside {prefix}, which ends at {at + needed}; "
                f"is it complete, is the family {family} right, and the number of classes?"
            )
        for name in names:
            array = values[at : at + math.prod(shapes[name])].reshape(shapes[name])
            parameters[name] = np.roll(array, array.shape[1] // 2, axis=1) if (family, name) in _SWAPPED else array
            at += array.size
    if at != values.size:
        raise ModelError(
            f"{path} has {values.size} values, {family} takes {at}; are the family and the number of classes right?"
        )
    return parameters | {name: _neutral(name, shape) for name, shape in shapes.items() if name not in parameters}


def convolutions(family: str, variant: str = "darknet") -> Iterator[str]:
    """Yield the prefixes of a network's convolutions in Darknet's order."""
    yield from {"yolov3": _yolov3, "yolov4": _yolov4, "yolov3-tiny": _yolov3_tiny}[family]()
    if variant == "3l":
        yield from _numbered("feature_map.backbone.conv", (11, 12))
        yield "feature_map.head3"


def _yolov3_tiny() -> Iterator[str]:
    yield from _numbered("feature_map.backbone.conv", range(9))
    yield "feature_map.head1"
    yield from _numbered("feature_map.backbone.conv", (9, 10))
    yield "feature_map.head2"


def _yolov3() -> Iterator[str]:
    backbone = "feature_map.backbone."
    yield f"{backbone}conv0"
    for stage, blocks in enumerate((1, 2, 8, 8, 4), 1):
        yield f"{backbone}conv{stage}"
        yield from _residuals(f"{backbone}layer{stage}", blocks)
    yield from _numbered("feature_map.backblock0.conv", range(7))
    for head in (1, 2):
        yield f"feature_map.conv{head}"
        yield from _numbered(f"feature_map.backblock{head}.conv", range(7))


def _yolov4() -> Iterator[str]:
    backbone = "feature_map.backbone."
    yield from _numbered(f"{backbone}conv", (0, 1, 6, 2, 3, 4, 5, 7))
    for stage, blocks in ((2, 2), (3, 8), (4, 8), (5, 4)):
        down = 5 * stage - 2  # 8, 13, 18, 23; then enter, leave, skip, merge in MindSpore's numbering
        yield from _numbered(f"{backbone}conv", (down, down + 3, down + 1))
        yield from _residuals(f"{backbone}layer{stage}", blocks)
        yield from _numbered(f"{backbone}conv", (down + 2, down + 4))
    yield from _numbered("feature_map.conv", range(1, 9))
    yield from _numbered("feature_map.backblock0.conv", range(5))
    yield from _numbered("feature_map.conv", (9, 10))
    yield from _numbered("feature_map.backblock1.conv", range(7))
    for down, head in ((11, 2), (12, 3)):
        yield f"feature_map.conv{down}"
        yield from _numbered(f"feature_map.backblock{head}.conv", range(7))


def _numbered(prefix: str, numbers: range | tuple[int, ...]) -> Iterator[str]:
    return (f"{prefix}{number}" for number in numbers)


def _residuals(layer: str, blocks: int) -> Iterator[str]:
    return (f"{layer}.{block}.conv{part}" for block in range(blocks) for part in (1, 2))


def read_values(path: Path) -> np.ndarray:
    """Return the float32 values of a Darknet file without its header; raises ModelError where it is none."""
    try:
        check_size(path)
        blob = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from None
    if len(blob) < 20:
        raise ModelError(f"{path} is no Darknet weights file: it has {len(blob)} bytes")
    major, minor, _ = np.frombuffer(blob, "<i4", 3)
    if not (0 <= major < 1000 and 0 <= minor < 1000):
        raise ModelError(f"{path} is no Darknet weights file: it does not begin with a version of Darknet")
    header = 20 if major * 10 + minor >= 2 else 16  # since 0.2 the number of images seen has 64 bits
    if (len(blob) - header) % 4:
        raise ModelError(f"{path} is cut off: its {len(blob) - header} bytes of values are no whole number of float32")
    return np.frombuffer(blob, "<f4", offset=header).astype(np.float32)


def _neutral(name: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, float(name.endswith((".gamma", ".moving_variance"))), np.float32)
