"""Reading .npz files: zip archives of plain arrays, of which none is larger than it says."""

from __future__ import annotations

import lzma
import math
import re
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from geodetect.errors import ModelError

_FAULTS = (  # what zipfile, its decompressors and numpy raise for a damaged file
    *(ValueError, EOFError, KeyError, RuntimeError, TypeError, OverflowError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
)
_HEADER = re.compile(  # as numpy writes it; its own reader evaluates what stands there
    rb"\{'descr': '(?P<dtype>[<>|][biuf][0-9]{1,2})', 'fortran_order': (?P<by_columns>True|False), "
    rb"'shape': \((?P<shape>([0-9]{1,15}(, |,(?=\))|(?=\)))){0,8})\), \}\s*"
)
_LONGEST_HEADER = 10_000  # bytes
_MOST_MEMBERS = 100_000


def read_npz(path: str | Path, most_bytes: int) -> dict[str, np.ndarray]:
    """Return the arrays of a .npz file by name; pickled objects are never read.

    Args:
        path: the file.
        most_bytes: that all arrays together may take; a zip archive can claim a thousand times its own size.

    Raises:
        ModelError: the file is none, is damaged, or holds more or something else than numbers.
        OSError: it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            size = sum(member.file_size for member in members)
            if size > most_bytes or len(members) > _MOST_MEMBERS:
                raise ValueError(f"it unpacks to {size / 1e6:,.0f} MB, at most {most_bytes / 1e6:,.0f} MB are taken")
            return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    except _FAULTS as error:
        raise ModelError(f"{path} is no .npz file of plain arrays ({error})") from None


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Return one member; raises ValueError before anything is allocated where it is not as long as its header says."""
    with archive.open(member) as file:
        magic, version = file.read(6), file.read(2)
        size = struct.unpack("<H" if version == b"\1\0" else "<I", file.read(2 if version == b"\1\0" else 4))[0]
        told = _HEADER.fullmatch(file.read(min(size, _LONGEST_HEADER)))
        if magic != b"\x93NUMPY" or told is None:
            raise ValueError(f"{member.filename} is no array of numbers")
        dtype = np.dtype(told["dtype"].decode())
        shape = tuple(int(side) for side in told["shape"].replace(b",", b" ").split())
        if math.prod(shape) * dtype.itemsize != member.file_size - file.tell():
            raise ValueError(f"{member.filename} is not as long as its header says")
        array = np.frombuffer(file.read(), dtype)
        return array.reshape(shape, order="F" if told["by_columns"] == b"True" else "C")
