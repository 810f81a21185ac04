"""Where data sets keep their images and label files."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from geodetect.errors import LabelError

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".jp2", ".webp", ".bmp", ".vrt")
_MOST_TEXT = 1 << 28  # bytes of one label file, three million objects
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"}


def split_folders(root: Path) -> list[tuple[str, Path]]:
    """Return (split, folder) for the folders train and val in `root`, or `root` itself where there are none."""
    found = [(SPLITS[path.name.lower()], path) for path in _entries(root) if path.name.lower() in SPLITS]
    found = [(split, path) for split, path in found if path.is_dir()]
    return sorted(found) or [("", root)]


def images_by_stem(folder: Path) -> dict[str, Path]:
    """Return the images of a folder and those below it by their name without ending.

    Raises:
        LabelError: two have the same name.
    """
    return _by_stem(path for path in _files(folder) if path.suffix.lower() in IMAGE_ENDINGS)


def texts_by_stem(folder: Path) -> dict[str, Path]:
    """Return the .txt files of a folder and those below it by their name without ending; raises as above."""
    return _by_stem(path for path in _files(folder) if path.suffix.lower() == ".txt")


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file, with or without byte order mark, with any line ends.

    Raises:
        LabelError: it cannot be read, or is no UTF-8.
    """
    try:
        text = read_text(path, _MOST_TEXT)
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise LabelError(f"{path}, line {line}: not UTF-8 text; save the file as UTF-8") from error
    except OSError as error:
        raise LabelError(f"{path} cannot be read ({error.strerror}); check the file") from error
    return text.split("\n")  # universal newlines: CRLF and CR have become LF


def read_text(path: Path, most: int) -> str:
    """Return a text file's content, of `most` bytes at most; raises LabelError, OSError or UnicodeDecodeError."""
    if (size := path.stat().st_size) > most:
        raise LabelError(f"{path} has {size / 1e6:,.0f} MB, at most {most / 1e6:,.0f} MB are read; divide it")
    return path.read_text("utf-8-sig")


def is_below(path: Path, root: Path) -> bool:
    """Return whether a path lies in a folder, as it is written: who lays links into it means what they lead to."""
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(root))


def plain_name(text: str) -> str:
    """Return a name by which files are matched: some systems write an umlaut as two characters."""
    return unicodedata.normalize("NFC", text)


def listed(paths: list[str], most: int = 3) -> str:
    """Return a few names for a message."""
    return ", ".join(paths[:most]) + (f" and {len(paths) - most:,} more" if len(paths) > most else "")


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise LabelError(f"{folder} cannot be read as a folder ({error.strerror}); check the path") from error


def _files(folder: Path) -> list[Path]:
    """Return all files below a folder but hidden ones, such as macOS' `._` companions."""
    _entries(folder)
    try:
        return _below(folder)
    except RecursionError as error:
        raise LabelError(f"{folder} has folders nested too deep; check the path") from error
    except OSError as error:  # not ours to read, or gone meanwhile
        raise LabelError(f"{folder} cannot be read as a folder ({error}); check the path") from error


def _below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not path.name.startswith(".") and path.is_file())


def _by_stem(paths) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        other = found.setdefault(plain_name(path.stem), path)
        if other != path:
            raise LabelError(f"{other} and {path} have the same name, so that labels cannot be told apart; rename one")
    return found
