"""Random truths and detections, and cards and engines for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from geodetect.card import Heads, Input, ModelCard, Network
from geodetect.detections import Detections
from training.data.index import Index

MODEL = "planes-ships-yolov3-tiny"
ANCHORS = (((81.0, 82.0), (135.0, 169.0), (344.0, 319.0)), ((10.0, 14.0), (23.0, 27.0), (37.0, 58.0)))
CLASSES = ("plane", "ship", "harbor")


def card(classes=CLASSES, size=64, family="yolov3-tiny", **takes) -> ModelCard:
    if family == "yolov3-tiny":
        heads = Heads(ANCHORS, (32, 16), (1.1, 1.2))
    else:
        heads = Heads((ANCHORS[0], ANCHORS[1], ANCHORS[1]), (32, 16, 8), (1.05, 1.1, 1.2))
    return ModelCard("made", Network(family), tuple(classes), Input(size, **takes), heads)


def make_index(objects, classes=CLASSES, side=100, root=Path("nowhere")) -> Index:
    """Return an index of images with (boxes, labels, ignored) each."""
    boxes = [np.asarray(row[0], np.float32).reshape(-1, 4) for row in objects]
    return Index(
        root=root,
        files=tuple(f"{number}.png" for number in range(len(objects))),
        ids=np.arange(len(objects)) + 10,
        sizes=np.full((len(objects), 2), side),
        offsets=np.cumsum([0, *map(len, boxes)]),
        boxes=np.concatenate([np.zeros((0, 4), np.float32), *boxes]),
        labels=np.concatenate([np.zeros(0, np.int32), *(np.asarray(row[1], np.int32) for row in objects)]),
        ignored=np.concatenate([np.zeros(0, bool), *(np.asarray(row[2], bool) for row in objects)]),
        classes=tuple(classes),
        category_ids=tuple(range(1, len(classes) + 1)),
    )


def random_index(seed=0, images=12, ignored=0.0, classes=CLASSES, side=100) -> Index:
    rng = np.random.default_rng(seed)
    objects = []
    for _ in range(images):
        count = int(rng.integers(0, 9))
        corner, sides = rng.uniform(0, side - 45, (count, 2)), rng.uniform(4, 45, (count, 2))
        labels = rng.integers(0, len(classes), count)
        objects.append((np.concatenate([corner, corner + sides], axis=1), labels, rng.random(count) < ignored))
    return make_index(objects, classes, side)


def random_found(index: Index, seed=1, noise=4.0, extra=40) -> Detections:
    """Return detections near most truths, some twice or of another class, and others anywhere; no two scores equal."""
    rng = np.random.default_rng(seed)
    images = np.repeat(np.arange(len(index)), np.diff(index.offsets))
    picked = rng.permutation(np.repeat(np.arange(len(images)), 2))[: int(1.6 * len(images))]
    boxes = index.boxes[picked].astype(np.float64) + rng.normal(0, noise, (len(picked), 4))
    corner = rng.uniform(0, 60, (extra, 2))
    anywhere = np.concatenate([corner, corner + rng.uniform(5, 40, (extra, 2))], axis=1)
    boxes = np.concatenate([boxes, anywhere])
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    labels = np.where(rng.random(len(picked)) < 0.85, index.labels[picked], 0)
    labels = np.concatenate([labels, rng.integers(0, len(index.classes), extra)])
    tiles = np.concatenate([images[picked], rng.integers(0, len(index), extra)])
    scores = (rng.permutation(len(boxes)) + 1) / (len(boxes) + 1)
    return Detections.of(boxes, scores, labels, tiles)


class MadeEngine:
    """Gives heads that depend on each canvas alone."""

    name, version, device, precision = "made", "0", "CPU", "float32"

    def __init__(self, model: ModelCard, batch_size: int = 3, bias: float = -2.0) -> None:
        self.batch_size, self.bias, self.calls = batch_size, bias, 0
        self._card = model

    def predict(self, images: np.ndarray) -> tuple[np.ndarray, ...]:
        self.calls += 1
        assert 1 <= len(images) <= self.batch_size
        parts = [self._one(image) for image in images]
        return tuple(np.stack(level) for level in zip(*parts, strict=True))

    def _one(self, image: np.ndarray) -> list[np.ndarray]:
        rng = np.random.default_rng(int(np.abs(image).sum() * 1000) % 2**32)
        channels, size = 3 * (5 + len(self._card.classes)), self._card.input.size
        heads = [rng.normal(0, 1.5, (channels, size // s, size // s)) for s in self._card.heads.strides]
        for head in heads:
            head.reshape(3, -1, *head.shape[1:])[:, 2:4] *= 0.3
            head.reshape(3, -1, *head.shape[1:])[:, 4] += self.bias
        return [head.astype(np.float32) for head in heads]

    def close(self) -> None:
        pass
