"""A picture of a run: its losses, its learning rate and its accuracy over the steps."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geodetect.files import replacing
from training.run.metrics import CSV, read_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVE = "curve.png"
_NO_TERMS = {"step", "epoch", "loss", "gradient_norm", "lr", "images_per_s", "AP50", "AP"}


def draw_curve(folder: Path) -> Path | None:
    """Draw metrics.csv of a run's folder to curve.png and return its path.

    None where nothing was measured yet, or Matplotlib is not installed.
    """
    rows = read_metrics(folder / CSV)
    if not rows or importlib.util.find_spec("matplotlib") is None:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 8), layout="constrained")
    FigureCanvasAgg(figure)
    losses, scores, rates = figure.subplots(3, sharex=True, height_ratios=(3, 2, 1))
    steps = [int(row["step"]) for row in rows]
    losses.plot(steps, [float(row["loss"]) for row in rows], color="black", linewidth=2, label="loss")
    for name in rows[0]:
        if name not in _NO_TERMS:
            losses.plot(steps, [float(row[name]) for row in rows], linewidth=1, label=name)
    _set_scale(losses)
    losses.set_ylabel("loss an image")
    losses.legend(ncols=3)
    evaluated = [row for row in rows if row["AP50"]]
    for name in ("AP50", "AP"):
        scores.plot([int(row["step"]) for row in evaluated], [float(row[name]) for row in evaluated], ".-", label=name)
    scores.set_ylim(0, 1)
    scores.set_ylabel("on the val split")
    scores.legend()
    rates.plot(steps, [float(row["lr"]) for row in rows], color="grey")
    rates.set_ylabel("learning rate")
    rates.set_xlabel("step")
    rates.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axis in (losses, scores, rates):
        axis.grid(alpha=0.3)
    with replacing(folder / CURVE) as temporary:
        figure.savefig(temporary, dpi=110)
    return folder / CURVE


def _set_scale(losses: Axes) -> None:
    """Make the scale logarithmic where the values span more than a decade, with plain numbers at 1, 2 and 5."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in losses.lines])
    values = values[np.isfinite(values) & (values > 0)]
    if not values.size or values.max() < 10 * values.min():
        return
    losses.set_yscale("log")
    losses.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    losses.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    losses.yaxis.set_minor_formatter(NullFormatter())
