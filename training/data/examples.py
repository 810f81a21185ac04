"""From an image's number to what the network and the loss take: the work of the loader's workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from geodetect.card import Input
from geodetect.radiometry import Normaliser, Stretch
from training.data.augment import Augment, arrange
from training.data.canvas import evaluation_size
from training.data.images import ImageStore
from training.data.index import Index
from training.data.mosaic import draw_centre, mosaic
from training.data.sample import Sample

TargetMaker = Callable[[np.ndarray, np.ndarray, np.ndarray, int], tuple[np.ndarray, ...]]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One place in an epoch's order, and what stands there."""

    epoch: int
    position: int  # in the order of all devices
    image: int  # its number in the index
    size: int  # of the canvas, px


@dataclass(frozen=True)
class ExampleMaker:
    """Makes training examples; each is a pure function of (seed, place), whoever makes it and whenever.

    Attributes:
        index: the images.
        augment: how they are changed.
        model_input: of the model's card.
        targets: boxes (N, 4) canvas px, labels, ignored and the canvas's size to the loss's arrays.
        seed: of all chance.
        scales_with_canvas: an image is as large on a canvas as it would be in evaluation on one of that size, so larger
            canvases have larger objects; else as on the model's, and a smaller canvas shows a part.
        store: keeps decoded images.
    """

    index: Index
    augment: Augment
    model_input: Input
    targets: TargetMaker
    seed: int = 0
    scales_with_canvas: bool = False
    store: ImageStore = field(default_factory=ImageStore)

    def __call__(self, place: Place) -> tuple[np.ndarray, ...]:
        """Return the image (3, S, S) float32, normalised, and the arrays of `targets`.

        Raises:
            LabelError: an image cannot be decoded.
        """
        sample = self.sample(place)
        image = np.empty((3, place.size, place.size), np.float32)
        settings = self.model_input
        normaliser = Normaliser(Stretch.identity(3), settings.mean, settings.std, settings.fill)
        normaliser(sample.image.transpose(2, 0, 1), None, image)
        boxes = sample.boxes.astype(np.float32)
        return image, *self.targets(boxes, sample.labels, sample.ignored, place.size)

    def sample(self, place: Place) -> Sample:
        """Return the changed image and its boxes on the canvas."""
        rng = np.random.default_rng([self.seed, place.epoch, place.position])
        fill = self.model_input.fill
        sample = self._read(place.image)
        if rng.random() < self.augment.mosaic:
            others = [self._read(int(i)) for i in rng.integers(len(self.index), size=3)]
            side = self.augment.mosaic_side
            sample = mosaic([sample, *others], draw_centre(side, rng), side, fill)
        height, width = sample.image.shape[:2]
        tile = self.model_input.tile or self.model_input.size
        canvas = place.size if self.scales_with_canvas else self.model_input.size
        reference = evaluation_size((width, height), (tile, tile), self.model_input, canvas)
        return arrange(sample, place.size, reference, self.augment, fill, rng)

    def empty(self, size: int) -> tuple[np.ndarray, ...]:
        """Return arrays of the same shapes that hold nothing."""
        none = np.zeros((0, 4), np.float32), np.zeros(0, np.int32), np.zeros(0, bool)
        return np.zeros((3, size, size), np.float32), *self.targets(*none, size)

    def _read(self, image: int) -> Sample:
        pixels = self.store.read(self.index.path(image), self.model_input.fill)
        return Sample.of(pixels, *self.index.objects(image))
