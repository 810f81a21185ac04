"""Finding a Python that a virtual environment can be made with. QGIS's own is the last choice: it is QGIS's."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable

from .environment import clean_environment
from .process import follow

OLDEST, NEWEST = (3, 10), (3, 12)  # that geodetect runs on
PATIENCE = 15.0  # s that a Python may take to say its version
ASK = """
import importlib.util, json, sys
modules = [importlib.util.find_spec(name) is not None for name in ("venv", "ensurepip")]
print(json.dumps({
    "path": getattr(sys, "_base_executable", None) or sys.executable,
    "version": sys.version_info[:3],
    "venv": all(modules),
    "bits": sys.maxsize.bit_length() + 1,
}))
"""


@dataclass(frozen=True)
class BasePython:
    """A Python that was run and said this of itself.

    Attributes:
        path: of the interpreter, of the base where it is in a virtual environment.
        version: such as (3, 11, 2).
        has_venv: whether it can make virtual environments with pip in them.
        bits: 64, or 32.
    """

    path: str
    version: tuple[int, ...]
    has_venv: bool
    bits: int

    @property
    def fits(self) -> bool:
        """Whether geodetect can be installed for it."""
        return OLDEST <= self.version[:2] <= NEWEST and self.bits == 64


def find_pythons(
    listen: Callable[[str], None] = lambda line: None, is_cancelled: Callable[[], bool] = lambda: False
) -> Iterator[BasePython]:
    """Yield the Pythons here that geodetect can be installed for, the best first; tell of those that are not taken."""
    seen = set()
    for command in _candidates():
        found = ask_python(command, is_cancelled)
        if found is None or os.path.realpath(found.path) in seen:
            continue
        seen.add(os.path.realpath(found.path))
        version = ".".join(map(str, found.version))
        if found.fits:
            yield found
        else:
            listen(f"{found.path}: Python {version}, {found.bits} bits, does not fit")


def ask_python(command: list[str], is_cancelled: Callable[[], bool] = lambda: False) -> BasePython | None:
    """Return what a Python says of itself, None where there is none that can be run.

    Raises:
        Cancelled: `is_cancelled` said so.
    """
    lines: list[str] = []
    try:
        code = follow([*command, "-I", "-c", ASK], lines.append, is_cancelled, limit=PATIENCE)
        said = json.loads(lines[-1]) if code == 0 and lines else {}
        return BasePython(said["path"], tuple(said["version"]), bool(said["venv"]), int(said["bits"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def python_in(path: str) -> str:
    """Return the Python of an environment's folder; any other path as it is."""
    for name in (os.path.join("bin", "python"), os.path.join("Scripts", "python.exe"), "python.exe"):
        if os.path.isfile(os.path.join(path, name)):
            return os.path.join(path, name)
    return path


def _candidates() -> Iterator[list[str]]:
    """Yield commands that may start a Python."""
    versions = [f"3.{minor}" for minor in (12, 11, 10)]
    path = os.pathsep.join([clean_environment().get("PATH", ""), *_more_folders()])
    launcher = shutil.which("py", path=path) if sys.platform == "win32" else None
    if launcher:
        yield from ([launcher, "-" + version] for version in versions)
    for name in [*("python" + version for version in versions), "python3", "python"]:
        found = shutil.which(name, path=path)
        if found and not _is_stub(found):
            yield [found]
    for folder in (sys.prefix, sys.base_prefix):
        for name in ("python.exe",) if sys.platform == "win32" else ("bin/python3", "Resources/python/bin/python3"):
            if os.path.isfile(os.path.join(folder, name)):
                yield [os.path.join(folder, name)]


def _more_folders() -> list[str]:
    """Return where Pythons are that the PATH of a program with windows does not name."""
    if sys.platform != "darwin":
        return []
    frameworks = "/Library/Frameworks/Python.framework/Versions"
    own = [f"{frameworks}/3.{minor}/bin" for minor in (12, 11, 10)]
    return [*own, "/opt/homebrew/bin", "/usr/local/bin", os.path.expanduser("~/.local/bin")]


def _is_stub(path: str) -> bool:
    """Return whether a file only offers to install Python: Apple's and Microsoft's do so with a window of their own."""
    if sys.platform == "darwin":
        return path == "/usr/bin/python3"
    return sys.platform == "win32" and "windowsapps" in path.lower()
