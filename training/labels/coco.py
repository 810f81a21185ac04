"""COCO's labels: one JSON file a split."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from geodetect.errors import LabelError
from geodetect.values import hidden
from training.labels.folders import SPLITS, is_below, plain_name, read_text, split_folders
from training.labels.labelled import REACH, LabelledImage, LabelSet, Rows, box_corners

_MOST_JSON = 1 << 32  # bytes; LVIS, the largest in use, has a quarter


def read_coco(data: Path, labels: Path | None = None) -> LabelSet:
    """Return the labels of a COCO JSON file, or of a folder with `annotations/train.json` and `val.json`.

    COCO's own names (`instances_train2017.json` with `train2017/`) and one JSON file in each of `train/` and `val/` are
    known too. Crowds and annotations with `"ignore": 1` become ignored objects.

    Args:
        data: the folder, or the JSON file; images are looked for beside it.
        labels: the JSON file, where `data` is the folder of its images.

    Raises:
        LabelError: no or broken JSON, a missing image, an annotation without box, of an unknown class or image.
    """
    files = [("", labels)] if labels else [("", data)] if data.is_file() else annotation_files(data)
    images: list[LabelledImage] = []
    classes: tuple[str, ...] | None = None
    for split, path in files:
        content = read_json(path)
        names = _categories(content, path)
        found = tuple(names.values())
        if classes is not None and found != classes:
            raise LabelError(f"{path} has other categories than {files[0][1]}; give both files the same ones")
        classes = found
        images += _images(content, names, path, split, data)
    return LabelSet("coco", tuple(images), classes or ())


def annotation_files(root: Path) -> list[tuple[str, Path]]:
    """Return (split, JSON file) of a data set in `root`; empty where there is none."""
    found = []
    for path in sorted((root / "annotations").glob("*.json")):
        split = next((split for word, split in SPLITS.items() if word in path.stem.lower().split("_")[-1]), None)
        if split is not None and (path.stem.lower() in SPLITS or path.stem.startswith("instances_")):
            found.append((split, path))
    if not found:
        for split, folder in split_folders(root):
            texts = [path for path in sorted(folder.glob("*.json")) if "coco" in path.name or split]
            found += [(split, texts[0])] if len(texts) == 1 else []
    doubled = [path for i, (split, path) in enumerate(found) if split in {s for s, _ in found[:i]}]
    if doubled:
        raise LabelError(f"{root / 'annotations'} has several files of one split, such as {doubled[0].name}; give one")
    return sorted(found)


def read_json(path: Path) -> dict[str, Any]:
    """Return a parsed COCO file; raises LabelError with the line where it is no JSON."""
    try:
        content = json.loads(read_text(path, _MOST_JSON))
    except json.JSONDecodeError as error:
        raise LabelError(f"{path}, line {error.lineno}: no JSON ({error.msg}); write the file again") from error
    except (OSError, ValueError) as error:  # not UTF-8, or a number of thousands of digits
        raise LabelError(f"{path} cannot be read ({error}); check the file") from error
    except RecursionError as error:
        raise LabelError(f"{path} cannot be read (it is nested too deep); check the file") from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise LabelError(f"{path} has no list {key!r}; give a COCO file with images, annotations and categories")
        for i, item in enumerate(content[key]):
            if not isinstance(item, dict) or "id" not in item:
                raise LabelError(f"{path}: entry {i} of {key} has no id; give every entry one")
            if not isinstance(item["id"], int | str | float):
                raise LabelError(f"{path}: entry {i} of {key} has the id {item['id']!r}; give it a number or a text")
    return content


def _categories(content: Mapping[str, Any], path: Path) -> dict[Any, str]:
    """Return class names by category id, in the order of the ids."""
    try:
        names = {item["id"]: str(item["name"]) for item in sorted(content["categories"], key=lambda item: item["id"])}
    except (KeyError, TypeError) as error:
        raise LabelError(f"{path}: a category has no name or an id that is no number; give each both") from error
    if odd := next(filter(hidden, names.values()), None):
        raise LabelError(f"{path}: the category {odd!r} has the character {hidden(odd)!r}; give it a plain name")
    if len(set(names.values())) < len(content["categories"]):
        raise LabelError(f"{path} has a category id or name twice; give each its own")
    return names


def _images(
    content: Mapping[str, Any], names: Mapping[Any, str], path: Path, split: str, data: Path
) -> list[LabelledImage]:
    rows = {item["id"]: Rows() for item in content["images"]}
    if len(rows) < len(content["images"]):
        raise LabelError(f"{path} has an image id twice; give each image its own")
    for item in content["annotations"]:
        where = f"{path}, annotation {item['id']}"
        if not _is_in(rows, item.get("image_id")):
            raise LabelError(f"{where}: image_id is {item.get('image_id')!r}, which no image has")
        if not _is_in(names, item.get("category_id")):
            raise LabelError(f"{where}: category_id is {item.get('category_id')!r}, which no category has")
        ignored = bool(item.get("iscrowd")) or bool(item.get("ignore"))
        line = item["id"] if isinstance(item["id"], int) else 0
        try:
            rows[item["image_id"]].add(_corners(item), names[item["category_id"]], ignored, line)
        except LabelError as error:
            raise LabelError(f"{where}: {error}") from None
    folder, root = _image_folder(content, path, split, data)
    return [_image(item, rows[item["id"]], path, split, folder, root) for item in content["images"]]


def _is_in(known: Mapping[Any, Any], key: Any) -> bool:
    return isinstance(key, int | str | float) and key in known


def _corners(item: Mapping[str, Any]) -> tuple[float, ...]:
    box: Any = item.get("bbox")
    numbers = isinstance(box, list) and len(box) == 4 and all(isinstance(value, int | float) for value in box)
    if not numbers or not all(abs(value) <= REACH for value in box):
        raise LabelError(f"bbox is {_short(box)}, four numbers are needed: x, y, width, height in px")
    x, y, width, height = box
    if width < 0 or height < 0:
        raise LabelError(f"bbox is {box!r}, which has a negative side")
    return box_corners(x, y, x + width, y + height)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _image(item: Mapping[str, Any], rows: Rows, path: Path, split: str, folder: Path, root: Path) -> LabelledImage:
    told = str(item["file_name"])
    image = folder / told
    if not os.path.isfile(image):
        raise LabelError(f"{path}: the image {told[:200]} is missing in {folder}; add it, or remove it there")
    if not is_below(image, root):
        raise LabelError(f"{path}: the image {told} lies outside {root}; put it there, and name it from there")
    width, height, gsd = (item.get(key) for key in ("width", "height", "gsd"))
    size = (width, height) if isinstance(width, int) and isinstance(height, int) else None
    metres = float(gsd) if isinstance(gsd, int | float) and 1e-4 <= gsd <= 1e5 else None
    name = plain_name(str(PurePosixPath(told.replace("\\", "/")).with_suffix(""))).replace("/", "_")
    return rows.image(name, image, path, split, size=size, gsd=metres)


def _image_folder(content: Mapping[str, Any], path: Path, split: str, data: Path) -> tuple[Path, Path]:
    """Return the folder that holds the images of a JSON file, and that of the data set, which none may lie outside.

    The former is the likely one that has the first of them.
    """
    for i, item in enumerate(content["images"]):
        if not item.get("file_name"):
            raise LabelError(f"{path}: entry {i} of images has no file_name; give every image one")
    roots = [path.parent, path.parent.parent] if data.is_file() else [data]
    word = path.stem.split("_")[-1]  # instances_train2017 -> train2017
    inner = [word, f"images/{word}", *([split, f"images/{split}"] if split else []), "images", "."]
    folders = [root / folder for root in roots for folder in inner]
    first = str(content["images"][0]["file_name"]) if content["images"] else ""
    found = next(
        (folder for folder in folders if os.path.isfile(folder / first)), data if data.is_dir() else path.parent
    )
    return found, roots[-1]
