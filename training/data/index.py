"""A split of a dataset as columns, read from its COCO JSON and checked before any work is done."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from geodetect.boxes import area, clip
from geodetect.errors import LabelError
from training.data.images import check_images
from training.labels.coco import read_json

_YEARS = ("2017", "2014")  # of COCO's own file names


@dataclass(frozen=True, eq=False)
class Index:
    """The images of one split and their objects; those of image i are rows offsets[i] to offsets[i + 1].

    Attributes:
        root: the dataset's folder.
        files: (N) path of each image below `root`.
        ids: (N,) int64, image ids of the COCO file.
        sizes: (N, 2) int64, width and height, px.
        offsets: (N + 1,) int64.
        boxes: (M, 4) float32 x1, y1, x2, y2, px of the image, half-open, inside the image.
        labels: (M,) int32, index into `classes`.
        ignored: (M,) bool, neither object nor background: cut, difficult, crowd.
        classes: names.
        category_ids: the COCO file's number of each class.
        notes: sentences that the user should know.
        areas: (M,) float64, px², of the objects' outlines, by which COCO calls them small, medium or large; None where
            the file does not tell, and the boxes' areas stand for them.
    """

    root: Path
    files: tuple[str, ...]
    ids: np.ndarray
    sizes: np.ndarray
    offsets: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    ignored: np.ndarray
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    notes: tuple[str, ...] = ()
    areas: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.files)

    def __repr__(self) -> str:
        """Name the counts, not the arrays."""
        return f"<Index of {self.root}: {len(self)} images, {len(self.boxes)} boxes, {len(self.classes)} classes>"

    def path(self, i: int) -> Path:
        """Return the file of image i."""
        return self.root / self.files[i]

    def objects(self, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return boxes (n, 4), labels (n,) and ignored (n,) of image i."""
        rows = slice(self.offsets[i], self.offsets[i + 1])
        return self.boxes[rows], self.labels[rows], self.ignored[rows]

    def select(self, keep: np.ndarray) -> Index:
        """Return the index of the images where `keep` (N,) bool is true."""
        counts = np.diff(self.offsets)
        rows = np.repeat(keep, counts)
        return replace(
            self,
            files=tuple(name for name, kept in zip(self.files, keep, strict=True) if kept),
            ids=self.ids[keep],
            sizes=self.sizes[keep],
            offsets=_offsets(counts[keep]),
            boxes=self.boxes[rows],
            labels=self.labels[rows],
            ignored=self.ignored[rows],
            areas=None if self.areas is None else self.areas[rows],
        )


def read_index(
    data_dir: str | Path, split: str, classes: Sequence[str] | None = None, *, keep_empty: bool = True
) -> Index:
    """Return one split of a dataset folder; every image is opened, none is decoded.

    The labels are `annotations/SPLIT.json` with the images in `SPLIT/`, or COCO's own
    `annotations/instances_SPLIT2017.json` with `SPLIT2017/` (or 2014). Boxes are cut at the image's border; those
    without area, or wholly outside, are dropped; both are counted in `notes`.

    Args:
        data_dir: the dataset's folder.
        split: "train" or "val", or any other name that has files.
        classes: names in the order of the labels; None: the file's own, by their number.
        keep_empty: keep images without an object; False drops them, as the model zoo does in training.

    Raises:
        LabelError: a file is missing, is no COCO JSON or names what is not there; an image is missing, cut off, of
            another size than the labels say or, to train on, of more than 8 bits; a class is not among `classes`; the
            split holds nothing.
    """
    root = Path(data_dir)
    source, folder = _layout(root, split)
    coco = read_json(source)
    images, annotations = coco["images"], coco["annotations"]
    if not images:
        raise LabelError(f"{source} lists no image; prepare the dataset anew, or give another split")
    names, numbers, label_of = _classes(coco, annotations, classes, source)
    files = tuple(_file(root, folder, _field(image, "file_name", str, source)) for image in images)
    ids = np.array([_field(image, "id", int, source) for image in images], np.int64)
    if len(np.unique(ids)) < len(ids):
        raise LabelError(f"{source} has image id {_twice(ids)} twice; give each image an id of its own")
    sizes = check_images(root, files, to_train=split == "train")
    _check_sizes(images, sizes, files, source)
    columns, notes = _objects(annotations, ids, sizes, label_of, source)
    offsets, boxes, labels, ignored, areas = columns
    index = Index(root, files, ids, sizes, offsets, boxes, labels, ignored, names, numbers, notes, areas)
    learnable = ~index.ignored & _is_valid(index.boxes)
    if split == "train" and not learnable.any():
        raise LabelError(f"{source} holds no object to learn from; label some, or check the class filter")
    if not keep_empty:
        index = index.select(np.diff(_offsets(learnable)[index.offsets]) > 0)
        note = f"{len(images) - len(index)} of {len(images)} images have no object and are left out"
        index = replace(index, notes=(*notes, note)) if len(index) < len(images) else index
    return index


