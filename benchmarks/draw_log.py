"""Draw the training of a model over all its runs, from the log in docs/models.

python -m benchmarks.draw_log
"""

from __future__ import annotations

import csv
from itertools import groupby
from pathlib import Path

import click
import numpy as np

from benchmarks.measure import ROOT

FOLDER = ROOT / "docs" / "models" / "planes-ships"


@click.command(help=__doc__)
@click.argument("log", type=click.Path(path_type=Path), default=FOLDER / "log.csv")
@click.argument("picture", type=click.Path(path_type=Path), default=FOLDER / "curve.png")
def main(log: Path, picture: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    loss, score = figure.subplots(2, 1, sharex=True)
    start, colours = 0, [f"C{number}" for number in range(10)]
    with log.open(newline="", encoding="utf-8") as file:
        runs = [(name, list(rows)) for name, rows in groupby(csv.DictReader(file), key=lambda row: row["run"])]
    for (name, rows), colour in zip(runs, colours, strict=False):
        steps = start + np.array([int(row["step"]) for row in rows])
        values = np.array([float(row["loss"]) for row in rows])
        loss.plot(steps, values, color=colour, alpha=0.35, linewidth=0.8)
        loss.plot(steps, _smooth(values), color=colour, linewidth=2)
        loss.annotate(
            name, (steps[0], 0.92), (3, 0), ("data", "axes fraction"), "offset points", color=colour, weight="bold"
        )
        for key, mark in (("AP50", "o-"), ("AP", "s--")):
            known = [(step, float(row[key])) for step, row in zip(steps, rows, strict=True) if row[key]]
            if known:
                score.plot(*zip(*known, strict=True), mark, color=colour, markersize=4)
        start = steps[-1]
        for axes in (loss, score):
            axes.axvline(start, color="0.85", linewidth=1, zorder=0)
    loss.set(yscale="log", ylabel="loss an image", yticks=(20, 50, 100, 200), yticklabels=(20, 50, 100, 200))
    loss.minorticks_off()
    score.plot([], [], "o-", color="0.3", label="AP50")
    score.plot([], [], "s--", color="0.3", label="AP")
    score.set(ylim=(0, 1), ylabel="on validation tiles", xlabel="steps of 8 images, run after run")
    score.legend(loc="lower right")
    for axes in (loss, score):
        axes.grid(alpha=0.3)
    figure.savefig(picture, dpi=100)


def _smooth(values: np.ndarray, width: int = 15) -> np.ndarray:
    """Return the running median, of fewer values at the ends."""
    half = width // 2
    return np.array([np.median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])


if __name__ == "__main__":
    main()
