"""What the plugin's package must and must not hold, rule by rule; each returns its faults as sentences."""

from __future__ import annotations

import ast
import configparser
import re
import stat
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from tools.build_plugin import FOLDER, KINDS

LIMIT = 25_000_000  # bytes that the site takes
OLDEST = (3, 9)  # Python of QGIS 3.22 on Windows
NEWER = {"tomllib"}  # of the standard library, but not yet in that
QGIS = {"qgis", "processing"}  # the latter is the toolbox's own package, which comes with QGIS
STANDARD = (set(sys.stdlib_module_names) - NEWER) | {"__future__"}
REQUIRED = ("name", "description", "version", "qgisMinimumVersion", "author", "email", "about", "tracker", "repository")
OURS = ("homepage", "qgisMaximumVersion", "tags", "category", "icon", "hasProcessingProvider", "experimental")
EXPECTED = {"hasProcessingProvider": "yes", "qgisMinimumVersion": "3.22", "qgisMaximumVersion": "4.99"}
LONE = {"metadata.txt", "LICENSE"}  # files that are there whatever their kind


@dataclass(frozen=True)
class Package:
    """A package as it will be unpacked.

    Attributes:
        size: of the zip, bytes.
        files: content by path, folders left out.
        modes: Unix modes by path, as the zip gives them.
        damaged: the first file whose checksum is wrong, or "".
    """

    size: int
    files: dict[str, bytes]
    modes: dict[str, int]
    damaged: str = ""

    @classmethod
    def open(cls, path: Path) -> Package:
        """Return a zip's content."""
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip() or ""
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            files = {entry.filename: archive.read(entry) for entry in entries if entry.filename != damaged}
        return cls(path.stat().st_size, files, {e.filename: e.external_attr >> 16 for e in entries}, damaged)

    def modules(self) -> Iterator[tuple[str, str]]:
        """Yield path and source of the Python files."""
        for path, data in self.files.items():
            if path.endswith(".py"):
                yield path, data.decode("utf-8")

    def metadata(self) -> dict[str, str]:
        """Return the section that QGIS reads, with its own reader: a lone per cent sign is an error there too."""
        parser = configparser.ConfigParser()
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        parser.read_string(self.files.get(f"{FOLDER}/metadata.txt", b"").decode("utf-8"))
        return dict(parser.items("general"))


def archive(package: Package) -> list[str]:
    """One folder with the plugin's name, small enough, whole, nothing executable."""
    faults = [f"{package.damaged} is damaged"] if package.damaged else []
    if package.size > LIMIT:
        faults.append(f"{package.size / 1e6:.1f} MB, the site takes {LIMIT / 1e6:.0f}")
    for path, mode in package.modes.items():
        if PurePosixPath(path).parts[0] != FOLDER or ".." in path:
            faults.append(f"{path} is not in {FOLDER}/")
        if mode & 0o111 or stat.S_ISLNK(mode):
            faults.append(f"{path} is executable or a link")
    return faults


def files(package: Package) -> list[str]:
    """What must be there is, and nothing else than source, pictures and translations."""
    needed = [f"{FOLDER}/{name}" for name in ("__init__.py", "metadata.txt", "LICENSE")]
    faults = [f"{path} is missing" for path in needed if not package.files.get(path)]
    for path in package.files:
        place = PurePosixPath(path)
        if any(part.startswith(".") or part in ("__pycache__", "__MACOSX", "tests") for part in place.parts):
            faults.append(f"{path} is hidden, of a cache or of the tests")
        elif place.suffix not in (*KINDS, ".qm") and place.name not in LONE:
            faults.append(f"{path} is of a kind that does not belong in the package")
        elif place.suffix == ".qm" and not package.files[path].startswith(b"\x3c\xb8\x64\x18"):
            faults.append(f"{path} is no compiled translation")
    return faults


def metadata(package: Package) -> list[str]:
    """All keys that the site and QGIS read, in their form."""
    try:
        given = package.metadata()
    except (configparser.Error, UnicodeDecodeError) as error:
        return [f"metadata.txt cannot be read: {error}"]
    faults = [f"{key} is missing or empty" for key in (*REQUIRED, *OURS) if not given.get(key, "").strip()]
    faults += [f"{key} is {given.get(key)}, not {value}" for key, value in EXPECTED.items() if given.get(key) != value]
    for key in ("tracker", "repository", "homepage"):
        url = urlsplit(given.get(key, ""))
        if url.scheme != "https" or "." not in url.netloc:
            faults.append(f"{key} is no URL: {given.get(key)}")
    if not re.fullmatch(r"\d+\.\d+\.\d+", given.get("version", "")):
        faults.append(f"version is {given.get('version')}, not like 1.2.3")
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.\w+", given.get("email", "")):
        faults.append(f"email is no address: {given.get('email')}")
    if "/" in given.get("author", ""):
        faults.append("author has a slash")
    if f"{FOLDER}/{given.get('icon')}" not in package.files:
        faults.append(f"icon is not in the package: {given.get('icon')}")
    if not all(word in given.get("about", "").lower() for word in ("external dependency", "licence")):
        faults.append("about names no external dependency, or no licence of the models")
    if "supportsQt6" in given:
        faults.append("supportsQt6 is deprecated; qgisMaximumVersion says it")
    return faults


def python(package: Package) -> list[str]:
    """The syntax is that of the oldest Python."""
    faults = []
    for path, source in package.modules():
        try:
            ast.parse(source, path, feature_version=OLDEST)
        except SyntaxError as error:
            faults.append(f"{path}:{error.lineno}: not Python {OLDEST[0]}.{OLDEST[1]}: {error.msg}")
    return faults


def imports(package: Package) -> list[str]:
    """Nothing but QGIS, the standard library and the plugin itself, by relative imports; in core/ not even QGIS."""
    faults = []
    for path, source in package.modules():
        in_core = path.startswith(f"{FOLDER}/core/")
        depth = len(PurePosixPath(path).parts) - 1
        for line, level, module in _imported(source):
            if level and (level > depth or (in_core and level > depth - 1)):
                faults.append(f"{path}:{line}: an import that leaves {'core/' if in_core else 'the package'}")
            elif not level and module not in STANDARD and (in_core or module not in QGIS):
                faults.append(f"{path}:{line}: {module} may not be imported here")
    return faults


def _imported(source: str) -> Iterator[tuple[int, int, str]]:
    """Yield line, level and first name of each import, where the source can be read at all."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, 0, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.level, (node.module or "").partition(".")[0]


RULES: dict[str, Callable[[Package], list[str]]] = {
    "archive": archive,
    "files": files,
    "metadata": metadata,
    "python": python,
    "imports": imports,
}
