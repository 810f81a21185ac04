"""Which tiles a data set will have, and what is in them; decided from labels and sizes, before a pixel is read."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from geodetect.errors import LabelError
from geodetect.tiling import tile_windows
from geodetect.window import Window
from training.labels import LabelledImage
from training.prepare.cut import Cut, Rules, cut
from training.prepare.objects import Objects
from training.prepare.settings import PrepareSettings

_FEW = 30  # images; of fewer a hash takes shares that are far from the one wanted


@dataclass(frozen=True, eq=False)
class PlannedTile:
    """One tile of the data set.

    Attributes:
        file: "train/NAME.png", relative to the data set.
        split: "train" or "val".
        image: which of the images it is cut from.
        window: px of the image reduced `reduction` times.
        reduction: image px a tile px.
        cut: the objects in it.
    """

    file: str
    split: str
    image: int
    window: Window
    reduction: int
    cut: Cut

    @property
    def source(self) -> Window:
        """The tile's window in px of the image."""
        n = self.reduction
        return Window(*(side * n for side in (self.window.row, self.window.col, self.window.height, self.window.width)))

    @property
    def is_empty(self) -> bool:
        """Whether no box is an object: ignored ones teach nothing."""
        return bool(self.cut.ignored.all())


@dataclass(frozen=True)
class Region:
    """A part of an image that belongs to one split, image px."""

    split: str
    window: Window


def share(name: str) -> float:
    """Return a number of 0 to below 1 that depends on a name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64


def assign_splits(images: Sequence[LabelledImage], val_share: float) -> list[str]:
    """Return "train" or "val" for each image: as its folder says, else by a hash of its name.

    Of 30 images or more each is decided alone, so that it stays where it is when others are added. Of fewer exactly
    `val_share` go to val, those of the least hashes, since chance would be far off. Where a split is left empty, it
    gets the image whose hash is nearest. Folders that only name training images leave the choice to the hash too.
    """
    splits = [image.split for image in images]
    only_train = "val" not in splits and val_share > 0
    free = [i for i, split in enumerate(splits) if only_train or not split]
    ranked = sorted(free, key=lambda i: (share(images[i].name), images[i].name))
    below = sum(share(images[i].name) < val_share for i in free)
    count = round(len(free) * val_share) if 1 < len(free) < _FEW else below
    for place, i in enumerate(ranked):
        splits[i] = "val" if place < count else "train"
    if val_share > 0 and len(free) > 1:
        if "val" not in splits:
            splits[ranked[0]] = "val"
        elif "train" not in splits:
            splits[ranked[-1]] = "train"
    return splits


def divide(size: tuple[int, int], objects: Objects, val_share: float) -> list[Region]:
    """Return a train and a val region of a lone image, which one straight cut parts.

    `val_share` of the objects have their centre in the val region. Of a cut to the left, right, top or bottom it is the
    one that leaves each class nearest to that share: an airport by the sea would else teach planes and ask for ships.
    """
    counted = objects.boxes[~objects.ignored]
    if len(counted) < 2 or max(size) < 2:
        raise LabelError("one image with less than two objects cannot be divided into train and val; label more")
    labels = objects.labels[~objects.ignored]
    of_class = np.bincount(labels)
    longer = 0 if size[0] >= size[1] else 1
    cuts = []
    for axis in (longer, 1 - longer):
        centres = (counted[:, axis] + counted[:, axis + 2]) / 2
        for val_first in (False, True):
            at = _cut(centres, size[axis], val_share if val_first else 1 - val_share)
            shares = np.bincount(labels[(centres < at) == val_first], minlength=len(of_class)) / np.maximum(of_class, 1)
            cuts.append((float(np.abs(shares - val_share)[of_class > 0].max()), axis, val_first, at))
    _, axis, val_first, at = min(cuts, key=lambda cut: cut[0])
    return _parts(size, axis, at, ("val", "train") if val_first else ("train", "val"))


def _cut(centres: np.ndarray, length: int, before: float) -> int:
    """Return where to cut an axis of `length` px for a share of the centres to lie before; one is on each side."""
    ordered = np.sort(centres)
    last = min(max(round(len(ordered) * before), 1), len(ordered) - 1)
    return min(max(round((ordered[last - 1] + ordered[last]) / 2), 1), length - 1)


def _parts(size: tuple[int, int], axis: int, at: int, splits: tuple[str, str]) -> list[Region]:
    """Return the two regions of an image that is cut at a column (axis 0) or row (axis 1)."""
    width, height = size
    if axis == 0:
        windows = Window(0, 0, height, at), Window(0, at, height, width - at)
    else:
        windows = Window(0, 0, at, width), Window(at, 0, height - at, width)
    return [Region(split, window) for split, window in zip(splits, windows, strict=True)]


def plan_image(
    number: int, name: str, objects: Objects, regions: Sequence[Region], settings: PrepareSettings
) -> tuple[list[PlannedTile], int]:
    """Return the tiles of an image that are kept, and how many are not.

    Tiles are named `NAME__SCALE__LEFT___TOP`, as by DOTA's devkit, with left and top in px of the reduced image.
    """
    tiles, left_out = [], 0
    rules, index = Rules(settings.min_inside, settings.min_size), shapely.STRtree(objects.shapes)
    for region in regions:
        for n in settings.reductions:
            windows = _windows(region.window, n, settings)
            for window, near in zip(windows, _near(index, windows, n), strict=True):
                stem = f"{name}__{1 / n:.4g}__{window.col}___{window.row}"
                found = cut(objects, window, n, rules, near)
                file = f"{region.split}/{stem}{settings.ending}"
                tile = PlannedTile(file, region.split, number, window, n, found)
                if tile.is_empty and share(stem) >= settings.empty_rate:
                    left_out += 1
                else:
                    tiles.append(tile)
    return tiles, left_out


def _windows(region: Window, n: int, settings: PrepareSettings) -> list[Window]:
    """Return the tiles of a region, in px of the image reduced n times; none where that is less than a px."""
    left, top = -(-region.col // n), -(-region.row // n)
    right, bottom = region.right // n, region.bottom // n
    if right <= left or bottom <= top:
        return []
    reduced = Window(top, left, bottom - top, right - left)
    return tile_windows(reduced, (settings.tile,) * 2, (settings.overlap_px,) * 2)


def _near(index: shapely.STRtree, windows: Sequence[Window], n: int) -> list[np.ndarray]:
    """Return for each window the objects, rising, whose boxes meet it: a scene may have 100,000 of them."""
    bounds = np.array([window.bounds for window in windows], float).reshape(-1, 4) * n
    query, found = index.query(shapely.box(*bounds.T))
    order = np.lexsort((found, query))
    return np.split(found[order], np.searchsorted(query[order], np.arange(1, len(windows))))[: len(windows)]


def unseen(objects: Objects, tiles: Sequence[PlannedTile]) -> int:
    """Return how many objects are an object in no tile: those that are longer than the overlap, or too small."""
    seen = np.zeros(len(objects), bool)
    for tile in tiles:
        seen[tile.cut.index[~tile.cut.ignored]] = True
    return int((~seen & ~objects.ignored).sum())


def reasons(tiles: Sequence[PlannedTile]) -> Counter[str]:
    """Return why boxes of tiles are ignored, with their number."""
    return sum((tile.cut.reasons for tile in tiles), Counter())
