"""The data set's annotations: one COCO JSON file a split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geodetect.files import replacing
from training.prepare.plan import PlannedTile

SPLITS = ("train", "val")


def annotations_path(folder: Path, split: str) -> Path:
    """Return where the annotations of a split are."""
    return folder / "annotations" / f"{split}.json"


def coco(
    tiles: Sequence[PlannedTile], classes: Sequence[str], names: Sequence[str], gsds: Sequence[float | None]
) -> dict[str, Any]:
    """Return the tiles of one split as COCO has it; ids count from 1, boxes are rounded to 0.01 px.

    Ignored boxes are annotations with `"iscrowd": 1` and `"ignore": 1`.

    Args:
        tiles: of the split, in the order that they get.
        classes: in the order of the category ids.
        names: of the images that the tiles are cut from.
        gsds: of these images, m/px or None.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, tile in enumerate(tiles, 1):
        entry: dict[str, Any] = {
            "id": image_id,
            "file_name": tile.file.partition("/")[2],
            "width": tile.window.width,
            "height": tile.window.height,
            "source": names[tile.image],
        }
        gsd = gsds[tile.image]
        images.append(entry | ({"gsd": round(gsd * tile.reduction, 4)} if gsd else {}))
        columns = tile.cut.labels.tolist(), tile.cut.ignored.tolist(), np.round(tile.cut.boxes, 2).tolist()
        for label, ignored, (x1, y1, x2, y2) in zip(*columns, strict=True):
            width, height = round(x2 - x1, 2), round(y2 - y1, 2)
            annotation: dict[str, Any] = {
                "id": len(annotations) + 1,
                "image_id": image_id,
                "category_id": label + 1,
                "bbox": [x1, y1, width, height],
                "area": round(width * height, 2),
                "iscrowd": int(ignored),
            }
            annotations.append(annotation | ({"ignore": 1} if ignored else {}))
    categories = [{"id": i, "name": name} for i, name in enumerate(classes, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def write_json(path: Path, content: Any, indent: int | None = None) -> None:
    """Write a JSON file, whole or not at all; raises OutputError."""
    path.parent.mkdir(exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")
