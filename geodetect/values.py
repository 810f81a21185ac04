"""What values from files must be: checks that no value makes raise anything."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

LONGEST_NAME = 200  # characters of a file's or a class's name
_HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def hidden(text: str) -> str | None:
    """Return the first character that steers a terminal or cannot be written as UTF-8, None where there is none."""
    found = _HIDDEN.search(text)
    return found[0] if found else None


def plain_name(name: str) -> bool:
    """True for a file name without any folder, on every system; so no card can lead out of its package."""
    plain = re.fullmatch(r"[\w][\w. +-]*", name) is not None and len(name) <= LONGEST_NAME
    return plain and not name.endswith((".", " ")) and not _is_device(name)


def _is_device(name: str) -> bool:
    """True for what Windows takes for a device, whatever the ending: to open it could wait forever."""
    return re.fullmatch(r"con|prn|aux|nul|(com|lpt)[0-9¹²³]", name.partition(".")[0].strip().lower()) is not None


def numbers(values: Any, least: float = -math.inf, most: float = math.inf) -> bool:
    """True for a tuple of finite numbers from `least` to `most`."""
    return isinstance(values, tuple) and all(_is_number(value) and least <= value <= most for value in values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300  # NaN is not


def whole(value: Any, least: int, most: int) -> bool:
    """True for a whole number from `least` to `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_plain(value: Any) -> bool:
    """True for what JSON can hold: text, numbers, lists, and mappings from text."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and is_plain(item) for key, item in value.items())
    if isinstance(value, tuple | list):
        return all(map(is_plain, value))
    return value is None or isinstance(value, str | int | float)
