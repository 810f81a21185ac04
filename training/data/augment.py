"""What is done to a training image, so that no two epochs see the same: pure functions of a sample and a generator.

The order is `arrange`'s: objects shuffled, image scaled, stretched and put on a canvas, colours changed, canvas
mirrored and turned. The formulas are the model zoo's; right-angle turns are added for images that look down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from geodetect.errors import ConfigError
from training.data.colour import draw_shift, shift_colours
from training.data.sample import Sample, cut

_FILTERS = (
    Resampling.NEAREST, Resampling.BILINEAR, Resampling.BICUBIC, Resampling.NEAREST, Resampling.LANCZOS,
)  # nearest comes twice, as in the model zoo  # fmt: skip
_TRIALS = 10  # placements tried until one shows an object
_LEAST_SIDE = 1.0  # canvas px; smaller objects are left out
_LEAST_SHOWN = 0.7  # share of an object; of a smaller one nobody can ask to be found


@dataclass(frozen=True)
class Augment:
    """How much images are changed. The defaults are the model zoo's, with turns.

    Raises:
        ConfigError: a value is out of its range.
    """

    jitter: float = 0.3  # width and height are each stretched by up to this share
    scale: tuple[float, float] = (0.25, 2.0)  # of the size that the image has in evaluation
    flip: float = 0.5  # chance of a mirrored image
    rotate: bool = True  # turned by any multiple of 90 degrees; right for images that look straight down
    hue: float = 0.1  # of the full circle
    saturation: float = 1.5  # greatest factor; below 1 the least
    value: float = 1.5
    mosaic: float = 0.0  # chance of four images in one
    mosaic_side: int = 768  # px
    anywhere: float = 0.0  # chance that the part shown need not have an object, so that sea and land stay empty
    keep_cut: bool = False  # keep an object of which less than 70 % is shown, as the model zoo does; else: ignored
    random_filter: bool = True  # one of four filters; else bilinear

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float]] = {"jitter": (0, 0.9), "flip": (0, 1), "hue": (0, 0.5), "mosaic": (0, 1)}
        ranges |= {"anywhere": (0, 1), "saturation": (0.01, 100), "value": (0.01, 100), "mosaic_side": (8, 8192)}
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
                raise ConfigError(f"augment.{name} is {value!r}, a number from {low} to {high} is needed")
        pair = isinstance(self.scale, tuple) and len(self.scale) == 2
        if not pair or not 0.01 <= self.scale[0] <= self.scale[1] <= 100:
            raise ConfigError(f"augment.scale is {self.scale!r}, [least, greatest] within 0.01 to 100 is needed")

    @classmethod
    def none(cls) -> Augment:
        """Return the settings that leave an image as evaluation has it."""
        return cls(0.0, (1.0, 1.0), 0.0, False, 0.0, 1.0, 1.0, random_filter=False)


@dataclass(frozen=True)
class Placement:
    """Where an image is put on the canvas, canvas px; what lies outside is cut off."""

    left: int
    top: int
    width: int
    height: int


def arrange(
    sample: Sample, size: int, reference: tuple[float, float], settings: Augment, fill: int, rng: np.random.Generator
) -> Sample:
    """Return the sample changed at random on a canvas of size x size px; its objects in an order of chance.

    Args:
        sample: image, or mosaic.
        size: side of the canvas, px.
        reference: width and height (px) that the image has on this canvas in evaluation.
        settings: how much is changed.
        fill: value of grey where the image leaves the canvas free.
        rng: all chance comes from it.
    """
    sample = sample.rows(rng.permutation(len(sample.labels)))
    placement = choose_placement(sample, size, reference, settings, rng)
    sampling = _FILTERS[rng.integers(len(_FILTERS))] if settings.random_filter else Resampling.BILINEAR
    shift = draw_shift(settings.hue, settings.saturation, settings.value, rng)
    placed = place(sample, placement, size, fill, sampling, shift)
    if not settings.keep_cut:
        placed = ignore_cut(placed)
    placed = mirror(placed) if rng.random() < settings.flip else placed
    return turn(placed, int(rng.integers(4))) if settings.rotate else placed


def choose_placement(
    sample: Sample, size: int, reference: tuple[float, float], settings: Augment, rng: np.random.Generator
) -> Placement:
    """Return the first of ten random placements that shows an object, else the whole image as in evaluation.

    Where the image has no object, or only ignored ones, the first is as good as any; and by `anywhere`, at times.
    """
    height, width = sample.image.shape[:2]
    trials = [draw_placement(size, reference, settings, rng) for _ in range(_TRIALS)]
    if sample.ignored.all() or (settings.anywhere and rng.random() < settings.anywhere):
        return trials[0]
    for placement in trials:
        left = move(sample, placement, (width, height), size)
        left = left if settings.keep_cut else ignore_cut(left)
        if not left.ignored.all():
            return placement
    return Placement(0, 0, max(1, round(reference[0])), max(1, round(reference[1])))


def draw_placement(size: int, reference: tuple[float, float], settings: Augment, rng: np.random.Generator) -> Placement:
    """Return a random size and place: the model zoo's formula, with `reference` where it has the canvas."""
    stretch = 1 + settings.jitter * (2 * rng.random(2) - 1)
    aspect = reference[0] / reference[1] * stretch[0] / stretch[1]
    longer = max(reference) * (settings.scale[0] + rng.random() * (settings.scale[1] - settings.scale[0]))
    width, height = (longer * aspect, longer) if aspect < 1 else (longer, longer / aspect)
    width, height = max(1, round(width)), max(1, round(height))
    left, top = int(rng.random() * (size - width)), int(rng.random() * (size - height))
    return Placement(left, top, width, height)


