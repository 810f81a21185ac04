"""Reading labels: DOTA text, COCO JSON, YOLO text, vector layers; all become one `LabelSet`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from geodetect.errors import LabelError
from training.labels import coco, dota, layer, yolo
from training.labels.doubles import DOUBLES, without_doubles
from training.labels.folders import read_lines, split_folders, texts_by_stem
from training.labels.labelled import LabelledImage, LabelSet
from training.labels.layer import LayerOptions

__all__ = ["DOUBLES", "KINDS", "LabelSet", "LabelledImage", "LayerOptions", "detect_kind", "read_labels"]

KINDS = ("dota", "coco", "yolo", "layer")


def read_labels(
    data: Sequence[str | Path],
    labels: str | Path | None = None,
    kind: str = "auto",
    classes: Sequence[str] = (),
    options: LayerOptions | None = None,
    doubles: str = "keep",
) -> LabelSet:
    """Return the labelled images of a data set; reads labels only, and of rasters under a layer the header.

    Args:
        data: a folder or JSON file; for a layer the scenes that it lies over.
        labels: a label file or folder, where it does not lie in `data`.
        kind: one of `KINDS`, or "auto" to find out.
        classes: names of YOLO's class numbers, where the data does not tell them.
        options: of a layer.
        doubles: "drop" counts an object labelled twice once; either way a note tells of such.

    Raises:
        LabelError: naming file, line and reason.
        InputError: a layer or scene cannot be read.
    """
    paths = [Path(path) for path in data]
    told = Path(labels) if labels is not None else None
    for path in (*paths, *([told] if told else [])):
        if not path.exists():
            raise LabelError(f"{path} does not exist; check the path")
    kind = detect_kind(paths, told) if kind == "auto" else kind
    if kind == "layer":
        if told is None:
            raise LabelError("scenes are given without labels; name the layer with --labels")
        found = layer.read_layer(told, paths, options or LayerOptions())
    elif len(paths) != 1:
        raise LabelError(f"{len(paths)} data sets are given; give one, or scenes with a layer in --labels")
    elif kind == "coco":
        found = coco.read_coco(paths[0], told)
    elif kind == "yolo":
        found = yolo.read_yolo(paths[0], told, classes)
    else:
        found = dota.read_dota(paths[0], told)
    _check(found, paths)
    return without_doubles(found, doubles)


def detect_kind(data: Sequence[Path], labels: Path | None = None) -> str:
    """Return which kind of labels a data set has.

    Raises:
        LabelError: it has none that is known.
    """
    if labels is not None:
        if labels.is_dir():
            return _text_kind(labels)
        return "coco" if labels.suffix.lower() == ".json" and not _is_geojson(labels) else "layer"
    root = data[0]
    if root.is_file():
        if root.suffix.lower() == ".json":
            return "coco"
        if root.suffix.lower() in (".yaml", ".yml"):
            return "yolo"
        raise LabelError(f"{root} comes without labels; name their file with --labels")
    if any(path.is_dir() for _, folder in split_folders(root) for path in folder.glob("labelTxt*")):
        return "dota"
    if yolo.has_yolo_settings(root):
        return "yolo"
    if coco.annotation_files(root):
        return "coco"
    for folder in (root / "labels", *(folder / "labels" for _, folder in split_folders(root)), root):
        if folder.is_dir() and texts_by_stem(folder):
            return _text_kind(folder)
    raise LabelError(
        f"{root} has no labels that are known: no labelTxt/, annotations/train.json or labels/; name them with --labels"
    )


def _text_kind(folder: Path) -> str:
    """Return whether the first object of a folder's text files is DOTA's or YOLO's."""
    for path in texts_by_stem(folder).values():
        for line in read_lines(path):
            fields = line.split()
            if line.lower().startswith(("imagesource:", "gsd:")):
                return "dota"
            if fields:
                named = len(fields) in (9, 10) and dota.number(fields[8]) is None
                return "dota" if named or not fields[0].isdecimal() else "yolo"
    raise LabelError(f"{folder} has no label in any text file; give a folder of DOTA's or YOLO's labels")


def _is_geojson(path: Path) -> bool:
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return "FeatureCollection" in file.read(4096)
    except OSError as error:
        raise LabelError(f"{path} cannot be read ({error.strerror}); check the file") from error


def _check(found: LabelSet, paths: Sequence[Path]) -> None:
    if not found.images:
        raise LabelError(f"{paths[0]} has no labelled image; add images with labels")
    # Windows and macOS take names of other case for the same file
    counts = Counter((image.split, image.name.casefold()) for image in found.images)
    (split, name), most = counts.most_common(1)[0]
    if most > 1:
        raise LabelError(f"{most} images {'of ' + split + ' ' if split else ''}are called {name}; rename all but one")
