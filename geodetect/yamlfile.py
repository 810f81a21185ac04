"""Reading YAML that somebody else may have written: cards, settings, `data.yaml`.

Plain values only, in bounded time and memory, and every fault is one error with its line.
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from geodetect.errors import InputError
from geodetect.values import hidden

MOST_BYTES = 256 * 1024  # a card or recipe has a few thousand, the names of a thousand classes 30,000
_DEEPEST = 32  # levels of nesting; more would be a matter of Python's stack
_LONGEST_NUMBER = 40  # characters; the time to read one grows with its square


def read_yaml(path: str | Path, error: type[InputError]) -> Any:
    """Return the value of a YAML file: mappings, lists, text, numbers, dates; None where it is empty.

    Refused are aliases and merge keys (a few lines of them can expand to gigabytes), a key that stands twice, tags of
    objects, deep nesting, numbers of very many digits, control characters, and files of more than `MOST_BYTES`.

    Args:
        path: the file, UTF-8.
        error: what to raise.

    Raises:
        InputError: of the class `error`, with the path and the line.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode("utf-8-sig")
    except (OSError, ValueError) as problem:
        raise error(f"{path} cannot be read as YAML ({getattr(problem, 'strerror', None) or problem})") from None
    if len(data) > MOST_BYTES:
        raise error(f"{path} cannot be read as YAML (it is longer than {MOST_BYTES // 1024} kB); give a shorter file")
    try:
        return yaml.load(text, Loader=_Loader)  # a SafeLoader: no objects
    except yaml.YAMLError as problem:
        raise error(f"{path} cannot be read as YAML ({_reason(problem, text)})") from None


def _reason(problem: yaml.YAMLError, text: str) -> str:
    mark, position = getattr(problem, "problem_mark", None), getattr(problem, "position", None)
    line = mark.line + 1 if mark else text.count("\n", 0, position) + 1 if isinstance(position, int) else None
    said = " ".join(str(getattr(problem, "problem", None) or getattr(problem, "reason", None) or problem).split())
    return f"line {line}: {said}" if line else said


class _Loader(yaml.SafeLoader):
    """YAML without aliases, merge keys, a key given twice, and values that Python itself cannot read."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise _fault("aliases are not allowed", self.peek_event())
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _fault(f"values are nested deeper than {_DEEPEST} levels", self.peek_event())
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError):  # such as the date 2001-02-31
            raise _fault(f"{_short(node.value)} is no {node.tag.rpartition(':')[2]}", node) from None
        if isinstance(value, str) and (character := hidden(value)):
            raise _fault(f"a text has the character {character!r}", node)
        return value

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        numeric = node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
        if numeric and len(str(node.value)) > _LONGEST_NUMBER:
            raise _fault("a number has too many digits", node)
        return super().construct_scalar(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        for key, _ in pairs:
            if key.tag == "tag:yaml.org,2002:merge":
                raise _fault("merge keys are not allowed", key)
        values: dict[Hashable, Any] = super().construct_mapping(node, deep)
        if len(values) < len(pairs):
            seen: set[Hashable] = set()
            for key, _ in pairs:
                name = self.construct_object(key, True)
                if name in seen:
                    raise _fault(f"{_short(key.value)} stands twice", key)
                seen.add(name)
        return values


def _fault(text: str, place: Any) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, text, place.start_mark)


def _short(value: Any) -> str:
    text = str(value) if isinstance(value, str) else "a value"
    return text if len(text) <= 60 else f"{text[:57]}..."