def move(sample: Sample, placement: Placement, image_size: tuple[int, int], size: int) -> Sample:
    """Return the sample with its boxes moved as its image is, cut to the canvas, tiny ones left out."""
    scale = placement.width / image_size[0], placement.height / image_size[1]
    boxes = sample.boxes * (*scale, *scale) + (placement.left, placement.top) * 2
    moved = cut(replace(sample, boxes=boxes), np.array([0, 0, size, size]))
    sides = moved.boxes[:, 2:] - moved.boxes[:, :2]
    return moved.rows((sides > _LEAST_SIDE).all(axis=1))


def place(
    sample: Sample,
    placement: Placement,
    size: int,
    fill: int,
    sampling: Resampling = Resampling.BILINEAR,
    shift: tuple[float, float, float] = (0.0, 1.0, 1.0),
) -> Sample:
    """Return the sample on a canvas of size x size px; `shift` changes the image's colours, not the fill's."""
    height, width = sample.image.shape[:2]
    moved = move(sample, placement, (width, height), size)
    x1, y1 = max(placement.left, 0), max(placement.top, 0)
    x2, y2 = min(placement.left + placement.width, size), min(placement.top + placement.height, size)
    canvas = np.full((size, size, 3), fill, np.uint8)
    if x2 > x1 and y2 > y1:
        scale_x, scale_y = width / placement.width, height / placement.height
        seen = (
            (x1 - placement.left) * scale_x,
            (y1 - placement.top) * scale_y,
            min((x2 - placement.left) * scale_x, width),
            min((y2 - placement.top) * scale_y, height),
        )
        part = Image.fromarray(sample.image).resize((x2 - x1, y2 - y1), sampling, seen)  # only what is seen
        canvas[y1:y2, x1:x2] = shift_colours(np.asarray(part), *shift)
    return replace(moved, image=canvas)


def ignore_cut(sample: Sample) -> Sample:
    """Return the sample with those objects ignored of which less than 70 % is shown."""
    return replace(sample, ignored=sample.ignored | (sample.shown < _LEAST_SHOWN))


def mirror(sample: Sample) -> Sample:
    """Return the sample with left and right exchanged; twice gives it back."""
    width = sample.image.shape[1]
    boxes = sample.boxes * (-1, 1, -1, 1) + (width, 0, width, 0)
    return replace(sample, image=sample.image[:, ::-1], boxes=boxes[:, [2, 1, 0, 3]])


def turn(sample: Sample, quarters: int) -> Sample:
    """Return the sample turned to the left by quarters * 90 degrees; four quarters give it back."""
    image, boxes = sample.image, sample.boxes
    for _ in range(quarters % 4):
        width = image.shape[1]
        image = np.rot90(image)  # a pixel at (x, y) comes to (y, width - x)
        boxes = boxes[:, [1, 2, 3, 0]] * (1, -1, 1, -1) + (0, width, 0, width)
    return replace(sample, image=image, boxes=boxes)
