"""Reading MindSpore's .ckpt files without MindSpore.

A checkpoint is a protocol buffer, `Checkpoint{repeated Value{tag = 1, tensor = 2}}` with
`Tensor{repeated dims = 1, type = 2, content = 3}`; a big tensor is split over several values of one tag.
"""

from __future__ import annotations

import math
import mmap
from pathlib import Path

import numpy as np

from geodetect.errors import ModelError
from geodetect.networks.protobuf import numbers, raw

_TYPES: dict[str, np.dtype] = {
    "Float32": np.dtype("<f4"),
    "Float16": np.dtype("<f2"),
    "Float64": np.dtype("<f8"),
    "BFloat16": np.dtype("<u2"),
    "Int8": np.dtype("<i1"),
    "Int16": np.dtype("<i2"),
    "Int32": np.dtype("<i4"),
    "Int64": np.dtype("<i8"),
    "UInt8": np.dtype("<u1"),
    "UInt16": np.dtype("<u2"),
    "UInt32": np.dtype("<u4"),
    "UInt64": np.dtype("<u8"),
    "Bool": np.dtype("?"),
}
_MOST_SIDES = 8  # of a tensor


def read_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """Return every tensor of a MindSpore checkpoint by its tag, in file order; bfloat16 is widened to float32.

    Raises:
        ModelError: the file is no checkpoint, or is damaged or encrypted.
    """
    with open(path, "rb") as file:
        if not Path(path).stat().st_size:
            raise ModelError(f"{path} is empty")
        blob = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    if blob[-17:-10] == b"crc_num":  # a checksum that save_checkpoint(crc_check=True) puts behind the message
        blob = blob[:-17]
    pieces: dict[str, list[_Piece]] = {}
    try:
        for value in raw(blob, 1):
            tag = _text(value, 1)
            for tensor in raw(value, 2):  # strings and maps, which newer files may hold, are no tensors
                pieces.setdefault(tag, []).append(_piece(tensor))
    except ValueError as error:
        raise ModelError(f"{path} is no MindSpore checkpoint or is damaged ({error})") from None
    if not pieces:
        raise ModelError(f"{path} is no MindSpore checkpoint: it holds no tensors")
    return {tag: _joined(parts, tag, path) for tag, parts in pieces.items()}


_Piece = tuple[tuple[int, ...], str, memoryview]  # shape, type, little-endian content


def _piece(tensor: memoryview) -> _Piece:
    kind = _text(tensor, 2)
    if kind not in _TYPES:
        raise ValueError(f"a tensor of type {kind!r}")
    shape = tuple(numbers(tensor, 1, most=_MOST_SIDES))
    return shape, kind, (raw(tensor, 3) or [memoryview(b"")])[0]


def _text(message: memoryview, number: int) -> str:
    return b"".join(raw(message, number)).decode()


def _joined(pieces: list[_Piece], tag: str, path: str | Path) -> np.ndarray:
    shape, kind, content = pieces[0]
    dtype = _TYPES[kind]
    data = content if len(pieces) == 1 else b"".join(piece[2] for piece in pieces)
    shape = () if shape == (0,) and len(data) == dtype.itemsize else shape  # old files store scalars so
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise ModelError(f"{path}: {tag} has {len(data)} bytes, which its shape {shape} does not explain")
    try:
        array = np.frombuffer(data, dtype).reshape(shape)
    except (ValueError, OverflowError):  # empty, with sides whose product overflows
        raise ModelError(f"{path}: {tag} has a shape that cannot be") from None
    return (array.astype("<u4") << 16).view("<f4") if kind == "BFloat16" else array
