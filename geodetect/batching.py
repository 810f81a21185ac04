"""Tiles read ahead, normalised and put together for the engine."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import Full, Queue

import numpy as np

from geodetect.errors import ConfigError
from geodetect.gdal import gdal_settings
from geodetect.plan import Plan
from geodetect.scene import Scene, Tile
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
        span: the plan's tiles that are behind it, those without a valid pixel included.
    """

    images: np.ndarray
    tiles: list[tuple[int, Window]]
    span: range


def batches(scene: Scene, plan: Plan, batch_size: int, span: range | None = None) -> Generator[Batch, None, None]:
    """Yield a span of the plan's tiles, None: all, in batches and in order.

    Tiles without a valid pixel are in no batch's images. The last batch may have none.

    A batch's images are overwritten once the second next batch has been taken. Close the generator to stop early.

    Raises:
        SceneError: the scene is damaged.
        ConfigError: the batches do not fit into memory.
    """
    queue: Queue = Queue(maxsize=_AHEAD)
    stop = threading.Event()
    span = range(len(plan.windows)) if span is None else span
    feeder = threading.Thread(target=_feed, args=(scene, plan, batch_size, span, queue, stop), daemon=True)
    feeder.start()
    try:
        while (item := queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        feeder.join(timeout=0.3)  # a read from a slow server may take longer: it ends by itself


def _feed(scene: Scene, plan: Plan, batch_size: int, span: range, queue: Queue, stop: threading.Event) -> None:
    """Fill the queue from a thread of its own; ends it with None or the exception that was met."""

    def put(item: object) -> None:
        while not stop.is_set():
            try:
                return queue.put(item, timeout=0.1)
            except Full:
                continue

    try:
        ring = _buffers(plan, batch_size, len(span))
        tiles: list[tuple[int, Window]] = []
        first = span.start
        for index, tile in zip(span, _tiles(scene, plan, span, stop), strict=False):  # fewer tiles where it is stopped
            if not tile.is_empty:
                plan.normaliser(tile.pixels, tile.valid, ring[0][len(tiles)])
                tiles.append((index, tile.window))
            if len(tiles) == len(ring[0]) or index == span.stop - 1:
                put(Batch(ring[0][: len(tiles)], tiles, range(first, index + 1)))
                ring.rotate(-1)
                tiles, first = [], index + 1
        put(None)
    except BaseException as error:  # handed to the thread that waits for the batches
        put(error)


def _buffers(plan: Plan, batch_size: int, tiles: int) -> deque[np.ndarray]:
    """Return room for the batches under way, no more than the tiles need."""
    batch = max(1, min(batch_size, tiles))
    count = min(BUFFERS, -(-tiles // batch) or 1)
    shape = batch, len(plan.normaliser.mean), plan.canvas, plan.canvas
    try:
        return deque(np.zeros(shape, np.float32) for _ in range(count))
    except (MemoryError, ValueError) as error:  # ValueError: more bytes than an address can count
        raise ConfigError(
            f"{batch} tiles of {plan.canvas} px at once do not fit into memory; give a smaller --tile or --batch-size"
        ) from error


def _tiles(scene: Scene, plan: Plan, span: range, stop: threading.Event) -> Iterator[Tile]:
    """Read a span of windows in order, a few ahead; a local file by one thread, so that each block is decoded once."""
    readers = _REMOTE_READERS if scene.is_remote else 1

    def read(window: Window) -> Tile:
        with gdal_settings(scene.path, plan.cache_bytes):
            return scene.read(window, plan.shape)

    pending: deque[Future[Tile]] = deque()
    pool = ThreadPoolExecutor(readers, thread_name_prefix="reader")
    try:
        for window in plan.windows[span.start : span.stop]:
            pending.append(pool.submit(read, window))
            if len(pending) > 2 * readers:
                yield pending.popleft().result()
            if stop.is_set():
                return
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
