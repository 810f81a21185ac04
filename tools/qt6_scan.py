"""Find what of the plugin breaks under Qt 6, or in the oldest QGIS: `/usr/bin/python3 tools/qt6_scan.py FOLDER`.

Run by QGIS's own Python, it asks the classes of the QGIS at hand. PyQt6 knows members of enumerations only by their
full name (`Qt.Orientation.Horizontal`), which old QGIS understands too; names that are new in QGIS it lacks. So this
scan in QGIS 3.22 finds both, and needs neither PyQt6 nor QGIS 4. Prints a line a finding; ends with 1 if there are any.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from qgis.core import Qgis
from qgis.PyQt.QtCore import QVariant

VERSION = Qgis.QGIS_VERSION
# qgis.PyQt itself gives QVariant's types their old names under Qt 6, and QGIS 3.22 has no others for them
KEPT = (QVariant,)
GONE = {
    "exec_": "exec_() is exec()",
    "QRegExp": "QRegExp is QRegularExpression",
    "QDesktopWidget": "QDesktopWidget is QScreen",
    "resources_rc": "compiled resources are bound to one Qt; use files",
}


def main() -> int:
    """Scan the folder that the command line names; return the exit code."""
    folder = Path(sys.argv[1])
    count = 0
    for path in sorted(folder.rglob("*.py")):
        for line, finding in sorted(Scan(ast.parse(path.read_text("utf-8"))).findings()):
            print(f"{path.relative_to(folder)}:{line}: {finding}")
            count += 1
    return 1 if count else 0


class Scan:
    """One file, with what its imports from Qt and QGIS stand for."""

    def __init__(self, tree: ast.Module) -> None:
        self._nodes = list(ast.walk(tree))
        self._known: dict[str, object] = {}
        self._missing: list[tuple[int, str]] = []
        for node in self._nodes:
            if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] == "qgis":
                self._import(node)

    def findings(self) -> Iterator[tuple[int, str]]:
        """Yield the line and the message of all that PyQt6 or the QGIS at hand would refuse."""
        yield from self._missing
        for node in self._nodes:
            if isinstance(node, ast.ClassDef):
                yield from self._inherited(node)
            elif isinstance(node, ast.Attribute):
                yield from self._attribute(node)
            word = getattr(node, "attr", getattr(node, "id", getattr(node, "name", "")))
            if isinstance(node, (ast.Attribute, ast.Name, ast.alias)) and word in GONE:
                yield node.lineno, GONE[word]

    def _import(self, node: ast.ImportFrom) -> None:
        module = importlib.import_module(node.module or "")
        for alias in node.names:
            try:
                importlib.import_module(f"{node.module}.{alias.name}")  # `from qgis.PyQt import QtCore`
            except ImportError:
                if not hasattr(module, alias.name):
                    self._missing.append((node.lineno, f"{node.module}.{alias.name} is not in QGIS {VERSION}"))
                    continue
            self._known[alias.asname or alias.name] = getattr(module, alias.name)

    def _attribute(self, node: ast.Attribute) -> Iterator[tuple[int, str]]:
        owner = self._value(node.value)
        if not isinstance(owner, type) or owner in KEPT:
            return
        name, kind = owner.__qualname__, _enumeration(owner, node.attr)
        if kind:
            yield node.lineno, f"{name}.{node.attr} is {name}.{kind}.{node.attr}"
        elif not hasattr(owner, node.attr):
            yield node.lineno, f"{name}.{node.attr} is not in QGIS {VERSION}"

    def _inherited(self, node: ast.ClassDef) -> Iterator[tuple[int, str]]:
        """Yield members that a class takes from its Qt base by `self.`"""
        bases = [base for base in map(self._value, node.bases) if isinstance(base, type)]
        for inner in ast.walk(node):
            if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name) and inner.value.id == "self":
                for base in bases:
                    if kind := _enumeration(base, inner.attr):
                        yield inner.lineno, f"self.{inner.attr} is {base.__name__}.{kind}.{inner.attr}"

    def _value(self, node: ast.expr) -> object:
        """Return what `Qt` or `QtCore.Qt` stands for, None where that is nothing of Qt or QGIS."""
        if isinstance(node, ast.Name):
            return self._known.get(node.id)
        owner = self._value(node.value) if isinstance(node, ast.Attribute) else None
        return getattr(owner, node.attr, None) if owner is not None else None  # type: ignore[attr-defined]


def _enumeration(owner: type, name: str) -> str:
    """Return the enumeration that an attribute is an unscoped member of, "" where it is none."""
    value = getattr(owner, name, None)
    if not isinstance(value, int) or type(value) in (int, bool) or issubclass(owner, int):
        return ""
    return type(value).__name__


if __name__ == "__main__":
    sys.exit(main())
