"""Reading protocol buffers without a schema, enough for MindSpore checkpoints and ONNX graphs.

Source: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_FIELDS = 1 << 20  # of a message; a field of two bytes becomes a hundred in memory


def raw(message: memoryview, number: int) -> list[memoryview]:
    """Return the bytes of each string, bytes or message field of that number.

    Raises:
        ValueError: the message is damaged or cut off.
    """
    return [value for key, value in _fields(message) if key == number and isinstance(value, memoryview)]


def numbers(message: memoryview, number: int, most: int = _MOST_FIELDS) -> list[int]:
    """Return the values of an integer field of that number, packed or not.

    Raises:
        ValueError: the message is damaged or cut off, or there are more than `most`.
    """
    found: list[int] = []
    for key, value in _fields(message):
        if key == number and isinstance(value, int):
            found.append(value)
        elif key == number and isinstance(value, memoryview):
            at = 0
            while at < len(value) and len(found) <= most:
                item, at = _varint(value, at)
                found.append(item)
        if len(found) > most:
            raise ValueError(f"more than {most} numbers")
    return found


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield (field number, value): an int for a varint, the bytes for everything else."""
    at = count = 0
    while at < len(message):
        if (count := count + 1) > _MOST_FIELDS:
            raise ValueError(f"more than {_MOST_FIELDS} fields")
        key, at = _varint(message, at)
        kind, length = key & 7, 0
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"a field of unknown kind {kind}")
        if at + length > len(message):
            raise ValueError("cut off")
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return the integer that starts at byte `at`, and where it ends."""
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("cut off")
