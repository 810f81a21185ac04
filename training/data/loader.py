"""Batches for the device, made ahead by workers: a `mindspore.dataset` pipeline an epoch."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from geodetect.card import Input
from geodetect.errors import ConfigError
from geodetect.networks.runtime import mindspore
from training.data.augment import Augment
from training.data.balance import draw_images
from training.data.examples import ExampleMaker, Place, TargetMaker
from training.data.images import ImageStore
from training.data.index import Index
from training.data.sizes import canvas_size

_AHEAD = 3  # batches ready beside the one in use: more would only take memory
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class LoaderSettings:
    """How batches are made.

    Raises:
        ConfigError: a value is out of its range.
    """

    batch_size: int  # images a device
    sizes: tuple[int, ...]  # sides of the canvas, px, multiples of 32; one: fixed
    augment: Augment
    input: Input  # of the model's card; with several sizes, images grow with the canvas instead of having its scale
    resize_rate: int = 1  # batches until the next size
    seed: int = 0
    rank: int = 0  # of this device
    devices: int = 1
    workers: int = 2
    balance: float = 0.0  # see `draw_images`
    crowds: float = 0.0  # likewise
    processes: bool = False  # workers are processes instead of threads
    cache_bytes: int = 0  # decoded images kept in memory, bytes a device

    def __post_init__(self) -> None:
        for name, least in (("batch_size", 1), ("resize_rate", 1), ("devices", 1), ("workers", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ConfigError(f"{name} is {value!r}, a whole number from {least} on is needed")
        if not self.sizes or not all(isinstance(s, int) and s > 0 and s % 32 == 0 for s in self.sizes):
            raise ConfigError(f"the training sizes are {self.sizes!r}, multiples of 32 px are needed")
        if not 0 <= self.rank < self.devices:
            raise ConfigError(f"rank is {self.rank}, a number below {self.devices} devices is needed")


@dataclass(frozen=True)
class Loader:
    """Batches of one device, epoch after epoch.

    A sample hangs on the seed, the epoch and its position in that epoch's order alone; so neither workers, nor the
    number of devices, nor a resumed run changes what it looks like. Batch k of D devices with B images each is batch
    k of one device with D * B images; rank r has the images r * B to (r + 1) * B of it. The order is padded from its
    own start to whole batches of all devices.
    """

    index: Index
    settings: LoaderSettings
    targets: TargetMaker

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return math.ceil(len(self.index) / (self.settings.batch_size * self.settings.devices))

    def size(self, epoch: int, step: int) -> int:
        """Return the side of the canvas (px) in a batch, the same on all devices."""
        return canvas_size(self.settings.sizes, epoch, step, len(self.index), self.settings.resize_rate)

    def places(self, epoch: int, start: int = 0) -> list[Place]:
        """Return the places of this device's samples in an epoch, batch after batch, from step `start` on."""
        s = self.settings
        total = s.batch_size * s.devices
        rng = np.random.default_rng([s.seed, epoch])
        order = rng.permutation(draw_images(self.index, s.balance, s.crowds, rng))
        order = np.resize(order, self.steps * total)  # repeats from the start
        places = []
        for step in range(start, self.steps):
            size, first = self.size(epoch, step), step * total + s.rank * s.batch_size
            places += [Place(epoch, at, int(order[at]), size) for at in range(first, first + s.batch_size)]
        return places

    def names(self, epoch: int, step: int) -> list[str]:
        """Return the files of one batch on this device."""
        return [self.index.files[place.image] for place in self.places(epoch, step)[: self.settings.batch_size]]

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[mindspore.Tensor, ...]]:
        """Yield the batches of an epoch, counted from 0, from step `start` on; close it to stop early.

        A batch is the images (B, 3, S, S) float32, normalised, then the arrays of `targets`, each with B in front.

        Raises:
            LabelError: an image cannot be decoded.
        """
        places = self.places(number, start)
        if not places:
            return
        with _uninterrupted():
            pipeline = self._pipeline(_Source(self._maker, places))
        try:
            for step, (failed, *batch) in enumerate(pipeline):
                for row in np.flatnonzero(failed):
                    self._mend(batch, int(row), places[step * self.settings.batch_size + int(row)])
                yield tuple(mindspore.Tensor.from_numpy(array) for array in batch)
        finally:
            with _uninterrupted():
                pipeline.stop()
                del pipeline  # its workers end with the last reference, which an error's traceback would keep

    @functools.cached_property
    def _maker(self) -> ExampleMaker:
        s = self.settings
        return ExampleMaker(
            self.index, s.augment, s.input, self.targets, s.seed, len(s.sizes) > 1, ImageStore(s.cache_bytes)
        )

    def _pipeline(self, source: _Source):
        """Return the running pipeline as an iterator over tuples of arrays."""
        s, data = self.settings, mindspore.dataset
        names = [f"column{i}" for i in range(1 + len(self._maker.empty(32)))]
        with _prefetch(_AHEAD):
            examples = data.GeneratorDataset(
                source,
                names,
                shuffle=False,
                num_parallel_workers=min(s.workers, os.cpu_count() or 1, len(source)),  # it refuses more
                python_multiprocessing=s.processes,
            )
            batches = examples.batch(s.batch_size, drop_remainder=True, num_parallel_workers=1)
            return batches.create_tuple_iterator(num_epochs=1, output_numpy=True, do_copy=False)

    def _mend(self, batch: list[np.ndarray], row: int, place: Place) -> None:
        """Make an example again that a worker could not make: raises the error here, unless it was a passing one."""
        for array, part in zip(batch, self._maker(place), strict=True):
            array[row] = part


class _Source:
    """What the workers index: examples, with a flag in front that tells where one could not be made.

    An error does not leave a worker, for `mindspore.dataset` would wrap it in a page of its own traces.
    """

    def __init__(self, maker: ExampleMaker, places: list[Place]) -> None:
        self._maker, self._places = maker, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, i: int) -> tuple[np.ndarray, ...]:
        place = self._places[int(i)]
        try:
            return np.array(0, np.uint8), *self._maker(place)
        except Exception:  # whatever it is, it is met again where it can be raised
            return np.array(1, np.uint8), *self._maker.empty(place.size)


@contextlib.contextmanager
def _prefetch(count: int) -> Iterator[None]:
    """Set how many rows each stage of a pipeline made inside keeps ready."""
    config = mindspore.dataset.config
    before = config.get_prefetch_size()
    config.set_prefetch_size(count)
    try:
        yield
    finally:
        config.set_prefetch_size(before)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put off Ctrl-C and requests to terminate until the end of the block, and keep their handlers.

    MindSpore sets handlers of its own when a pipeline starts, and works in destructors when it ends, which would
    swallow a KeyboardInterrupt.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        signal.signal(number, lambda which, _: caught.append(which))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        for which in caught[:1]:
            signal.raise_signal(which)
