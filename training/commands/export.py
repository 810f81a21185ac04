"""`geodetect export`: a trained network to a model package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from geodetect.cli import options

if TYPE_CHECKING:
    from training.packaging.agreement import Agreement
    from training.packaging.export import Exported


@click.command(short_help="Turn a trained network into a model package.")
@click.argument("model")
@click.argument("folder")
@options.card
@click.option(
    "--formats", type=options.Names(), default="safetensors,onnx,mindir", show_default=True,
    help="Files to write: safetensors, onnx, mindir, air.",
)  # fmt: skip
@click.option("--float16", is_flag=True, help="Store the parameters as float16, in half the space.")
@click.option("--keep-detect", is_flag=True, help="Also write the network with its detection layer: boxes, not heads.")
@click.option("--size", type=int, metavar="PX", help="Side of the canvas.  [default: the card's]")
@click.option("--batch", type=int, default=1, show_default=True, help="Images that the MindIR file takes at once.")
@click.option("--name", help="Name of the model.  [default: the card's]")
@options.overwrite
@options.progress
def export(
    model: str, folder: str, card: str | None, formats: tuple[str, ...], float16: bool, progress: str, **settings: Any
) -> None:
    """Write FOLDER, a model package that `geodetect -m FOLDER` runs, from a trained MODEL.

    MODEL is the folder of a training run, whose best checkpoint is taken, a checkpoint with its --card, a model
    package, or a name of `geodetect models list`.

    FOLDER, which may be an s3:// or obs:// address, gets the card (model.yaml), weights.safetensors, model.onnx (any
    batch and size) and model.mindir (one batch and size). All are run on the same input and must agree, else nothing is
    written. With --keep-detect there are detector.onnx and detector.mindir too, which take RGB / 255 and give boxes;
    QGIS Deepness and GeoDeep read the former.
    """
    import json

    from geodetect.cli.console import make_reporter
    from geodetect.package import CARD
    from training.packaging.export import ExportSettings
    from training.packaging.export import export as run
    from training.source import open_source
    from training.storage import check_vacant, sent

    wanted = ExportSettings(formats=formats, dtype="float16" if float16 else "float32", **settings)
    with make_reporter(progress) as reporter:
        if not wanted.overwrite:
            check_vacant(folder)
        with sent(folder, reporter, last=CARD) as place:
            exported = run(open_source(model, card, reporter), place, wanted, reporter)
    if progress == "json":
        return click.echo(json.dumps({"type": "result", "output": folder, **report(exported)}))
    print_agreements(exported.agreements)
    click.echo(f"{exported.package.card.name} is written to {folder}: {', '.join(exported.files)}")
    click.echo(f"Licence: {exported.package.licence_note}")


def report(exported: Exported) -> dict[str, Any]:
    """Return what was written, and how exactly it agrees, as plain values."""
    import dataclasses

    agreements = [dataclasses.asdict(row) for row in exported.agreements]
    return {"name": exported.package.card.name, "files": list(exported.files), "agreements": agreements}


def print_agreements(agreements: tuple[Agreement, ...]) -> None:
    """Print one row a file and engine: how far each output is from the reference's."""
    from rich.console import Console
    from rich.table import Table

    table = Table("File", "Run by", box=None, pad_edge=False)
    table.add_column("Off by, of an output's largest value", justify="right")
    for index, row in enumerate(agreements):
        off = ", ".join(f"{value:.0e}" for value in row.deviations)
        table.add_row(row.file, row.engine, "the reference" if not index else off)
    Console().print(table)
