"""What the network sees in the plan's tiles, and the objects that are made of it."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from typing import Any

import numpy as np

from geodetect.batching import Batch, batches
from geodetect.config import SCORE_FLOOR, ClassRules
from geodetect.decode import check_heads, decode
from geodetect.detections import Detections
from geodetect.merge import merge, nms
from geodetect.progress import Caution
from geodetect.view import View

NOTHING_VALID = Caution("no tile holds a valid pixel, so nothing can be found; check the scene's nodata value and mask")


@dataclass(frozen=True)
class Seen:
    """What the network saw in some tiles.

    Attributes:
        span: the plan's tiles, by index.
        looked: how many of them hold a valid pixel.
        found: unmerged, scene px.
    """

    span: range
    looked: int
    found: Detections


def predict(view: View, span: range) -> Generator[Seen, None, None]:
    """Yield what the network sees in a span of the plan's tiles, batch by batch and in order.

    The engine works in a thread: while it is busy the last batch is decoded and the next is read, and the calling
    thread stays free to be interrupted. Close the generator to stop early.

    Raises:
        SceneError: the scene is damaged.
        ModelError: the network's heads do not fit its card.
    """

    plan, card, engine = view.plan, view.card, view.engine

    def seen(batch: Batch, heads: tuple[np.ndarray, ...]) -> Seen:
        if not heads:
            return Seen(batch.span, 0, Detections.empty())
        check_heads(heads, card.heads, len(card.classes), plan.canvas)
        found = decode(heads, card.heads, view.rules.floor, plan.letterbox, batch.tiles)
        return Seen(batch.span, len(batch.tiles), found)

    pool = ThreadPoolExecutor(1, thread_name_prefix="engine")
    try:
        waiting: tuple[Batch, Future] | None = None
        with contextlib.closing(batches(view.scene, plan, engine.batch_size, span)) as coming:
            for batch in coming:
                running = pool.submit(engine.predict, batch.images) if batch.tiles else pool.submit(tuple)
                if waiting:
                    yield seen(waiting[0], _wait(waiting[1]))
                waiting = batch, running
            if waiting:
                yield seen(waiting[0], _wait(waiting[1]))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def count_of(found: Detections, rules: ClassRules) -> int:
    """Return how many objects reach their class's score."""
    sure = found[found.scores >= np.take(rules.scores, found.labels)]
    return len(nms(sure.boxes, sure.scores, sure.labels))


def merge_views(view: View, found: Detections) -> Detections:
    """Return one detection an object: those that reach their class's score and have their centre in the area.

    Seams are settled among views from SCORE_FLOOR on. Weaker ones, where they are asked for, can then only be
    suppressed: so they change nothing above the floor, and any result filtered is the result at that score.
    """
    plan, rules = view.plan, view.rules
    weak = found.scores < SCORE_FLOOR
    merged = merge(found[~weak], plan.windows, plan.region, rules.ious, average=view.config.average)
    if weak.any():
        rest = Detections.concatenate([merged, found[weak]])
        merged = rest[nms(rest.boxes, rest.scores, rest.labels, np.asarray(rules.ious))]
    keep = merged.scores >= np.take(np.asarray(rules.scores), merged.labels)
    if plan.area is not None:
        import shapely

        keep &= shapely.intersects_xy(plan.area, *((merged.boxes[:, :2] + merged.boxes[:, 2:]) / 2).T)
    return merged[keep]


def _wait(running: Future) -> Any:
    """Return a future's result; wakes up often, since Windows delivers Ctrl-C to no thread that only waits."""
    while True:
        try:
            return running.result(timeout=0.2)
        except NotYet:
            if running.done():  # the engine's own time-out, not ours
                return running.result()
