"""`geodetect quantize`: a model in eight bits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geodetect.cli import options

if TYPE_CHECKING:
    from training.packaging.quantize import Quantized


@click.command(short_help="Make a model smaller and faster: INT8.")
@click.argument("model")
@click.argument("folder")
@click.option("--data", required=True, metavar="FOLDER", help="Prepared data set; may be a URL.")
@options.card
@click.option("--images", type=int, default=100, show_default=True, help="Images to calibrate on.")
@click.option(
    "--calibration", type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of images to calibrate on.  [default: the data's train split]",
)  # fmt: skip
@click.option(
    "--max-loss",
    type=float,
    default=1.0,
    show_default=True,
    metavar="POINTS",
    help="Most AP that may be lost, per cent.",
)
@click.option("--size", type=int, metavar="PX", help="Side of the canvas.  [default: the card's]")
@click.option("--name", help="Name of the model.  [default: the card's with -int8; with --keep-float: the card's]")
@click.option("--keep-float", is_flag=True, help="Keep MODEL's weights beside; --precision int8 then takes the others.")
@options.overwrite
@options.progress
def quantize(model: str, folder: str, data: str, card: str | None, progress: str, **settings: Any) -> None:
    """Write FOLDER, a model package whose network computes in INT8, from a trained MODEL.

    MODEL is a training run's folder, a checkpoint with its --card, a model package, or a name of `geodetect models
    list`; FOLDER may be an s3:// or obs:// address. The ranges of values are taken from images of --data; its val split
    tells the average precision before and after, in OpenVINO and in ONNX Runtime, which both run the one file. Where AP
    falls by more than --max-loss, nothing is written.
    """
    import json

    from geodetect.cli.console import make_reporter
    from geodetect.package import CARD
    from training.packaging.quantize import QuantizeSettings
    from training.packaging.quantize import quantize as run
    from training.source import open_source
    from training.storage import check_vacant, fetch, sent

    wanted = QuantizeSettings(**settings)
    with make_reporter(progress) as reporter:
        if not wanted.overwrite:
            check_vacant(folder)
        with sent(folder, reporter, last=CARD) as place:
            found = run(open_source(model, card, reporter), fetch(data, reporter=reporter), place, wanted, reporter)
    if progress == "json":
        return click.echo(json.dumps({"type": "result", "output": folder, **report(found)}))
    print_table(found)
    click.echo(f"{found.package.card.name} is written to {folder}")
    click.echo(f"Licence: {found.package.licence_note}")


def report(found: Quantized) -> dict[str, Any]:
    """Return the figures before and after as plain values."""
    import dataclasses

    parts = {"before": found.before, "after": found.after}
    return {name: [dataclasses.asdict(row) for row in rows] for name, rows in parts.items()}


def print_table(found: Quantized) -> None:
    """Print one row a precision and engine."""
    from rich.console import Console
    from rich.table import Table

    table = Table("Arithmetic", "Engine", box=None, pad_edge=False)
    for heading in ("AP50", "AP", "ms an image", "Speed-up"):
        table.add_column(heading, justify="right")
    first = found.before[0].milliseconds
    for row in (*found.before, *found.after):
        speed = f"{first / row.milliseconds:.1f}"
        table.add_row(row.precision, row.engine, f"{row.ap50:.4f}", f"{row.ap:.4f}", f"{row.milliseconds:.1f}", speed)
    Console().print(table)
