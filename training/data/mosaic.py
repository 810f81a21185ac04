"""Four images as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geodetect.boxes import clip
from training.data.sample import Sample, cut


def draw_centre(side: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return where the four images meet, x and y in px: each in the middle half of the mosaic."""
    x, y = side / 4 + rng.random(2) * side / 2
    return int(x), int(y)


def mosaic(samples: Sequence[Sample], centre: tuple[int, int], side: int, fill: int) -> Sample:
    """Return four samples laid around a centre, at their own scale, on a canvas of side x side px.

    They come top left, top right, bottom left, bottom right; each has its inner corner at the centre, what reaches
    over its quarter is cut, and what it leaves of it is grey of value `fill`. Source: Bochkovskiy et al., "YOLOv4",
    2020, section 3.3, as the model zoo has it.
    """
    x, y = centre
    canvas = np.full((side, side, 3), fill, np.uint8)
    parts = []
    for sample, right, low in zip(samples, (False, True, False, True), (False, False, True, True), strict=True):
        height, width = sample.image.shape[:2]
        left, top = (x if right else x - width), (y if low else y - height)
        quarter = np.array([x if right else 0, y if low else 0, side if right else x, side if low else y])
        x1, y1, x2, y2 = clip(np.array([[left, top, left + width, top + height]]), quarter)[0]
        canvas[y1:y2, x1:x2] = sample.image[y1 - top : y2 - top, x1 - left : x2 - left]
        boxes = sample.boxes + np.array([left, top, left, top])
        parts.append(cut(Sample(canvas, boxes, sample.labels, sample.ignored, sample.shown), quarter))
    columns = ("boxes", "labels", "ignored", "shown")
    return Sample(canvas, *(np.concatenate([getattr(part, name) for part in parts]) for name in columns))
