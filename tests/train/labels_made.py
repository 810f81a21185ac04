"""Small labelled data sets for the tests of labels and of `prepare`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def picture(path: Path, width: int = 200, height: int = 150, seed: int = 0) -> Path:
    """Write an image of noise, so that every crop of it is told from every other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def line(x1, y1, x2, y2, name="ship", flag=0) -> str:
    return f"{x1} {y1} {x2} {y1} {x2} {y2} {x1} {y2} {name} {flag}"


def dota(folder: Path, texts: dict[str, str], ending: str = ".png", **size: int) -> Path:
    """Write images and label files, one a text."""
    for seed, (name, text) in enumerate(texts.items()):
        picture(folder / "images" / (name + ending), seed=seed, **size)
        path = folder / "labelTxt" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return folder


def fleet(folder: Path, images: int = 4, objects: int = 12, side: int = 300, **names: str) -> Path:
    """Write images with random ships and planes of up to 30 px."""
    rng = np.random.default_rng(1)
    texts = {}
    for i in range(images):
        low = rng.uniform(0, side - 31, (objects, 2))
        boxes = np.concatenate([low, low + rng.uniform(6, 30, (objects, 2))], 1).round(1)
        kinds = rng.choice(["ship", "plane"], objects)
        texts[f"scene {i} ä"] = "\n".join(line(*box, name) for box, name in zip(boxes.tolist(), kinds, strict=True))
    return dota(folder, texts, width=side, height=side, **names)
