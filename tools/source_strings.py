"""The texts of the plugin that are to be translated, found in its source.

Qt's own tools look for `tr("...")` alone. PyQt looks a text up under the class of the object that asks, which for a
base class is another than the one its source stands in; so here classes are followed to their subclasses, and small
functions around `translate` to the context that they name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

TRANSLATORS = ("QCoreApplication", "QgsApplication", "")  # before `.translate`, or a function of that name


@dataclass(frozen=True, order=True)
class Text:
    """A text to translate: where it is looked up, itself, and what tells it from an equal one."""

    context: str
    source: str
    comment: str = ""


@dataclass
class Texts:
    """All texts of the plugin, and the calls that no translation can serve."""

    found: set[Text] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Class:
    """What a class statement says of texts: its bases, and the context that its own `tr` names."""

    bases: tuple[str, ...]
    context: str


def gather(folder: Path) -> Texts:
    """Return the texts in all Python files below a folder."""
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(folder.rglob("*.py"))}
    classes: dict[str, _Class] = {}
    functions: dict[str, str] = {}
    for tree in trees.values():
        classes.update(_classes(tree))
        functions.update({name: context for name, context in _wrappers(tree.body).items() if name[0] != "_"})
    texts = Texts()
    for path, tree in trees.items():
        # a file's own function goes before another file's of that name
        search = _Search(texts, str(path.relative_to(folder)), classes, {**functions, **_wrappers(tree.body)})
        search.visit(tree)
    return texts


class _Search(ast.NodeVisitor):
    """Walks one file; knows which class it is in."""

    def __init__(self, texts: Texts, path: str, classes: dict[str, _Class], functions: dict[str, str]) -> None:
        self._texts = texts
        self._path = path
        self._classes = classes
        self._functions = functions
        self._inside: list[str] = []

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Look into a class."""
        self._inside.append(node.name)
        self.generic_visit(node)
        self._inside.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Look into a function that is no mere wrapper around `translate`."""
        if _context_in(node) is None:
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Take a call's text where the call translates."""
        self.generic_visit(node)
        name, owner = _called(node)
        if name == "tr" and owner == "self":
            self._take(node, self._contexts(), node.args)
        elif name == "QT_TRANSLATE_NOOP" or (name == "translate" and owner in TRANSLATORS):
            self._take(node, _literals(node.args[:1]), node.args[1:])
        elif name in self._functions and not owner:
            self._take(node, [self._functions[name]], node.args)
        elif name in ("tr", "_tr"):
            self._texts.problems.append(f"{self._path}:{node.lineno}: not known where this text is looked up")

    def _take(self, node: ast.Call, contexts: list[str], words: list[ast.expr]) -> None:
        sources, comments = _literals(words[:1]), _literals(words[1:2]) or [""]
        if not sources or not contexts:
            self._texts.problems.append(f"{self._path}:{node.lineno}: a text to translate must be a plain literal")
        for context in contexts:
            self._texts.found.update(Text(context, source, comments[0]) for source in sources)

    def _contexts(self) -> list[str]:
        """Return the classes under which PyQt may look for a text of this class."""
        if not self._inside:
            return []
        name = self._inside[-1]
        named = _named_context(name, self._classes)
        return [named] if named else [name, *_subclasses(name, self._classes)]


def _classes(tree: ast.Module) -> Iterator[tuple[str, _Class]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            bases = tuple(base.id for base in node.bases if isinstance(base, ast.Name))
            yield node.name, _Class(bases, _wrappers(node.body).get("tr", ""))


def _named_context(name: str, classes: dict[str, _Class]) -> str:
    """Return the context that the class's `tr`, or that of a base in the plugin, names; "" where it is Qt's own."""
    known = classes.get(name)
    if known is None:
        return ""
    return known.context or next(filter(None, (_named_context(base, classes) for base in known.bases)), "")


def _subclasses(name: str, classes: dict[str, _Class]) -> list[str]:
    direct = [other for other, known in classes.items() if name in known.bases]
    return direct + [below for other in direct for below in _subclasses(other, classes)]


def _wrappers(body: list[ast.stmt]) -> dict[str, str]:
    """Return the functions that translate what they are given, with their context."""
    functions = (node for node in body if isinstance(node, ast.FunctionDef))
    return {node.name: context for node in functions if (context := _context_in(node))}


def _context_in(function: ast.FunctionDef) -> str | None:
    """Return the context in which a function translates its own argument.

    That is "" where it is the class of the object, as in PyQt's own `tr`; None where it translates no argument.
    """
    names = {argument.arg for argument in function.args.args}
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and _called(node)[0] == "translate" and len(node.args) > 1:
            given = node.args[1]
            if isinstance(given, ast.Name) and given.id in names:
                return "".join(_literals(node.args[:1]))
    return None


def _called(node: ast.Call) -> tuple[str, str]:
    """Return the name of what is called and the name before its dot, "" where there is none."""
    if isinstance(node.func, ast.Name):
        return node.func.id, ""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr, node.func.value.id if isinstance(node.func.value, ast.Name) else "?"
    return "", ""


def _literals(nodes: list[ast.expr]) -> list[str]:
    """Return the texts that an argument can be: one, or both of `a if x else b`; none where it is computed."""
    found: list[str] = []
    for node in nodes:
        if isinstance(node, ast.IfExp):
            either = [_literals([node.body]), _literals([node.orelse])]
            if not all(either):
                return []
            found += [text for texts in either for text in texts]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found
