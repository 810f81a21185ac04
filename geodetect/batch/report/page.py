"""The report of a batch: one HTML file that needs no other, and no network."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from geodetect.batch.record import Record, notes_of
from geodetect.batch.report.atlas import make_atlas
from geodetect.batch.report.footprints import read_footprints
from geodetect.batch.report.pictures import embedded
from geodetect.batch.report.shown import shown_name, shown_reason
from geodetect.batch.report.summary import class_names
from geodetect.card import PALETTE
from geodetect.files import replacing
from geodetect.progress import Caution
from geodetect.shown import shown, shown_path

_MOST_NOTES = 24  # the others are in summary.csv
FIRST_PICTURES = 12  # seen at once; the others on a click
_TOLD = ("title", "model", "model_version", "licence", "attribution", "settings", "geodetect", "begun", "engine")
_ORDER = {"failed": 0, "running": 1, "done": 2, "waiting": 3, "outside": 4}
_COLUMNS = 3  # so many classes get a column of the table each
_LIMITS = (1, 10, 100, 1000)  # objects a scene, where the map's colours change


@dataclass(frozen=True)
class Row:
    """One scene as the page shows it.

    Attributes:
        number: of its row, what links lead to.
        name, path: of the scene.
        href: to its output; "" where there is none.
        state, reason, attempts, tiles, seconds, ended: as in `Record`.
        count: objects.
        counts: by class, in the order of the page's classes.
        most: class and count of the few that were found most.
        others: how many objects are of none of these.
        mark: the map's class of colour.
        cautions: those of its notes.
    """

    number: int
    name: str
    path: str
    href: str
    state: str
    reason: str
    attempts: int
    tiles: int
    seconds: float
    ended: str
    count: int
    counts: list[int]
    most: list[tuple[int, int]]
    others: int
    mark: str
    cautions: list[str]


def write_report(
    path: Path, records: Sequence[Record], about: Mapping[str, Any], quicklooks: Path | None = None
) -> None:
    """Write the report of a batch, replacing `path` only when all is written.

    Args:
        path: ends in .html, in the folder of the scenes' outputs.
        records: the batch's scenes.
        about: title, model, model_version, licence, attribution, palette {class: "#rrggbb"}, settings {name: value},
            geodetect (version), begun, seconds (so far), engine; any may be missing.
        quicklooks: folder with a picture `STEM.jpg` for the output STEM with any ending.

    Raises:
        OutputError: the disk is full or the folder not writable.
    """
    page = _page(records, about, quicklooks)
    with replacing(path) as temporary, temporary.open("wb") as file:
        for part in page:
            file.write(part.encode("utf-8"))


def _page(records: Sequence[Record], about: Mapping[str, Any], quicklooks: Path | None) -> Iterable[str]:
    import jinja2
    from markupsafe import Markup

    palette = about.get("palette") or {}
    classes = class_names(records, palette)
    totals = Counter[str]()
    for record in records:
        totals.update(record.counts)
    classes.sort(key=lambda name: -totals[name])  # stable: the model's order among equals
    rows = [_row(number, record, classes) for number, record in enumerate(records)]
    pictures, pictured = embedded(records, quicklooks)
    shapes = read_footprints([record.footprint for record in records])
    style, script = _resource("report.css") + _colours(classes, palette), _resource("report.js")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"duration": duration, "number": "{:,}".format}
    return environment.from_string(_resource("report.html")).generate(
        style=Markup(style),  # ours, but for checked colours
        script=Markup(script),  # ours
        style_hash=_hash(style),
        script_hash=_hash(script),
        about={key: _shown(about.get(key)) for key in _TOLD},
        figures=_figures(rows, about.get("seconds"), [shape is not None for shape in shapes]),
        classes=[(number, shown(name), totals[name]) for number, name in enumerate(classes)],
        columns=len(classes) if len(classes) <= _COLUMNS else 0,
        rows=rows,
        tried=any(row.attempts > 1 for row in rows),
        order=sorted(rows, key=lambda row: (_ORDER.get(row.state, 0), -row.count, row.name)),
        marks=sorted({row.mark for row, shape in zip(rows, shapes, strict=True) if shape is not None}),
        sheets=make_atlas(shapes, np.array([1.0 + row.count for row in rows]), _on_top(rows)),
        pictures=pictures,
        pictured=pictured,
        first_pictures=FIRST_PICTURES,
        notes=[(shown(note), noted, isinstance(note, Caution)) for note, noted in _noted(records)],
        most_notes=_MOST_NOTES,
    )


def _row(number: int, record: Record, classes: Sequence[str]) -> Row:
    failed = record.state == "failed"
    counts = [record.counts.get(name, 0) for name in classes]
    most = [(place, count) for place, count in sorted(enumerate(counts), key=lambda one: -one[1]) if count][:_COLUMNS]
    return Row(
        number=number,
        name=shown_name(record.scene),
        path=shown_path(record.scene),
        href=_href(record.output) if record.state == "done" else "",
        state=shown(record.state),
        reason=shown_reason(record, shown_name(record.scene)) if failed else "",
        attempts=record.attempts,
        tiles=record.tiles,
        seconds=record.seconds,
        ended=shown(record.ended)[:16].replace("T", " "),
        count=record.count,
        counts=counts,
        most=most,
        others=record.count - sum(count for _, count in most),
        mark="f" if failed else "w" if record.state != "done" else f"d{sum(record.count >= one for one in _LIMITS)}",
        cautions=[shown(note) for note in record.notes if isinstance(note, Caution)],
    )


def _noted(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Return all notes, each with the scene that has it, or how many have."""
    many = "{:,} scenes".format
    return [(n, shown_name(r[0].scene) if len(r) == 1 else many(len(r))) for n, r in notes_of(records)]


