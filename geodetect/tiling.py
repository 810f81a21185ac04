"""Cutting a scene into overlapping tiles."""

from __future__ import annotations

import math

from geodetect.window import Window


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """Return where the tiles along one axis begin.

    Neighbours overlap by `overlap` px at least; the last tile ends flush with the axis and overlaps more. An axis
    shorter than the tile gets one tile. This is DOTA's rule (DOTA_devkit ImgSplit), with half-open ends.
    """
    if not 0 <= overlap < tile:
        raise ValueError(f"the overlap of {overlap} px must be less than the tile of {tile} px")
    if length <= tile:
        return [0]
    stride = tile - overlap
    count = math.ceil((length - tile) / stride)
    return [*(i * stride for i in range(count)), length - tile]


def tile_windows(region: Window, tile: tuple[int, int], overlap: tuple[int, int]) -> list[Window]:
    """Return the tiles that cover `region`, row by row from the top left.

    Args:
        region: what to cover, scene px.
        tile: (width, height) of a tile, px; a region that is smaller gets tiles of its own size.
        overlap: (width, height) that neighbours share at least, px.
    """
    width, height = min(tile[0], region.width), min(tile[1], region.height)
    return [
        Window(region.row + row, region.col + col, height, width)
        for row in starts(region.height, tile[1], overlap[1])
        for col in starts(region.width, tile[0], overlap[0])
    ]
