"""Build the QGIS plugin's package: `python -m tools.build_plugin` writes dist/geodetect_qgis-VERSION.zip.

The same source gives the same bytes, on any machine: files are sorted, stored as they are (compressors differ between
versions of zlib), and carry no time, owner or mode of the checkout.
"""

from __future__ import annotations

import argparse
import configparser
import zipfile
from pathlib import Path

from tools.translate import LANGUAGES, compiled

ROOT = Path(__file__).parents[1]
FOLDER = "geodetect_qgis"  # in the package, and then in QGIS; `geodetect` is the engine's name
KINDS = (".py", ".svg", ".png", ".qml", ".ui", ".html")  # what of qgis_plugin/ goes into the package
TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip can tell


def main() -> None:
    """Build the package and say where it is."""
    parser = argparse.ArgumentParser(prog="tools.build_plugin", description=__doc__.split("\n")[0])
    parser.add_argument("--into", type=Path, default=ROOT / "dist", help="folder to write into, by default dist/")
    print(build(parser.parse_args().into))


def build(folder: Path) -> Path:
    """Write the package into a folder and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{FOLDER}-{version()}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as package:
        for name, data in sorted(contents().items()):
            entry = zipfile.ZipInfo(f"{FOLDER}/{name}", TIME)
            entry.create_system = 3  # Unix, also where it is built on Windows
            entry.external_attr = 0o100644 << 16
            package.writestr(entry, data)
    return path


def version() -> str:
    """Return the version that metadata.txt states."""
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "metadata.txt", "utf-8")
    return metadata["general"]["version"]


def contents() -> dict[str, bytes]:
    """Return the package's files by their path below its folder."""
    source = ROOT / "qgis_plugin"
    files = {"metadata.txt": (ROOT / "metadata.txt").read_bytes(), "LICENSE": (ROOT / "LICENSE").read_bytes()}
    for path in source.rglob("*"):
        if path.is_file() and path.suffix in KINDS:
            files[path.relative_to(source).as_posix()] = path.read_bytes()
    for code in LANGUAGES:
        files[f"i18n/geodetect_{code}.qm"] = compiled(code)
    return files


if __name__ == "__main__":
    main()
