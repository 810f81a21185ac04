"""YOLO's labels: one text file an image, one object a line, in fractions of the image's sides."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from geodetect.errors import LabelError
from geodetect.yamlfile import read_yaml
from training.labels.dota import number
from training.labels.folders import (
    IMAGE_ENDINGS,
    images_by_stem,
    is_below,
    listed,
    read_lines,
    split_folders,
    texts_by_stem,
)
from training.labels.labelled import LabelledImage, LabelSet, Rows, box_corners

_SETTINGS = ("data.yaml", "data.yml", "dataset.yaml")
_LISTS = ("classes.txt", "obj.names", "_darknet.labels")
_LIST_STEMS = {"classes", "_darknet"}
_DIGITS = 9  # of a class number
_REACH = (-0.5, 1.5)  # a fraction outside is no fraction but px


def read_yolo(root: Path, labels: Path | None = None, classes: Sequence[str] = ()) -> LabelSet:
    """Return the labels of a folder with `images/` and `labels/`, with `data.yaml`, or with label files by the images.

    Lines are `class cx cy w h`, or `class x1 y1 x2 y2 x3 y3 ...` for polygons. An image without label file has no
    object: that is how YOLO marks background.

    Args:
        root: the folder, or its data.yaml.
        labels: the folder of label files, where it has another name or place.
        classes: names by class number, where no data.yaml or classes.txt tells them.

    Raises:
        LabelError: a line that is no object, a class number without name, labels without image.
    """
    settings = _settings(root)
    root = root.parent if root.is_file() else root
    names = _names(root, settings, labels) or tuple(classes)
    if not names:
        raise LabelError(
            f"{root} does not say what its classes are called; add classes.txt, or give --classes in order"
        )
    images: list[LabelledImage] = []
    folders, notes = _once(_folders(root, settings) if labels is None else [("", root, labels)])
    for split, pictures, texts in folders:
        by_stem = images_by_stem(pictures)
        found = texts_by_stem(texts) if texts.is_dir() else {}
        found = {stem: path for stem, path in found.items() if stem not in _LIST_STEMS}
        orphans = [str(path) for stem, path in found.items() if stem not in by_stem]
        if orphans:
            raise LabelError(f"no image for the labels {listed(orphans)} in {pictures}; add it, or remove the labels")
        images += [read_file(found.get(stem), path, stem, split, names) for stem, path in sorted(by_stem.items())]
    away = [str(pictures) for _, pictures, _ in folders if not is_below(pictures, root)]
    notes += (
        (f"images are read from {listed(away)}, outside of {root}, as {settings[0].name} says",)
        if away and settings
        else ()
    )
    return LabelSet("yolo", tuple(images), names, notes)


def has_yolo_settings(root: Path) -> bool:
    """Return whether a folder holds a file that says what YOLO's classes are called."""
    return any((root / name).is_file() for name in (*_SETTINGS, *_LISTS))


def read_file(path: Path | None, image: Path, name: str, split: str, classes: Sequence[str]) -> LabelledImage:
    """Return the objects of one label file, none for None; raises LabelError by file, line and reason."""
    rows = Rows()
    for line, text in enumerate(read_lines(path) if path else [], 1):
        if text.strip():
            try:
                corners, label = parse_object(text, classes)
                rows.add(corners, label, False, line)
            except LabelError as error:
                raise LabelError(f"{path}, line {line}: {error}") from None
    return rows.image(name, image, path or image, split, relative=True)


def parse_object(text: str, classes: Sequence[str]) -> tuple[Sequence[float], str]:
    """Return eight coordinates as fractions and the class; raises LabelError with the reason."""
    fields = text.split()
    if len(fields) != 5 and (len(fields) < 7 or len(fields) % 2 == 0):
        raise LabelError(
            f"{len(fields)} field{'s' if len(fields) != 1 else ''} where a box has 5 (class cx cy w h) and a polygon "
            "has pairs after its class"
        )
    if not fields[0].isdecimal() or len(fields[0]) > _DIGITS or int(fields[0]) >= len(classes):
        raise LabelError(f"the class is {fields[0]!r}, a number from 0 to {len(classes) - 1} is needed")
    values = []
    for i, word in enumerate(fields[1:], 1):
        value = number(word)
        if value is None or not _REACH[0] <= value <= _REACH[1]:
            raise LabelError(f"number {i} after the class is {word!r}, a fraction of the image's side is needed")
        values.append(value)
    label = classes[int(fields[0])]
    if len(values) == 4:
        cx, cy, width, height = values
        if width < 0 or height < 0:
            raise LabelError(f"the box has a negative side: {' '.join(fields[1:])}")
        return box_corners(cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2), label
    if len(values) == 8:
        return values, label
    return box_corners(min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])), label


