"""A picture of the scene with its detections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from geodetect.detections import Detections
from geodetect.errors import OutputError
from geodetect.radiometry import Stretch
from geodetect.scene import Scene

SIDE = 2048  # px, the picture's longer side at most


def check_picture(path: Path) -> None:
    """Raise OutputError where the ending names no picture format."""
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise OutputError(f"the preview {path} has no known ending; give .png or .jpg")


def write_preview(
    path: Path,
    scene: Scene,
    stretch: Stretch,
    detections: Detections,
    classes: Sequence[str],
    colours: Sequence[str],
    side: int = SIDE,
) -> None:
    """Draw the detections over the scene, reduced to at most `side` px, with a legend of counts; PNG or JPEG.

    Raises:
        OSError: the picture cannot be written; `files.replacing` says of which file.
    """
    from PIL import Image, ImageDraw

    tile = scene.overview(side)
    image = Image.fromarray(_eight_bit(tile.pixels, tile.valid, stretch), "RGB")
    draw = ImageDraw.Draw(image)
    scale = np.array([image.width / scene.grid.width, image.height / scene.grid.height] * 2)
    thickness = max(1, round(max(image.size) / 800))
    for (x1, y1, x2, y2), label in zip(detections.boxes * scale, detections.labels, strict=True):
        # A box under 6 px would hide what it shows: it is drawn around it.
        grow_x, grow_y = max(0, 6 - (x2 - x1)) / 2, max(0, 6 - (y2 - y1)) / 2
        draw.rectangle((x1 - grow_x, y1 - grow_y, x2 + grow_x, y2 + grow_y), outline=colours[label], width=thickness)
    _legend(draw, detections, classes, colours, max(14, image.width // 80))
    image.save(path)


def _eight_bit(pixels: np.ndarray, valid: np.ndarray | None, stretch: Stretch) -> np.ndarray:
    """(3, h, w) of any type -> (h, w, 3) uint8, invalid pixels light grey."""
    low = np.array(stretch.low).reshape(-1, 1, 1)
    high = np.array(stretch.high).reshape(-1, 1, 1)
    scaled = np.clip(np.nan_to_num((pixels - low) / (high - low) * 255), 0, 255).astype(np.uint8)
    if valid is not None:
        scaled[:, ~valid] = 225
    return np.ascontiguousarray(np.moveaxis(scaled, 0, -1))


def _legend(draw, detections: Detections, classes: Sequence[str], colours: Sequence[str], size: int) -> None:
    from PIL import ImageFont

    counts = np.bincount(detections.labels, minlength=len(classes))
    rows = [(f"{name}  {counts[i]:,}", colours[i]) for i, name in enumerate(classes) if counts[i]]
    rows = rows or [("nothing found", "#ffffff")]
    font = ImageFont.load_default(size)
    width = max(draw.textlength(text, font=font) for text, _ in rows)
    draw.rectangle((0, 0, width + 3 * size, (len(rows) + 0.5) * 1.4 * size), fill="#202020")
    for i, (text, colour) in enumerate(rows):
        top = (0.35 + 1.4 * i) * size
        draw.rectangle((0.5 * size, top + 0.2 * size, 1.4 * size, top + 1.1 * size), fill=colour)
        draw.text((2 * size, top), text, fill="#ffffff", font=font)
