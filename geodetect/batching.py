"""Tiles read ahead, normalised and put together for the engine."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import Full, Queue

import numpy as np

from geodetect.plan import Plan
from geodetect.scene import Scene, Tile, gdal_settings
from geodetect.window import Window

_AHEAD = 2  # batches prepared while the engine is busy
BUFFERS = _AHEAD + 3  # one more is being filled, one is with the engine and one with the decoder
_REMOTE_READERS = 4  # network reads wait more than they work


@dataclass(frozen=True)
class Batch:
    """What the engine takes at once.

    Attributes:
        images: (b, 3, S, S) float32, canvas; b is the engine's batch size, less in the last batch.
        tiles: (index, window) of each canvas.
        passed: how many tiles have been read so far, empty ones included.
    """

    images: np.ndarray
    tiles: list[tuple[int, Window]]
    passed: int


def batches(scene: Scene, plan: Plan, batch_size: int) -> Iterator[Batch]:
    """Yield the plan's tiles in batches, in order, leaving out tiles without a valid pixel.

    A batch's images are reused once the third next batch is asked for.
    """
    queue: Queue = Queue(maxsize=_AHEAD)
    stop = threading.Event()
    feeder = threading.Thread(target=_feed, args=(scene, plan, batch_size, queue, stop), daemon=True)
    feeder.start()
    try:
        while (item := queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        feeder.join(timeout=5)


def _feed(scene: Scene, plan: Plan, batch_size: int, queue: Queue, stop: threading.Event) -> None:
    """Fill the queue from a thread of its own; ends it with None or the exception that was met."""

    def put(item: object) -> None:
        while not stop.is_set():
            try:
                return queue.put(item, timeout=0.1)
            except Full:
                continue

    shape = batch_size, len(plan.normaliser.mean), plan.canvas, plan.canvas
    ring = deque(np.zeros(shape, np.float32) for _ in range(BUFFERS))
    try:
        images, last = ring[0], len(plan.windows) - 1
        tiles: list[tuple[int, Window]] = []
        for index, tile in enumerate(_tiles(scene, plan, stop)):
            if not tile.is_empty:
                plan.normaliser(tile.pixels, tile.valid, images[len(tiles)])
                tiles.append((index, tile.window))
            if len(tiles) == batch_size or (tiles and index == last):
                put(Batch(images[: len(tiles)], tiles, index + 1))
                ring.rotate(-1)
                images, tiles = ring[0], []
        put(None)
    except BaseException as error:  # handed to the thread that waits for the batches
        put(error)


def _tiles(scene: Scene, plan: Plan, stop: threading.Event) -> Iterator[Tile]:
    """Read the windows in order, a few ahead; a local file by one thread, so that each block is decoded once."""
    readers = _REMOTE_READERS if scene.is_remote else 1

    def read(window: Window) -> Tile:
        with gdal_settings(scene, plan.cache_bytes):
            return scene.read(window, plan.shape)

    pending: deque[Future[Tile]] = deque()
    with ThreadPoolExecutor(readers, thread_name_prefix="reader") as pool:
        try:
            for window in plan.windows:
                pending.append(pool.submit(read, window))
                if len(pending) > 2 * readers:
                    yield pending.popleft().result()
                if stop.is_set():
                    return
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
