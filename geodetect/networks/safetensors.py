"""Reading and writing .safetensors: 8 bytes of header length, a JSON header, raw little-endian data.

Source: https://github.com/huggingface/safetensors, "Format".
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from geodetect.errors import ModelError
from geodetect.files import replacing

_TYPES: dict[str, np.dtype] = {
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "BF16": np.dtype("<u2"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
}
_WRITTEN: dict[np.dtype, str] = {np.dtype("<f2"): "F16", np.dtype("<f4"): "F32"}
_LONGEST_HEADER = 4 << 20  # bytes; the format allows 100 MB, YOLOv4's has 70 kB
_MOST_SIDES, _LONGEST_SIDE = 8, 1 << 40  # of an array: their product stays a number that is quick to compute


def read_safetensors(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of a .safetensors file as stored; bfloat16 is widened to float32.

    Raises:
        ModelError: the file is cut off or its header is wrong.
    """
    blob = np.fromfile(path, dtype=np.uint8)
    header, data = _header(blob, path)
    arrays = {}
    expected = 0
    for name, entry in sorted(header.items(), key=lambda item: _begin(item[1], path)):
        arrays[name], expected = _array(data, name, entry, expected, path)
    if expected != data.size:
        raise ModelError(f"{path} has {data.size} bytes of data, its header describes {expected}")
    return arrays


def write_safetensors(path: str | Path, arrays: Mapping[str, np.ndarray], dtype: Any = np.float32) -> None:
    """Write the arrays as float32 or float16; the file appears whole or not at all.

    An array with values beyond float16, as running variances can be after little training, stays float32.

    Raises:
        ValueError: another type.
    """
    dtype = np.dtype(dtype).newbyteorder("<")
    if dtype not in _WRITTEN:
        raise ValueError(f"safetensors are written as float32 or float16, not {dtype}")
    header: dict[str, Any] = {"__metadata__": {"format": "mindspore"}}
    begin = 0
    types = {name: _narrowest(array, dtype) for name, array in arrays.items()}
    for name, array in arrays.items():
        end = begin + array.size * types[name].itemsize
        header[name] = {"dtype": _WRITTEN[types[name]], "shape": list(array.shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # data starts at a multiple of 8
    with replacing(Path(path)) as temporary, open(temporary, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, array in arrays.items():
            file.write(np.asarray(array).astype(types[name]).tobytes())


def _narrowest(array: np.ndarray, dtype: np.dtype) -> np.dtype:
    """Return `dtype`, or float32 where it would turn a finite value into an infinite one."""
    with np.errstate(over="ignore"):
        narrow = np.asarray(array).astype(dtype)
    return dtype if np.array_equal(np.isfinite(narrow), np.isfinite(array)) else np.dtype("<f4")


def _header(blob: np.ndarray, path: str | Path) -> tuple[dict[str, Any], np.ndarray]:
    length = int.from_bytes(blob[:8].tobytes(), "little")
    if blob.size < 8 or not 0 < length <= min(blob.size - 8, _LONGEST_HEADER):
        raise ModelError(f"{path} is no safetensors file or is cut off in its header")
    try:
        header = json.loads(blob[8 : 8 + length].tobytes())
    except (ValueError, RecursionError):
        raise ModelError(f"{path} is no safetensors file: its header is no JSON") from None
    if not isinstance(header, dict):
        raise ModelError(f"{path} is no safetensors file: its header is no JSON object")
    header.pop("__metadata__", None)
    return header, blob[8 + length :]


def _begin(entry: Any, path: str | Path) -> int:
    try:
        return int(entry["data_offsets"][0])
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        raise ModelError(f"{path} has a header entry without data_offsets") from None


def _array(data: np.ndarray, name: str, entry: Any, expected: int, path: str | Path) -> tuple[np.ndarray, int]:
    """Return one array and where it ends; arrays follow each other without gap or overlap."""
    try:
        kind, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        sizes_fit = all(type(size) is int and 0 <= size <= _LONGEST_SIDE for size in (*shape, begin, end))
    except (KeyError, TypeError, ValueError):
        raise ModelError(f"{path}: the header entry of {name} is incomplete") from None
    if not isinstance(kind, str) or kind not in _TYPES:
        raise ModelError(f"{path}: {name} is stored as {kind}, one of {', '.join(_TYPES)} is needed")
    dtype = _TYPES[kind]
    sizes_fit &= len(shape) <= _MOST_SIDES
    if not sizes_fit or begin != expected or end - begin != math.prod(shape) * dtype.itemsize or end > data.size:
        raise ModelError(f"{path}: {name} does not fit its place in the file, which is damaged or cut off")
    try:
        array = data[begin:end].view(dtype).reshape(shape)
    except ValueError:  # empty, with sides whose product overflows
        raise ModelError(f"{path}: {name} has a shape that cannot be") from None
    return (array.astype("<u4") << 16).view("<f4") if kind == "BF16" else array, end
