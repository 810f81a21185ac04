"""Precision against recall, and which class is taken for which, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geodetect.card import PALETTE
from geodetect.errors import TrainingError
from geodetect.files import replacing
from training.scoring.result import ClassScores, Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEGEND = 20  # classes named beside the curves
_NUMBERS = 24  # classes up to which each cell of the matrix shows its number
_DPI = 120


def draw_curves(path: Path, scores: Scores, colours: Sequence[str] = PALETTE) -> None:
    """Write precision against recall at IoU 0.5 as PNG: a line a class, the point of the best F1 marked on it.

    Args:
        path: of the PNG.
        scores: what to draw.
        colours: "#rrggbb", one a class, repeated where there are fewer.
    """
    figure = _figure(9, 6)
    axes = figure.add_subplot()
    rows = sorted((row for row in scores.per_class if row.truths), key=lambda row: -row.ap50)
    for place, row in enumerate(rows):
        colour = colours[scores.classes.index(row.name) % len(colours)]
        _draw_class(axes, row, colour, named=place < _LEGEND)
    if len(rows) > _LEGEND:
        axes.plot([], [], " ", label=f"and {len(rows) - _LEGEND} more")
    axes.set(xlim=(0, 1.005), ylim=(0, 1.005), xlabel="Recall", ylabel="Precision")
    images = f"{scores.images:,} image{'s' if scores.images != 1 else ''}"
    axes.set_title(f"Precision and recall at IoU 0.5, {images}", loc="left", fontsize=11)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if rows:
        title = "AP50 · best F1 at its score (dot)"
        axes.legend(title=title, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=8,
                    title_fontsize=8, alignment="left")  # fmt: skip
    else:
        axes.text(0.5, 0.5, "no object to find", ha="center", color="#666666")
    _save(figure, path)


def draw_confusion(path: Path, scores: Scores) -> None:
    """Write the confusion matrix as PNG: a row a true class, as shares of its objects, a column a found class.

    The last row holds false alarms, as shares of all of them, the last column what was missed.
    """
    counts = scores.confusion
    names = [*scores.classes, "background"]
    side = max(4.0, (0.42 if len(names) <= _NUMBERS else 0.24) * len(names) + 2.4)
    figure = _figure(side + 0.8, side)
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    font = 9 if len(names) <= 12 else 7
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor", fontsize=font)
    axes.set_yticks(range(len(names)), names, fontsize=font)
    axes.set(xlabel="Found", ylabel="True")
    axes.set_title("Confusion at IoU 0.5", loc="left", fontsize=11)
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(len(names) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="minor", length=0)
    if len(names) <= _NUMBERS:
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[row, column] > 0.6 else "black"
            axes.text(
                column, row, f"{counts[row, column]:,}", ha="center", va="center", color=colour, fontsize=font - 1
            )
    bar = figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.03)
    bar.set_label("share of the row", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    _save(figure, path)


def _draw_class(axes: Axes, row: ClassScores, colour: str, named: bool) -> None:
    precision, recall, score = row.curve.T if len(row.curve) else np.zeros((3, 1))
    best = f"{row.best_f1:.3f} at {row.best_score:.2f}" if row.best_f1 > 0 else "–"
    label = f"{row.name}  {row.ap50:.3f} · {best}"
    start = precision[:1]  # the curve begins at the axis with the precision of the strongest detection
    axes.plot(np.append(0, recall), np.append(start, precision), color=colour, linewidth=1.4,
              label=label if named else None)  # fmt: skip
    if row.best_f1 > 0:
        at = np.flatnonzero(score >= row.best_score)[-1]
        axes.plot(recall[at], precision[at], "o", color=colour, markersize=6, markeredgecolor="white")


def _figure(width: float, height: float) -> Figure:
    """Return a figure of its own, in inches: nothing of matplotlib's state, no window."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise TrainingError('pictures need matplotlib: pip install "geodetect[train]"') from None
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, format="png", bbox_inches="tight", pad_inches=0.15)  # by Agg
