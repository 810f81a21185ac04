"""Settings as the fields of a frozen dataclass: what each may be, how people write it, what its option shows."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import os
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from geodetect.errors import ConfigError
from geodetect.yamlfile import read_yaml

CONFIGS = Path(__file__).parents[1] / "configs"


def setting(group: str, default: Any, text: str, **rules: Any) -> Any:
    """Return a dataclass field with its rules.

    Args:
        group: heading in the command's help.
        default: value.
        text: of the command's help, with the unit.
        rules: least, most: bounds of numbers; above: a bound that is not itself allowed; multiple: of what; choices:
            of texts; count: entries of a list; free: True where a resumed run may have another value.
    """
    return dataclasses.field(default=default, metadata={"group": group, "help": text, **rules})


def read_settings(path: str | Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; a bare name is a recipe of `training/configs`.

    Raises:
        ConfigError: the file cannot be read, or there is no such recipe.
    """
    recipes = {recipe.stem: recipe for recipe in sorted(CONFIGS.glob("*.yaml"))}
    file = Path(path) if os.path.exists(path) else recipes.get(str(path))
    if file is None:
        raise ConfigError(f"{path} is neither a file nor a recipe; recipes are {', '.join(recipes)}")
    values = read_yaml(file, ConfigError)
    if values is not None and not isinstance(values, dict):
        raise ConfigError(f"{path} is no mapping of settings; write lines such as `network: yolov4`")
    return values or {}


def converted(values: Mapping[str, Any], owner: type, prefix: str = "") -> dict[str, Any]:
    """Return settings in the types of the owner's fields from what people write.

    That is lists, comma-separated text, 1e-3, which YAML takes for text, and 0 and 1 for no and yes. None means the
    default and is left out; what cannot be converted is left as it is, for the check to refuse it.

    Raises:
        ConfigError: a key is unknown; the message gives its path and the nearest known one.
    """
    known = [item.name for item in dataclasses.fields(owner)]
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            raise ConfigError(f"unknown key {prefix}{key}" + (f", did you mean {prefix}{near[0]}?" if near else ""))
    return {key: _converted(key, value, owner) for key, value in values.items() if value is not None}


def kind_of(name: str, owner: type) -> tuple[type, bool, bool]:
    """Return a field's type (for lists, that of an entry), whether it is a list, and whether it may be None."""
    hint = _hints(owner)[name]
    parts = [part for part in typing.get_args(hint) if part is not type(None)]
    optional = type(None) in typing.get_args(hint)
    if optional:
        hint = parts[0]
    if typing.get_origin(hint) is tuple:
        return typing.get_args(hint)[0], True, optional
    return hint, False, optional


@functools.cache
def _hints(owner: type) -> dict[str, Any]:
    return typing.get_type_hints(owner)


def check(item: dataclasses.Field, value: Any, owner: type) -> None:
    """Raise ConfigError where a value is not of its field's type or outside its rules."""
    kind, several, optional = kind_of(item.name, owner)
    if value is None and optional:
        return
    entries = value if several and isinstance(value, tuple) else (value,)
    good = isinstance(value, tuple) or not several
    good = good and all(_is(entry, kind) and _within(entry, item.metadata) for entry in entries)
    good = good and ("count" not in item.metadata or len(entries) in (0, item.metadata["count"]))
    if not good:
        shown = list(value) if isinstance(value, tuple) else value
        raise ConfigError(f"{item.name} is {shown!r}, give {_wanted(kind, several, item.metadata)}")


def _converted(name: str, value: Any, owner: type) -> Any:
    kind, several, _ = kind_of(name, owner)
    if not several:
        return _scalar(value, kind)
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, (list, tuple)) else [value]
    flat = [item for part in parts for item in (part if isinstance(part, (list, tuple)) else [part])]
    return tuple(_scalar(item, kind) for item in flat if item != "")


def _scalar(value: Any, kind: type) -> Any:
    if isinstance(value, (str, Path)):
        text = str(value).strip()
        if kind is bool and text.lower() in ("true", "false", "yes", "no", "on", "off", "1", "0"):
            return text.lower() in ("true", "yes", "on", "1")
        readers: dict[type, Callable[[str], Any]] = {int: int, float: float}
        try:
            return readers.get(kind, str)(text)
        except ValueError:
            return text
    if kind is bool and value in (0, 1):
        return bool(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _is(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _within(value: Any, rules: Mapping[str, Any]) -> bool:
    return (
        ("choices" not in rules or value in rules["choices"])
        and ("least" not in rules or value >= rules["least"])
        and ("most" not in rules or value <= rules["most"])
        and ("above" not in rules or value > rules["above"])
        and ("multiple" not in rules or (value > 0 and value % rules["multiple"] == 0))
    )


def _wanted(kind: type, several: bool, rules: Mapping[str, Any]) -> str:
    """Return in words what values a field takes."""
    if "choices" in rules:
        return "one of " + ", ".join(rules["choices"])
    noun = {int: "whole number", float: "number", bool: "true or false", str: "text"}.get(kind, "mapping")
    if several:
        noun = "names" if kind is str else f"{noun}s"
        noun = f"{rules['count']} {noun}" if "count" in rules else f"a list of {noun}"
    elif kind not in (bool, str):
        noun = f"a {noun}"
    bounds = [
        f"{word} {rules[key]}" for key, word in (("least", "from"), ("above", "above"), ("most", "to")) if key in rules
    ]
    if "multiple" in rules:
        bounds.append(f"that {'are multiples' if several else 'is a multiple'} of {rules['multiple']}")
    return " ".join([noun, *bounds])
