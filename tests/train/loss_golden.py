"""The reference losses of the three families: model cards' heads, targets and batches that belong to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from geodetect.card import STRIDES, Heads
from training.losses.targets import RULES, Targets

SCALE_XY = {"yolov3": (1.0, 1.0, 1.0), "yolov4": (1.05, 1.1, 1.2), "yolov3-tiny": (1.1, 1.2)}
ANCHORS = {
    "yolov3": ((10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119), (116, 90), (156, 198), (373, 326)),
    "yolov4": ((12, 16), (19, 36), (40, 28), (36, 75), (76, 55), (72, 146), (142, 110), (192, 243), (459, 401)),
    "yolov3-tiny": ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319)),
}
FAMILIES = tuple(ANCHORS)


def heads(family: str) -> Heads:
    sizes = ANCHORS[family]
    levels = tuple(sizes[i : i + 3] for i in range(len(sizes) - 3, -1, -3))
    return Heads(levels, STRIDES[family], SCALE_XY[family])


def reference(shared: Path, family: str) -> dict[str, np.ndarray]:
    with np.load(shared / "golden" / f"{family.replace('-', '_')}_loss_golden.npz") as file:
        return dict(file)


def scales(golden: dict[str, np.ndarray]) -> list[str]:
    return [scale for scale in ("big", "medium", "small") if f"raw_{scale}" in golden]


def reference_targets(golden: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The reference's own targets in the layout of the loss, no box ignored."""
    arrays = []
    for scale in scales(golden):
        arrays += [golden[f"y_true_{scale}"].transpose(0, 3, 4, 1, 2).copy(), golden[f"gt_{scale}"]]
    return [*arrays, np.zeros((len(arrays[0]), 4, 4), np.float32)]


def batch(family: str, size: int, n_classes: int = 2, images: int = 2, seed: int = 0) -> list[np.ndarray]:
    """Images of noise (B, 3, S, S) with six boxes each, and their targets."""
    random = np.random.default_rng(seed)
    make = Targets(heads(family), n_classes, RULES[family], max_boxes=8, max_ignored=4)
    found = []
    for _ in range(images):
        boxes = random_boxes(random, 6, size)
        found.append(make(boxes, random.integers(0, n_classes, 6), np.zeros(6, bool), size))
    pixels = random.standard_normal((images, 3, size, size)).astype(np.float32)
    return [pixels, *(np.stack(parts) for parts in zip(*found, strict=True))]


def random_boxes(random: np.random.Generator, count: int, size: int) -> np.ndarray:
    centres = random.uniform(0.1, 0.9, (count, 2)) * size
    sides = random.uniform(0.05, 0.8, (count, 2)) * size
    return np.clip(np.concatenate([centres - sides / 2, centres + sides / 2], axis=1), 0, size).astype(np.float32)
