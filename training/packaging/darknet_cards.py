"""What Darknet's own configurations say of the three networks, as model cards.

Sources: `yolov3.cfg`, `yolov3-tiny.cfg` (Redmon, Farhadi 2018), `yolov4.cfg` (Bochkovskiy et al. 2020); the classes of
COCO (Lin et al. 2014) in the order of its category ids.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from geodetect.card import Input, ModelCard, Network
from geodetect.errors import ModelError
from training.run.card import family_heads

_SIZES = {"yolov3": 416, "yolov4": 608, "yolov3-tiny": 416}
_GREY = 128  # of the pixels that Darknet puts around an image
COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip


def darknet_card(family: str, classes: tuple[str, ...], name: str, size: int | None = None) -> ModelCard:
    """Return the card of a network in Darknet's variant: RGB / 255, letterbox, the configuration's anchors.

    Raises:
        ModelError: the name or the classes cannot be a card's.
    """
    heads = family_heads(family)
    if family == "yolov3-tiny":  # the model zoo gave it YOLOv4's grid sensitivity, the other two are as in Darknet
        heads = dataclasses.replace(heads, scale_xy=(1.0, 1.0))
    return ModelCard(
        name=name,
        network=Network(family, "darknet"),
        classes=classes,
        input=Input(size or _SIZES[family], fill=_GREY),
        heads=heads,
        description=f"{family} converted from Darknet",
    )


def classes_of(n_classes: int, names: Path | None) -> tuple[str, ...]:
    """Return the classes of a file of names, one a line, or those of COCO where there are 80 and no file is given.

    Raises:
        ModelError: the file cannot be read, or holds another number of names than the network has classes.
    """
    if names is None:
        if n_classes != len(COCO):
            raise ModelError(f"the network has {n_classes} classes; name them, one a line, in a file: --names FILE")
        return COCO
    try:
        lines = names.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{names} cannot be read ({getattr(error, 'strerror', None) or 'it is no text'})") from None
    found = tuple(line.strip() for line in lines if line.strip())
    if len(found) != n_classes:
        raise ModelError(f"{names} has {len(found)} names, the network has {n_classes} classes")
    return found


def plain_name(path: Path) -> str:
    """Return a model name made of a file's: letters, digits, dots, dashes and underscores."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.name.removesuffix(".weights")).lstrip("._-") or "converted"
