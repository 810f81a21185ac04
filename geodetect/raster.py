"""What an open raster says of its pixels, and how much of it is believed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import rasterio
from rasterio.enums import MaskFlags

from geodetect.config import MAX_GIGAPIXELS
from geodetect.errors import SceneError

_BLOCKS_PER_GIGAPIXEL = 200_000  # of those allowed; of 256 px a side it takes 15,000, and a look at each 2 µs


def check_size(handle: rasterio.DatasetReader, path: str, max_gigapixels: float = MAX_GIGAPIXELS) -> None:
    """Raise SceneError where a raster has more pixels than are allowed, or blocks that are too large or too many.

    A file of a few kilobytes can claim any size, and GDAL decodes blocks whole: to read one pixel of a scene that is
    one compressed tile takes memory for all of them. A block may take 10 MB of memory for each gigapixel allowed.
    """
    raised = "or give a greater --max-gigapixels if it is meant to be so"
    if handle.width * handle.height > max_gigapixels * 1e9:
        raise SceneError(
            f"{path} has {handle.width:,} x {handle.height:,} px, {max_gigapixels:g} gigapixels are allowed; cut it "
            f"with gdal_translate -srcwin, {raised}"
        )
    height, width = np.array(handle.block_shapes).max(axis=0).tolist()
    size = height * width * pixel_bytes(handle, handle.indexes[:1])
    if size > max_gigapixels * 1e7:
        raise SceneError(
            f"{path} is stored in blocks of {width:,} x {height:,} px, which take {size / 1e9:,.1f} GB of memory each; "
            f"convert it with gdal_translate -of COG, {raised}"
        )
    blocks = -(-handle.height // height) * -(-handle.width // width)
    if blocks > max_gigapixels * _BLOCKS_PER_GIGAPIXEL:
        raise SceneError(
            f"{path} is stored in {blocks:,} blocks of {width:,} x {height:,} px; convert it with gdal_translate -of "
            f"COG, {raised}"
        )


def pixel_bytes(handle: rasterio.DatasetReader, bands: Sequence[int]) -> int:
    """Return what a pixel takes when decoded, with all bands that are stored interleaved with `bands`."""
    apart = handle.interleaving is not None and handle.interleaving.name in ("band", "line")
    read = set(bands) if apart else handle.indexes
    return sum(np.dtype(handle.dtypes[band - 1]).itemsize for band in read)


def describe_mask(handle: rasterio.DatasetReader, bands: Sequence[int]) -> tuple[str, int, bool]:
    """Return the kind of mask, the alpha band's number, 0 for none, and whether there is a mask band."""
    interpretations = [kind.name for kind in handle.colorinterp]
    flags = handle.mask_flag_enums[bands[0] - 1]
    alpha = interpretations.index("alpha") + 1 if "alpha" in interpretations else 0
    masked = MaskFlags.per_dataset in flags and MaskFlags.nodata not in flags and MaskFlags.alpha not in flags
    nodata = any(handle.nodatavals[band - 1] is not None for band in bands)
    kind = "dataset" if masked else "alpha" if alpha else "nodata" if nodata else "none"
    return kind, alpha, masked


def read_palette(handle: rasterio.DatasetReader) -> np.ndarray | None:
    """Return the palette (N, 4) uint8 of a raster with one palette band of whole numbers, else None."""
    whole = np.dtype(handle.dtypes[0]).kind in "iu"
    if handle.count != 1 or handle.colorinterp[0].name != "palette" or not whole:
        return None
    try:
        colours = handle.colormap(1)
    except ValueError:  # it says that it has one, and has none
        return None
    table = np.zeros((max(colours, default=0) + 1, 4), np.uint8)
    for index, colour in colours.items():
        table[index] = np.clip(colour, 0, 255)
    return table if colours else None


def band_descriptions(handle: rasterio.DatasetReader) -> tuple[str | None, ...]:
    """Return the bands' descriptions, None for all where one is not written in UTF-8."""
    try:
        descriptions: tuple[str | None, ...] = handle.descriptions
    except UnicodeDecodeError:
        return (None,) * handle.count
    return descriptions
