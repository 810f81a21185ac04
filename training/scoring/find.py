"""A model's detections on the images of an index."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from rasterio.errors import NotGeoreferencedWarning

from geodetect.card import ModelCard
from geodetect.config import ClassRules, DetectConfig
from geodetect.decode import check_heads, decode
from geodetect.detections import Detections
from geodetect.letterbox import Letterbox
from geodetect.nms import nms
from geodetect.progress import SILENT, Reporter
from geodetect.window import Window
from training.scoring.settings import ScoreSettings
from training.scoring.upstream import RECIPES, candidates, read_stretched, suppress

if TYPE_CHECKING:
    from geodetect.engines import Engine
    from training.data.index import Index

Canvas = tuple[np.ndarray, Letterbox]  # (3, S, S) float32 and how the image lies on it
_AHEAD = 2  # batches read while the engine is busy


def find(
    engine: Engine,
    card: ModelCard,
    index: Index,
    settings: ScoreSettings = ScoreSettings(),  # noqa: B008 - frozen
    reporter: Reporter = SILENT,
) -> Detections:
    """Return what a model finds in the images of an index, each image taken as one canvas.

    Images are read and detections decoded in threads while the engine works.

    Args:
        engine: runs the network on canvases of `card.input.size` px.
        card: of the model.
        index: the images.
        settings: how detections are made.
        reporter: is told the stage "detect" and may cancel.

    Returns:
        Detections in image px, labels of the model, `tiles` the number of the image in the index; at most
        `settings.counts()[-1]` an image and class, image by image.

    Raises:
        LabelError: an image cannot be read.
        ModelError: the network's heads are not what the card says.
    """
    total = len(index)
    last = total - total % settings.drop_last if settings.drop_last else total
    finish = partial(_finish, _process(card, settings), index.sizes)
    readers = ThreadPoolExecutor(settings.readers, thread_name_prefix="reader")
    decoder = ThreadPoolExecutor(1, thread_name_prefix="decoder")
    found: list[Future[Detections]] = []
    count = 0
    try:
        with warnings.catch_warnings():  # its filters are the process's: threads that open scenes would meet others'
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            canvases = _canvases(readers, index, range(last), card, settings, _AHEAD * engine.batch_size)
            reporter.progress("detect", 0, total)
            for start in range(0, last, engine.batch_size):
                batch = list(islice(canvases, engine.batch_size))
                heads = engine.predict(np.stack([image for image, _ in batch]))
                if start == 0:
                    check_heads(heads, card.heads, len(card.classes), card.input.size)
                found.append(decoder.submit(finish, heads, [letterbox for _, letterbox in batch], start))
                count += len(found[-2].result()) if len(found) > 1 else 0
                reporter.progress("detect", start + len(batch), total, count)
        return Detections.concatenate([part.result() for part in found])
    finally:
        readers.shutdown(wait=False, cancel_futures=True)
        decoder.shutdown(wait=False, cancel_futures=True)


def _canvases(
    readers: ThreadPoolExecutor, index: Index, numbers: range, card: ModelCard, settings: ScoreSettings, ahead: int
) -> Iterator[Canvas]:
    """Yield the canvases of images in order, read by threads, `ahead` of them at most."""
    if settings.postprocess == "upstream":
        read: Callable[..., Canvas] = read_stretched
    else:
        from training.data.canvas import read_canvas

        read = read_canvas
    pending: deque[Future[Canvas]] = deque()
    for number in numbers:
        pending.append(readers.submit(read, index.path(number), card.input))
        if len(pending) > ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _finish(process: Process, sizes: np.ndarray, heads, letterboxes: Sequence[Letterbox], start: int) -> Detections:
    """Return the detections of a batch whose first image has the number `start`."""
    parts = []
    for place, letterbox in enumerate(letterboxes):
        number = start + place
        part = process([head[place : place + 1] for head in heads], (int(sizes[number, 0]), int(sizes[number, 1])),
                       letterbox)  # fmt: skip
        parts.append(Detections(part.boxes, part.scores, part.labels, np.full(len(part), number, np.int32)))
    return Detections.concatenate(parts)


Process = Callable[[Sequence[np.ndarray], tuple[int, int], Letterbox], Detections]  # one image's heads, its size


def _process(card: ModelCard, settings: ScoreSettings) -> Process:
    """Return what turns the heads of one image into its detections."""
    most = settings.counts()[-1]
    if settings.postprocess == "upstream":
        recipe = RECIPES[card.network.family]
        limit = recipe.iou if settings.iou is None else settings.iou

        def upstream(heads, size, letterbox):
            kept = suppress(candidates(heads, card.heads, recipe, settings.floor, size), limit, recipe.distance)
            return strongest(kept, most)

        return upstream
    ious = np.array(ClassRules.of(DetectConfig(iou=settings.iou), card).ious)

    def own(heads, size, letterbox):
        tile = 0, Window(0, 0, size[1], size[0])
        every = decode(heads, card.heads, settings.floor, letterbox, [tile])
        return strongest(every[nms(every.boxes, every.scores, every.labels, ious)], most)

    return own


def strongest(found: Detections, most: int) -> Detections:
    """Return the `most` strongest detections of each class and image, in their order."""
    order = np.lexsort((-found.scores, found.labels, found.tiles))
    labels, tiles = found.labels[order], found.tiles[order]
    first = np.append(True, (labels[1:] != labels[:-1]) | (tiles[1:] != tiles[:-1]))[: len(order)]
    starts = np.flatnonzero(first)
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    return found[np.sort(order[rank < most])]