def _settings(root: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return the data.yaml in or at `root` and what it holds."""
    for path in [root] if root.is_file() else [root / name for name in _SETTINGS]:
        if path.is_file():
            content = read_yaml(path, LabelError)
            if not isinstance(content, dict):
                raise LabelError(f"{path} is no mapping; give names, train and val")
            return path, content
    return None


def _names(root: Path, settings: tuple[Path, dict[str, Any]] | None, labels: Path | None) -> tuple[str, ...]:
    if settings is not None and "names" in settings[1]:
        path, names = settings[0], settings[1]["names"]
        if isinstance(names, dict):
            if set(names) != set(range(len(names))):
                raise LabelError(f"{path}: names has the keys {sorted(map(str, names))}; number them from 0 on")
            names = [names[i] for i in range(len(names))]
        if not isinstance(names, list) or len({str(name) for name in names}) < len(names):
            raise LabelError(f"{path}: names is no list of different names")
        return tuple(str(name) for name in names)
    folders = [root, root / "labels", *([labels] if labels else [])]
    lists = [folder / name for folder in folders for name in _LISTS if (folder / name).is_file()]
    return tuple(line.strip() for line in read_lines(lists[0]) if line.strip()) if lists else ()


def _folders(root: Path, settings: tuple[Path, dict[str, Any]] | None) -> list[tuple[str, Path, Path]]:
    """Return (split, folder of images, folder of labels)."""
    if settings is not None and settings[1].get("train"):
        return _told_folders(*settings)
    if (root / "images").is_dir():
        inner = split_folders(root / "images")
        return [(split, images, _labels_of(images)) for split, images in inner]
    folders = [(split, folder / "images" if (folder / "images").is_dir() else folder) for split, folder in
               split_folders(root)]  # fmt: skip
    return [(split, images, _labels_of(images)) for split, images in folders]


def _told_folders(path: Path, content: dict[str, Any]) -> list[tuple[str, Path, Path]]:
    bases = [path.parent / str(content.get("path") or "."), path.parent]
    found = []
    for split in ("train", "val"):
        told = content.get(split)
        for folder in told if isinstance(told, list) else [told] if told else []:
            text = str(folder)
            # exporters write ../train/images for a folder that lies beside the file
            places = [base / part for base in bases for part in (text, text.removeprefix("../"))]
            images = next((place for place in places if os.path.isdir(place)), None)
            if images is None:
                raise LabelError(f"{path}: {split} is {text!r}, which is no folder of images here; correct it")
            found.append((split, images, _labels_of(images)))
    return found


def _once(folders: Sequence[tuple[str, Path, Path]]) -> tuple[list[tuple[str, Path, Path]], tuple[str, ...]]:
    """Return the folders without those of val that are train's as well, and a note on them."""
    train = {images.resolve() for split, images, _ in folders if split == "train"}
    double = [images for split, images, _ in folders if split == "val" and images.resolve() in train]
    kept = [row for row in folders if row[0] != "val" or row[1].resolve() not in train]
    if not double:
        return kept, ()
    rest = "" if any(split == "val" for split, *_ in kept) else "; --val-share of its images go to val"
    return kept, (f"{listed([str(path) for path in double])} is given for both train and val, and taken once{rest}",)


def _labels_of(images: Path) -> Path:
    """Return the folder of labels: the last `images` of the path becomes `labels`, or they lie beside the images."""
    parts = list(images.parts)
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        labels = Path(*parts[:last], "labels", *parts[last + 1 :])
        if labels.is_dir() or not _has_texts(images):
            return labels
    return images


def _has_texts(folder: Path) -> bool:
    names = {path.stem for path in folder.iterdir() if path.suffix.lower() in IMAGE_ENDINGS}
    return any(path.stem in names for path in folder.glob("*.txt"))
