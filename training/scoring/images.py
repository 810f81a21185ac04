"""Sets of images to look at, labelled or not."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np

from geodetect.boxes import area, clip
from geodetect.errors import LabelError
from training.data.images import check_images
from training.data.index import Index, read_index
from training.labels.dota import CLASSES, read_dota
from training.labels.doubles import without_doubles
from training.labels.folders import images_by_stem, split_folders

SPLITS = ("train", "test", "val")  # the last that is there is proposed


def layout(root: Path) -> str:
    """Return how a folder is laid out: "coco" (annotations/*.json), "dota" (labelTxt) or "images", without labels.

    Raises:
        LabelError: there is no such folder.
    """
    if not root.is_dir():
        raise LabelError(f"the folder {root} does not exist; check the path")
    if (root / "annotations").is_dir():
        return "coco"
    labelled = any(any(folder.glob("labelTxt*")) for _, folder in split_folders(root))
    return "dota" if labelled else "images"


def open_images(root: Path, split: str, doubles: str = "keep") -> Index:
    """Return the images of a folder with what is labelled on them; without labels it has no classes.

    Args:
        root: in COCO's layout (`annotations/SPLIT.json`, `SPLIT/`), in DOTA's (`images/`, `labelTxt/`, or such folders
            `train/` and `val/`), or just images, in folders below it too.
        split: "train", "val", "test" ... of the first two; a folder in DOTA's layout without such parts is taken whole.
        doubles: "drop" counts an object that DOTA's layout labels twice once; an index has what was prepared.

    Raises:
        LabelError: labels or images are missing or wrong, or there are none.
    """
    kind = layout(root)
    if kind == "coco":
        _check_split(root, split)
        return read_index(root, split)
    return _dota(root, split, doubles) if kind == "dota" else _unlabelled(root)


def _check_split(root: Path, split: str) -> None:
    """Raise LabelError where there are annotations of another split only."""
    named = sorted(path.stem for path in (root / "annotations").glob("*.json"))
    there = [one for one in SPLITS if any(name == one or name.startswith(f"instances_{one}") for name in named)]
    if there and not any(name == split or name.startswith(f"instances_{split}") for name in named):
        hint = ", or prepare it with a --val-share above 0" if split == "val" else ""
        raise LabelError(f"{root} has no split {split} ({split}.json); give --split {there[-1]}{hint}")


def _dota(root: Path, split: str, doubles: str) -> Index:
    labelled = read_dota(root)
    images = tuple(image for image in labelled.images if image.split in ("", split))
    if not images:
        raise LabelError(f"{root} holds no labelled image of the split {split}; give another one")
    labelled = without_doubles(dataclasses.replace(labelled, images=images), doubles)
    images = labelled.images
    names = {name for image in images for name in image.names.tolist()}
    in_order = [name for name in CLASSES if name in names]
    classes = labelled.classes or (*in_order, *sorted(names - set(in_order)))
    files = tuple(os.path.relpath(image.path, root) for image in images)
    sizes = check_images(root, files)
    columns: list[tuple[np.ndarray, ...]] = []
    for image, (width, height) in zip(images, sizes, strict=True):
        boxes = np.concatenate([image.corners.min(axis=1), image.corners.max(axis=1)], axis=1)
        boxes = clip(boxes, np.array([0, 0, width, height], np.float64))
        kept = area(boxes) > 0
        labels = np.array([classes.index(name) for name in image.names[kept].tolist()], np.int32)
        columns.append((boxes[kept].astype(np.float32), labels, image.ignored[kept]))
    boxes, labels, ignored = (np.concatenate(column) for column in zip(*columns, strict=True))
    offsets = np.cumsum([0, *(len(column[1]) for column in columns)])
    return _index(root, files, sizes, classes, offsets, boxes, labels, ignored, notes=labelled.notes)


def _unlabelled(root: Path) -> Index:
    pictures = images_by_stem(root)
    if not pictures:
        raise LabelError(f"{root} holds no image; give a folder of images, or one with annotations/ or labelTxt/")
    files = tuple(str(path.relative_to(root)) for path in pictures.values())
    none = np.zeros((0, 4), np.float32), np.zeros(0, np.int32), np.zeros(0, bool)
    return _index(root, files, check_images(root, files), (), np.zeros(len(files) + 1, np.int64), *none)


def _index(root, files, sizes, classes, offsets, boxes, labels, ignored, notes=()) -> Index:
    """Return an index whose images and classes are numbered from 1."""
    numbers = np.arange(1, len(files) + 1, dtype=np.int64)
    return Index(
        root=root,
        files=files,
        ids=numbers,
        sizes=sizes,
        offsets=np.asarray(offsets, np.int64),
        boxes=boxes,
        labels=labels,
        ignored=ignored,
        classes=tuple(classes),
        category_ids=tuple(range(1, len(classes) + 1)),
        notes=tuple(notes),
    )
