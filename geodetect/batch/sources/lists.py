"""Scenes in text and CSV files."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator

from geodetect.batch.sources.entries import Origin, printable
from geodetect.batch.sources.folders import RASTERS
from geodetect.batch.sources.remote import read
from geodetect.errors import ConfigError

COLUMNS = ("scene", "path", "file", "filename", "url", "href", "location", "uri")
MOST_BYTES = 64 << 20
MOST_SCENES = 1_000_000
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def listed(place: str, is_table: bool, allow_vsi: bool = False) -> list[str]:
    """Return the scenes that a text file lists, one a line, or a CSV file in a column.

    Blank lines and those that begin with # are left out. A CSV file's column is the first of `COLUMNS` that it has,
    else the first. Relative paths are relative to the list.

    Args:
        place: of the list, a path or an address.
        is_table: whether it is CSV, separated by commas, semicolons or tabs.
        allow_vsi: see `Origin`.

    Raises:
        ConfigError: it cannot be read, or has an entry that a list may not have; names file and line.
        DownloadError: the server does not give it.
    """
    content, place = read(place, MOST_BYTES)
    text = _text(content, place).replace("\r\n", "\n").replace("\r", "\n")
    origin = Origin(place, allow_vsi)
    scenes: list[str] = []
    for line, entry in _cells(text, place) if is_table else _lines(text):
        if len(scenes) >= MOST_SCENES:
            raise ConfigError(f"{printable(place)} lists more than {MOST_SCENES:,} scenes; split it into several")
        scenes.append(origin.resolve(entry, f"{printable(place)}, line {line}"))
    if not scenes:
        raise ConfigError(f"{printable(place)} lists no scenes; write one path or address a line")
    return scenes


def _text(content: bytes, place: str) -> str:
    """Return the text of UTF-8, or of UTF-16 with a mark, as PowerShell writes it."""
    encoding = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{printable(place)}, line {line}: it is not UTF-8 text; save it as UTF-8") from error


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and entry of each line, without the quotes that Windows puts round a copied path."""
    for number, line in enumerate(text.split("\n"), 1):
        entry = line.strip(" \t")
        if entry and not entry.startswith("#"):
            yield number, entry[1:-1] if len(entry) > 2 and entry[0] == entry[-1] == '"' else entry


def _cells(text: str, place: str) -> Iterator[tuple[int, str]]:
    """Yield line number and entry of each row."""
    first = next((line for line in text.split("\n") if line.strip() and not line.startswith("#")), "")
    delimiter = max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    column = None
    try:
        for row in rows:
            if not any(cell.strip() for cell in row) or row[0].startswith("#"):
                continue
            if column is None:
                column, is_header = _column(row)
                if is_header:
                    continue
            yield rows.line_num, row[column].strip() if column < len(row) else ""
    except csv.Error as error:
        raise ConfigError(f"{printable(place)}, line {rows.line_num}: it is no CSV ({error}); correct it") from error


def _column(row: list[str]) -> tuple[int, bool]:
    """Return which column holds the scenes, and whether the first row holds names and none."""
    names = [cell.strip().lower() for cell in row]
    for name in COLUMNS:
        if name in names:
            return names.index(name), True
    return 0, not ("/" in names[0] or "\\" in names[0] or names[0].endswith(RASTERS))
