"""Detections as the files that evaluation servers take."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from geodetect.detections import Detections
from geodetect.files import replacing


def write_coco(path: Path, found: Detections, ids: np.ndarray, category_ids: Sequence[int]) -> None:
    """Write COCO's result file: image_id, category_id, bbox (x, y, width, height) and score of each detection.

    Args:
        path: of the JSON file.
        found: detections in image px, `tiles` the number of the image.
        ids: (N,) the images' ids in the annotation file.
        category_ids: of each label.
    """
    boxes = np.concatenate([found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]], axis=1).round(5)
    images, categories = np.asarray(ids)[found.tiles], np.asarray(category_ids)[found.labels]
    rows = zip(images.tolist(), categories.tolist(), boxes.tolist(), _decimal(found.scores), strict=True)
    keys = "image_id", "category_id", "bbox", "score"
    text = json.dumps([dict(zip(keys, row, strict=True)) for row in rows])
    with replacing(path) as temporary:
        temporary.write_text(text, "ascii")


def write_dota(path: Path, found: Detections, images: Sequence[str], classes: Sequence[str]) -> None:
    """Write DOTA's result files for horizontal boxes (Task 2), `Task2_<class>.txt`, zipped as its server wants them.

    A line is `<image> <score> <xmin> <ymin> <xmax> <ymax>`. A class without detections has an empty file.

    Args:
        path: of the .zip file.
        found: detections in image px, `tiles` the number of the image.
        images: their names, without ending.
        classes: names of the labels.
    """
    lines: list[list[str]] = [[] for _ in classes]
    columns = found.tiles.tolist(), found.labels.tolist(), _decimal(found.scores), found.boxes.tolist()
    for image, label, score, box in zip(*columns, strict=True):
        corners = " ".join(f"{value:.2f}" for value in box)
        lines[label].append(f"{images[image]} {score:.7f} {corners}\n")
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, rows in zip(classes, lines, strict=True):
            entry = zipfile.ZipInfo(f"Task2_{name.replace(' ', '-')}.txt")  # of no date: equal runs, equal files
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, "".join(rows))


def _decimal(scores: np.ndarray) -> list[float]:
    """Return float32 scores without the digits that they do not have."""
    return [float(str(score)) for score in scores.astype(np.float32)]