def _layout(root: Path, split: str) -> tuple[Path, str]:
    """Return the label file and the name of the images' folder."""
    if not root.is_dir():
        raise LabelError(f"the dataset folder {root} does not exist; check the path, or make one: geodetect prepare")
    pairs = [(f"{split}.json", split), *((f"instances_{split}{year}.json", f"{split}{year}") for year in _YEARS)]
    for name, folder in pairs:
        if (root / "annotations" / name).is_file():
            return root / "annotations" / name, folder
    tried = " or ".join(name for name, _ in pairs)
    raise LabelError(f"{root / 'annotations'} holds no {tried}; prepare the dataset with geodetect prepare")


def _field(record: Mapping[str, Any], key: str, kind: type, source: Path) -> Any:
    value = record.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise LabelError(f"{source}: {key} is {value!r} in {_short(record)}; {kind.__name__} is needed")
    return value


def _short(record: Mapping[str, Any]) -> str:
    text = json.dumps({key: value for key, value in record.items() if key != "segmentation"})
    return text if len(text) < 120 else text[:117] + "..."


def _classes(
    coco: Mapping[str, Any], annotations: list[dict[str, Any]], classes: Sequence[str] | None, source: Path
) -> tuple[tuple[str, ...], tuple[int, ...], dict[int, int]]:
    """Return class names, their category ids, and the label of each category id that is used."""
    found: dict[int, str] = {}
    for category in coco["categories"]:
        number = _field(category, "id", int, source)
        if number in found:
            raise LabelError(f"{source} has category id {number} twice; give each class a number of its own")
        found[number] = _field(category, "name", str, source)
    numbers = {name: number for number, name in sorted(found.items(), reverse=True)}
    names = tuple(classes) if classes is not None else tuple(found[number] for number in sorted(found))
    if not names or len(set(names)) < len(names):
        raise LabelError(f"{source} names no class, or one twice; each class needs a name of its own")
    used = {_field(annotation, "category_id", int, source) for annotation in annotations}
    for number in sorted(used):
        if number not in found:
            raise LabelError(f"{source}: category_id {number} is used but not listed in categories; add it there")
        if found[number] not in names:
            near = difflib.get_close_matches(found[number], names, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"the classes are {', '.join(names)}"
            raise LabelError(f"{source} has objects of the class {found[number]!r}, which the model does not; {hint}")
    free = iter(range(max(found, default=0) + 1, max(found, default=0) + 1 + len(names)))
    label_of = {number: names.index(name) for number, name in found.items() if name in names}
    return names, tuple(numbers[name] if name in numbers else next(free) for name in names), label_of


def _file(root: Path, folder: str, name: str) -> str:
    """Return an image's path below the root: its name stands for a file in the split's folder, or a path."""
    inside = f"{folder}/{name}"
    return name if not (root / inside).is_file() and (root / name).is_file() else inside


def _check_sizes(images: list[dict[str, Any]], sizes: np.ndarray, files: Sequence[str], source: Path) -> None:
    for image, (width, height), name in zip(images, sizes, files, strict=True):
        told = image.get("width", width), image.get("height", height)
        if told != (width, height):
            raise LabelError(
                f"{name} is {width} x {height} px, but {source} says {told[0]} x {told[1]}; prepare the dataset anew"
            )


def _objects(
    annotations: list[dict[str, Any]], ids: np.ndarray, sizes: np.ndarray, label_of: Mapping[int, int], source: Path
) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """Return offsets, boxes, labels, ignored and areas, sorted by image, else in the file's order; and notes."""
    place = {number: i for i, number in enumerate(ids.tolist())}
    owner = np.array([place.get(_field(a, "image_id", int, source), -1) for a in annotations], np.int64)
    if (owner < 0).any():
        wrong = annotations[int(np.argmin(owner))]
        raise LabelError(f"{source}: {_short(wrong)} belongs to no image that is listed; add the image, or remove it")
    told = _corners(annotations, source)
    labels = np.array([label_of[a["category_id"]] for a in annotations], np.int32)
    ignored = np.array([bool(a.get("iscrowd")) or bool(a.get("ignore")) for a in annotations], bool)
    boxes = clip(told, np.concatenate([np.zeros_like(sizes), sizes], axis=1)[owner])
    has_area = area(boxes) > 0
    keep = np.flatnonzero(has_area)
    keep = keep[np.argsort(owner[keep], kind="stable")]
    columns = _offsets(np.bincount(owner[keep], minlength=len(ids))), boxes[keep].astype(np.float32)
    cut = int((has_area & (np.abs(boxes - told) >= 1).any(axis=1)).sum())  # less is rounding
    lost = len(told) - len(keep)
    notes = (
        f"{cut} of {len(told)} boxes reach over their image's border and are cut there" if cut else "",
        f"{lost} of {len(told)} boxes have no area inside their image and are left out" if lost else "",
    )
    areas = _areas(annotations)
    rest = labels[keep], ignored[keep], None if areas is None else areas[keep]
    return (*columns, *rest), tuple(note for note in notes if note)


def _areas(annotations: list[dict[str, Any]]) -> np.ndarray | None:
    """Return the areas that the file tells (M,), None where it tells not all of them."""
    told = [annotation.get("area") for annotation in annotations]
    if not all(isinstance(value, int | float) and value >= 0 for value in told):
        return None
    return np.array(told, np.float64)


def _corners(annotations: list[dict[str, Any]], source: Path) -> np.ndarray:
    """Return x1, y1, x2, y2 (M, 4) float64 as the file has them."""
    if not annotations:
        return np.zeros((0, 4))
    try:
        boxes = np.array([a["bbox"] for a in annotations], np.float64).reshape(len(annotations), -1)
        good = boxes.shape[1] == 4 and bool(np.isfinite(boxes).all())
    except (KeyError, TypeError, ValueError):
        good = False
    if not good:
        wrong = next(a for a in annotations if not _is_box(a.get("bbox")))
        raise LabelError(f"{source}: bbox is {wrong.get('bbox')!r} in {_short(wrong)}; four numbers are needed")
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def _is_box(value: Any) -> bool:
    try:
        return np.shape(value) == (4,) and bool(np.isfinite(np.asarray(value, np.float64)).all())
    except (TypeError, ValueError):
        return False


def _is_valid(boxes: np.ndarray) -> np.ndarray:
    """Return which boxes are longer than 1 px on both sides, the least that an object may be in training."""
    return (boxes[:, 2] - boxes[:, 0] > 1) & (boxes[:, 3] - boxes[:, 1] > 1)


def _offsets(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _twice(ids: np.ndarray) -> int:
    values, counts = np.unique(ids, return_counts=True)
    return int(values[counts > 1][0])
