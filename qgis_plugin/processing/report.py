"""The figures of an evaluation as a page."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from qgis.PyQt.QtCore import QCoreApplication

_PAGE = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>{title}</title></head>
<body><h2>{title}</h2>
<p>{layers}</p>
<table border="1" cellspacing="0" cellpadding="4">
{rows}
</table>
{notes}
</body></html>
"""


def page(figures: Mapping[str, Any], detections: str, truth: str) -> str:
    """Return an HTML page: a row a class, then all together; it sets no colours, so it suits dark themes too.

    Args:
        figures: as `geodetect evaluate --json` gives them.
        detections, truth: names of the layers.
    """
    columns = {
        "truths": _tr("Objects"),
        "hits": _tr("Hits"),
        "misses": _tr("Misses"),
        "false_alarms": _tr("False alarms"),
        "duplicates": _tr("Duplicates"),
        "precision": _tr("Precision"),
        "recall": _tr("Recall"),
        "f1": "F1",
        "ap50": "AP50",
        "ap": "AP",
        "best_f1": _tr("Best F1"),
        "best_score": _tr("at score"),
    }
    rows = [_row([_tr("Class"), *columns.values()], "th")]
    named = [*figures["classes"].items(), (_tr("all"), figures["all"])]
    rows += [_row([name, *(_cell(row[key]) for key in columns)], "td") for name, row in named]
    layers = _tr("{detections} compared with {truth}; a hit overlaps by an IoU of at least {iou}.")
    return _PAGE.format(
        title=html.escape(_tr("Detections and the truth")),
        layers=html.escape(layers.format(detections=detections, truth=truth, iou=f"{figures['iou']:g}")),
        rows="\n".join(rows),
        notes="\n".join(f"<p>{html.escape(note)}</p>" for note in figures["notes"]),
    )


def _row(cells: Sequence[str], tag: str) -> str:
    first, *others = (html.escape(cell) for cell in cells)
    numbers = "".join(f'<{tag} align="right">{cell}</{tag}>' for cell in others)
    return f'<tr><{tag} align="left">{first}</{tag}>{numbers}</tr>'


def _cell(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _tr(text: str) -> str:
    return QCoreApplication.translate("Report", text)