def _on_top(rows: Sequence[Row]) -> np.ndarray:
    """Return how high each scene lies on the map: above all those that failed, then those with most objects."""
    return np.array([np.inf if row.state == "failed" else row.count for row in rows], float)


def _href(output: str) -> str:
    """Return a link to a file beside the report; none to any other place."""
    if Path(output).name != output or output in ("", ".."):
        return ""
    return "./" + quote(os.fsencode(output), safe="")  # with ./ a name such as javascript:x is no address


def _figures(rows: Sequence[Row], seconds: Any, placed: Sequence[bool]) -> dict[str, Any]:
    states = Counter(row.state for row in rows)
    done, failed, outside = states["done"], states["failed"], states["outside"]
    is_timed = isinstance(seconds, (int, float)) and seconds > 0
    rate = (done + failed) / seconds * 3600 if is_timed and done + failed else 0.0
    return {
        "scenes": len(rows),
        "done": done,
        "failed": failed,
        "running": states["running"],
        "outside": outside,
        "left": len(rows) - done - failed - outside,
        "objects": sum(row.count for row in rows),
        "with_objects": sum(row.count > 0 for row in rows),
        "no_crs": sum(row.state == "done" and not there for row, there in zip(rows, placed, strict=True)),
        "unseen": sum(
            row.state not in ("done", "outside") and not there for row, there in zip(rows, placed, strict=True)
        ),
        "tiles": sum(row.tiles for row in rows),
        "seconds": float(seconds) if is_timed else 0.0,
        "rate": f"{rate:,.0f}" if rate >= 20 else f"{rate:.1f}" if rate else "",
    }


def duration(seconds: float) -> str:
    """Return a span of time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes < 6000 else f"{minutes / 60:,.0f} h"


def _colours(classes: Sequence[str], palette: Mapping[str, Any]) -> str:
    """Return a style of each class's colour; what is no colour is replaced, so that nothing else gets in."""
    spare = [PALETTE[number % len(PALETTE)] for number in range(len(classes))]
    given = [str(palette.get(name, "")) for name in classes]
    valid = [one if re.fullmatch("#[0-9a-fA-F]{6}", one) else other for one, other in zip(given, spare, strict=True)]
    return "".join(f".c{number}{{--c:{colour}}}\n" for number, colour in enumerate(valid))


def _shown(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {shown(str(key)): _setting(one) for key, one in value.items() if one not in (None, [], ())}
    return "" if value is None else shown(str(value))


def _setting(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{shown(str(key))}={_setting(one)}" for key, one in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_setting, value))
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else shown(str(value))


def _resource(name: str) -> str:
    text = resources.files("geodetect.batch.report").joinpath(name).read_text("utf-8")
    return text.replace("\r\n", "\n")  # browsers do so before they take the hash


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()
