"""DOTA's labels: one text file an image, one object a line."""

from __future__ import annotations

import math
from pathlib import Path

from geodetect.errors import LabelError
from training.labels.folders import images_by_stem, listed, read_lines, split_folders, texts_by_stem
from training.labels.labelled import LabelledImage, LabelSet, Rows

# of DOTA 1.0 (15), 1.5 (16) and 2.0 (18), in the order of their evaluation
CLASSES = (
    "plane", "baseball-diamond", "bridge", "ground-track-field", "small-vehicle", "large-vehicle", "ship",
    "tennis-court", "basketball-court", "storage-tank", "soccer-ball-field", "roundabout", "harbor", "swimming-pool",
    "helicopter", "container-crane", "airport", "helipad",
)  # fmt: skip
_HEADERS = ("imagesource:", "gsd:")
_FLAGS = {"0": False, "1": True, "2": True}  # 2: the devkit's splitter cut too much away


def read_dota(root: Path, labels: Path | None = None) -> LabelSet:
    """Return the labels of a folder with `images/` and `labelTxt/`, or with such folders `train/` and `val/`.

    Images without a label file are left out, since nobody says that they are empty. A file `classes.txt` in the
    folder, one name a line, makes every other class an error.

    Args:
        root: the folder.
        labels: the folder of label files, where it has another name or place.

    Raises:
        LabelError: a line that is neither header nor object, a class that is not listed, no label, no image of a label.
    """
    listing = root / "classes.txt"
    classes = tuple(line.strip() for line in read_lines(listing) if line.strip()) if listing.is_file() else ()
    images: list[LabelledImage] = []
    unlabelled: list[str] = []
    for split, folder in split_folders(root) if labels is None else [("", root)]:
        pictures = images_by_stem(folder / "images" if (folder / "images").is_dir() else folder)
        texts = texts_by_stem(labels or label_folder(folder))
        orphans = [str(path) for stem, path in texts.items() if stem not in pictures]
        if orphans:
            raise LabelError(f"no image for the labels {listed(orphans)} in {folder}; add it, or remove the labels")
        unlabelled += [path.name for stem, path in pictures.items() if stem not in texts]
        for stem, text in sorted(texts.items()):
            images.append(read_file(text, pictures[stem], stem, split, classes))
    several = len(unlabelled) != 1
    note = f"{len(unlabelled):,} image{'s have' if several else ' has'} no label file and {'are' if several else 'is'}"
    notes = (f"{note} left out: {listed(unlabelled)}",) if unlabelled else ()
    return LabelSet("dota", tuple(images), classes, notes)


def label_folder(folder: Path) -> Path:
    """Return the folder of label files in `folder`: labelTxt, the only one that begins so (labelTxt-v1.5), or labels.

    Raises:
        LabelError: there is none, or several.
    """
    found = sorted(path for path in (*folder.glob("labelTxt*"), folder / "labels") if path.is_dir())
    found = [path for path in found if path.name != "labels"] or found
    exact = [path for path in found if path.name == "labelTxt"]
    if not found:
        raise LabelError(f"{folder} has no folder labelTxt; name the folder of its label files with --labels")
    if len(found) > 1 and not exact:
        names = ", ".join(path.name for path in found)
        raise LabelError(f"{folder} has several folders of labels ({names}); choose one with --labels")
    return (exact or found)[0]


def read_file(path: Path, image: Path, name: str, split: str = "", classes: tuple[str, ...] = ()) -> LabelledImage:
    """Return the objects of one label file.

    Lines are `x1 y1 x2 y2 x3 y3 x4 y4 class [difficult]`, or headers `imagesource:`, `gsd:`, or blank.

    Raises:
        LabelError: any other line, by file, line and reason.
    """
    rows, gsd = Rows(), None
    for number, line in enumerate(read_lines(path), 1):
        text = line.strip()
        if text.lower().startswith(_HEADERS):
            gsd = _gsd(text) or gsd
        elif text:
            try:
                corners, label, difficult = parse_object(text)
                if classes and label not in classes:
                    raise LabelError(f"the class {label!r} is not in classes.txt, which has {listed(list(classes), 8)}")
                rows.add(corners, label, difficult, number)
            except LabelError as error:
                raise LabelError(f"{path}, line {number}: {error}") from None
    return rows.image(name, image, path, split, gsd=gsd)


def parse_object(text: str) -> tuple[list[float], str, bool]:
    """Return eight coordinates in px, the class and whether it is difficult; raises LabelError with the reason."""
    fields = text.split()
    if len(fields) not in (9, 10):
        raise LabelError(
            f"{len(fields)} field{'s' if len(fields) != 1 else ''} where an object has 9 or 10: eight coordinates, "
            "class, difficult flag"
        )
    corners = []
    for i, word in enumerate(fields[:8], 1):
        value = number(word)
        if value is None:
            raise LabelError(f"coordinate {i} is {word!r}, a number is needed")
        corners.append(value)
    if number(fields[8]) is not None:
        raise LabelError(f"the class is {fields[8]!r}, a name is needed after the eight coordinates")
    flag = fields[9] if len(fields) == 10 else "0"
    if flag not in _FLAGS:
        raise LabelError(f"the difficult flag is {flag!r}, 0 or 1 is needed")
    return corners, fields[8], _FLAGS[flag]


def number(word: str) -> float | None:
    """Return a finite number, None for any other text."""
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _gsd(text: str) -> float | None:
    """Return the ground sample distance of a header line, None where it tells none (`gsd:null`)."""
    value = number(text.partition(":")[2].strip()) if text.lower().startswith("gsd:") else None
    return value if value and value > 0 else None
