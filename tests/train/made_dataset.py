"""Small datasets in the model zoo's layout, written for a test."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("plane", "ship")


def write_dataset(root: Path, count: int = 6, side: int = 80, split: str = "train", ending: str = "png") -> Path:
    """Write `count` noisy images with i % 3 bright boxes each, alternating classes; returns the folder."""
    rng = np.random.default_rng(count)
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / split).mkdir()
    images, annotations = [], []
    for i in range(count):
        pixels = rng.integers(40, 90, (side, side, 3), np.uint8)
        images.append({"id": 10 + i, "file_name": f"{i}.{ending}", "width": side, "height": side})
        for k in range(i % 3):
            x, y, width, height = 5 + 30 * k, 12 + 4 * k, 20, 14
            pixels[y : y + height, x : x + width] = 60 * k + 130
            annotations.append(annotation(len(annotations), 10 + i, k + 1, [x, y, width, height]))
        Image.fromarray(pixels).save(root / split / f"{i}.{ending}")
    write_labels(root, images, annotations, split=split)
    return root


def annotation(number: int, image: int, category: int, box: list, **more) -> dict:
    return {"id": number, "image_id": image, "category_id": category, "bbox": box, "iscrowd": 0} | more


def write_labels(root: Path, images: list, annotations: list, names=CLASSES, split: str = "train") -> None:
    categories = [{"id": i, "name": name} for i, name in enumerate(names, 1)]
    coco = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations" / f"{split}.json").write_text(json.dumps(coco))


def edit_labels(root: Path, change, split: str = "train") -> None:
    """Change the parsed labels by a function and write them back."""
    path = root / "annotations" / f"{split}.json"
    coco = json.loads(path.read_text())
    change(coco)
    path.write_text(json.dumps(coco))
