"""A picture of some tiles with their boxes: the labels at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from geodetect.card import PALETTE
from training.prepare.plan import PlannedTile, share

NAME = "contact_sheet.png"
COLUMNS, ROWS = 6, {"train": 3, "val": 2}
_CELL, _GAP, _CAPTION, _HEADING = 320, 8, 18, 30  # px
_GREY, _INK, _PAPER = "#b0b0b0", "#f0f0f0", "#202020"
_LEAST = 5  # px, a box is drawn around smaller ones


def pick(tiles: Sequence[PlannedTile], n_classes: int, count: int) -> list[PlannedTile]:
    """Return up to `count` tiles with objects, every class if they are enough, else by a hash of their names."""
    ranked = sorted((tile for tile in tiles if not tile.is_empty), key=lambda tile: (share(tile.file), tile.file))
    labels = [set(tile.cut.labels[~tile.cut.ignored].tolist()) for tile in ranked]
    rarest = sorted(range(n_classes), key=lambda c: sum(c in found for found in labels))
    firsts = (next((i for i, found in enumerate(labels) if c in found), None) for c in rarest)
    chosen = dict.fromkeys([i for i in firsts if i is not None] + list(range(len(ranked))))
    return [ranked[i] for i in sorted(list(chosen)[:count])]


def write_sheet(path: Path, folder: Path, tiles: Sequence[PlannedTile], classes: Sequence[str]) -> None:
    """Draw some tiles of each split with their boxes, one colour a class, ignored boxes grey and dashed.

    Args:
        path: of the PNG.
        folder: of the data set.
        tiles: all of them.
        classes: names.

    Raises:
        OSError: the picture cannot be written; `files.replacing` says of which file.
    """
    from PIL import Image, ImageDraw, ImageFont

    colours = [PALETTE[i % len(PALETTE)] for i in range(len(classes))]
    font, small = ImageFont.load_default(16), ImageFont.load_default(11)
    groups = []
    for split, rows in ROWS.items():
        of_split = [tile for tile in tiles if tile.split == split]
        groups.append((split, len(of_split), pick(of_split, len(classes), rows * COLUMNS)))
    heights = [_HEADING + -(-len(some) // COLUMNS) * (_CELL + _CAPTION) for _, total, some in groups if total]
    width = COLUMNS * (_CELL + _GAP) + _GAP
    legend = _legend_rows(classes, width, font)
    sheet = Image.new("RGB", (width, sum(heights) + _HEADING * len(legend) + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    top = _draw_legend(draw, legend, classes, colours, font)
    for split, total, some in groups:
        if not total:
            continue
        draw.text((_GAP, top + 6), f"{split}: {len(some)} of {total:,} tiles", fill=_INK, font=font)
        top += _HEADING
        for i, tile in enumerate(some):
            place = _GAP + i % COLUMNS * (_CELL + _GAP), top + i // COLUMNS * (_CELL + _CAPTION)
            with Image.open(folder / tile.file) as image:
                sheet.paste(_with_boxes(image, tile, colours), place)
            stem = Path(tile.file).stem
            caption = stem if len(stem) <= 52 else f"{stem[:24]}…{stem[-26:]}"
            draw.text((place[0], place[1] + _CELL + 2), caption, fill=_GREY, font=small)
        top += -(-len(some) // COLUMNS) * (_CELL + _CAPTION)
    sheet.save(path)


def _with_boxes(image, tile: PlannedTile, colours: Sequence[str]):
    from PIL import ImageDraw

    scale = _CELL / max(image.size)
    image = image.convert("RGB").resize([max(1, round(side * scale)) for side in image.size])
    draw = ImageDraw.Draw(image)
    for box, label, ignored in zip(tile.cut.boxes * scale, tile.cut.labels, tile.cut.ignored, strict=True):
        grow = np.maximum(0, _LEAST - (box[2:] - box[:2])) / 2
        x1, y1, x2, y2 = np.concatenate([box[:2] - grow, box[2:] + grow]).tolist()
        if ignored:
            _dashed(draw, x1, y1, x2, y2)
        else:
            draw.rectangle((x1, y1, x2, y2), outline=colours[label], width=1 if x2 - x1 < 12 or y2 - y1 < 12 else 2)
    return image


def _dashed(draw, x1: float, y1: float, x2: float, y2: float, dash: float = 4.0) -> None:
    for start in np.arange(x1, x2, 2 * dash):
        end = min(start + dash, x2)
        draw.line([(start, y1), (end, y1)], fill=_GREY, width=2)
        draw.line([(start, y2), (end, y2)], fill=_GREY, width=2)
    for start in np.arange(y1, y2, 2 * dash):
        end = min(start + dash, y2)
        draw.line([(x1, start), (x1, end)], fill=_GREY, width=2)
        draw.line([(x2, start), (x2, end)], fill=_GREY, width=2)


def _legend_rows(classes: Sequence[str], width: int, font) -> list[list[tuple[int, float]]]:
    """Return rows of (class, left px); the class after the last is "ignored"."""
    rows: list[list[tuple[int, float]]] = [[]]
    left = float(_GAP)
    for i, name in enumerate([*classes, "ignored"]):
        needed = font.getlength(name) + 48
        if left + needed > width and rows[-1]:
            rows.append([])
            left = float(_GAP)
        rows[-1].append((i, left))
        left += needed
    return rows


def _draw_legend(draw, rows, classes: Sequence[str], colours: Sequence[str], font) -> int:
    for row, entries in enumerate(rows):
        top = row * _HEADING + 6
        for i, left in entries:
            if i == len(classes):
                _dashed(draw, left, top + 3, left + 16, top + 17)
            else:
                draw.rectangle((left, top + 3, left + 16, top + 17), outline=colours[i], width=3)
            draw.text((left + 24, top), "ignored" if i == len(classes) else classes[i], fill=_INK, font=font)
    return len(rows) * _HEADING
