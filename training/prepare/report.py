"""What a data set holds, and what became of the labels."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.prepare.anchors import Anchors
from training.prepare.plan import PlannedTile

PERCENTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True)
class SplitReport:
    """One split: train or val."""

    images: int  # that tiles are cut from
    tiles: int
    empty_tiles: int  # of these, without any object
    boxes: Mapping[str, int]  # a class; an object in the overlap of tiles counts in each
    ignored: int  # boxes
    most_boxes: int  # in one tile


@dataclass(frozen=True)
class Report:
    """What `prepare` did.

    Attributes:
        kind: of the labels.
        settings: that the tiles were made with.
        classes: in the order of the category ids.
        objects: in the labels, a class, those that count as objects.
        splits: by name.
        sizes: square root of the area of the boxes in tiles, px, a class: percentiles by their number.
        gsd: ground sample distance of the tiles, m/px: least, median, largest; None where it is not known.
        dropped: labels that are in no tile, by reason.
        ignored: boxes in tiles that are neither object nor background, by reason.
        unseen: objects that are cut, or too small, in every tile.
        left_out: tiles without object that were not kept.
        without_data: tiles that hold no valid pixel.
        anchors: fitted to the boxes of the training tiles, where asked for.
        notes: sentences that the user should know.
    """

    kind: str
    settings: Mapping[str, Any]
    classes: tuple[str, ...]
    objects: Mapping[str, int]
    splits: Mapping[str, SplitReport]
    sizes: Mapping[str, Mapping[str, float]]
    gsd: tuple[float, float, float] | None
    dropped: Mapping[str, int]
    ignored: Mapping[str, int]
    unseen: int
    left_out: int
    without_data: int
    anchors: Anchors | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return dataclasses.asdict(self)


def split_report(tiles: Sequence[PlannedTile], classes: Sequence[str]) -> SplitReport:
    """Return the figures of the tiles of one split."""
    labels, _ = boxes_of(tiles)
    return SplitReport(
        images=len({tile.image for tile in tiles}),
        tiles=len(tiles),
        empty_tiles=sum(tile.is_empty for tile in tiles),
        boxes=by_class(labels, classes),
        ignored=int(sum(tile.cut.ignored.sum() for tile in tiles)),
        most_boxes=max((int((~tile.cut.ignored).sum()) for tile in tiles), default=0),
    )


def boxes_of(tiles: Sequence[PlannedTile]) -> tuple[np.ndarray, np.ndarray]:
    """Return labels (N,) and sides (N, 2) in tile px of all boxes that are objects."""
    cuts = [tile.cut for tile in tiles]
    labels = [cut.labels[~cut.ignored] for cut in cuts]
    sides = [(cut.boxes[:, 2:] - cut.boxes[:, :2])[~cut.ignored] for cut in cuts]
    return np.concatenate([np.empty(0, np.int32), *labels]), np.concatenate([np.empty((0, 2)), *sides])


def by_class(labels: np.ndarray, classes: Sequence[str]) -> dict[str, int]:
    """Return how many labels each class has."""
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    return dict(zip(classes, counts, strict=True))


def sizes(tiles: Sequence[PlannedTile], classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return percentiles of the square root of the boxes' area, px, of each class that has boxes."""
    labels, sides = boxes_of(tiles)
    roots = np.sqrt(sides.prod(1))
    found = {}
    for i, name in enumerate(classes):
        if (labels == i).any():
            values = np.percentile(roots[labels == i], PERCENTILES)
            found[name] = {str(p): round(float(value), 1) for p, value in zip(PERCENTILES, values, strict=True)}
    return found


def gsd_range(tiles: Sequence[PlannedTile], gsds: Sequence[float | None]) -> tuple[float, float, float] | None:
    """Return least, median and largest ground sample distance of the tiles, m/px."""
    known = [gsd * tile.reduction for tile in tiles if (gsd := gsds[tile.image])]
    if not known:
        return None
    least, middle, largest = np.percentile(known, (0, 50, 100))
    return round(float(least), 4), round(float(middle), 4), round(float(largest), 4)


def in_order(counts: Counter[str]) -> dict[str, int]:
    """Return counts, the largest first; of equal ones by name."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def remarks(
    tiles: Sequence[PlannedTile], classes: Sequence[str], image_sizes: Sequence[tuple[int, int]], side: int
) -> tuple[str, ...]:
    """Return what the user should change perhaps.

    Args:
        tiles: of both splits.
        classes: names.
        image_sizes: (width, height) of the images, px.
        side: of a tile, px.
    """
    found = []
    for split in dict.fromkeys(tile.split for tile in tiles):
        counts = by_class(boxes_of([tile for tile in tiles if tile.split == split])[0], classes)
        lacking = [name for name, count in counts.items() if not count]
        if lacking:
            found.append(f"{split} has no object of {', '.join(lacking)}")
    longest = [max(size) for size in image_sizes]
    little = [length for length in longest if side < length <= 1.25 * side]
    if 2 * len(little) > len(longest):
        found.append(
            f"{len(little):,} images are hardly larger than a tile and cut into several that are much alike; "
            f"--tile {max(little)} takes each whole"
        )
    return tuple(found)
