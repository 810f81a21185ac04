"""How many objects a vector file claims to hold, and whether that can be."""

from __future__ import annotations

import os
from pathlib import Path

from geodetect.errors import InputError

_COUNTED = (".gpkg", ".sqlite", ".fgb", ".parquet", ".arrow", ".shp", ".dbf", ".gdb")  # they state their count


def check_count(path: str | Path, layer: str | None, error: type[InputError]) -> None:
    """Raise an error of the class `error` where a layer claims more objects than its file has bytes.

    Memory is taken for as many as the file says before the first is read. What cannot be opened is left to the reader.
    """
    import pyogrio

    if Path(path).suffix.lower() not in _COUNTED or not os.path.isfile(path):
        return
    try:
        count = pyogrio.read_info(path, layer=layer)["features"]
    except Exception:  # pyogrio and GDAL raise many kinds for a damaged file; whoever reads it tells why
        return
    if count > (size := os.path.getsize(path)):
        raise error(f"{path} claims {count:,} objects, but has {size:,} bytes; it is damaged: write it again")
