"""`geodetect convert`: Darknet's weights to a checkpoint or a model package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geodetect.card import FAMILIES
from geodetect.cli import options


@click.command(short_help="Turn Darknet weights into a checkpoint or a model package.")
@click.argument("file")
@click.argument("out")
@click.option("--family", type=click.Choice(FAMILIES), help="Network of the file.  [default: what its length fits]")
@click.option("--names", type=click.Path(path_type=Path), help="Classes, one a line.  [default: COCO's where 80]")
@click.option("--card", type=click.Path(path_type=Path), help="Model card (YAML) of the package.")
@click.option("--name", help="Name of the model.  [default: the file's]")
@click.option("--size", type=int, metavar="PX", help="Side of the canvas.  [default: 416; yolov4 608]")
@click.option("--licence", default="", help="Licence of the weights, for the card.")
@click.option("--float16", is_flag=True, help="Store float16, in half the space (not in a .ckpt).")
@options.overwrite
def convert(file: str, out: str, float16: bool, **settings: Any) -> None:
    """Convert FILE, Darknet weights of YOLOv3, YOLOv4 or YOLOv3-Tiny, to OUT.

    OUT is a checkpoint where it ends in .ckpt or .safetensors, else the folder of a model package, which computes what
    Darknet computes. Partial files such as darknet53.conv.74 or yolov3-tiny.conv.15 give a checkpoint to start a
    training from. Both may be s3:// or obs:// addresses.
    """
    from geodetect.package import CARD
    from training.packaging.convert import ConvertSettings
    from training.packaging.convert import convert as run
    from training.storage import check_vacant, fetch, sent

    wanted = ConvertSettings(dtype="float16" if float16 else "float32", **settings)
    if not wanted.overwrite:
        check_vacant(out)
    with sent(out, last=CARD) as place:
        found, package = run(fetch(file), place, wanted)
    part = "complete" if found.is_complete else f"the first {found.convolutions} of {found.total} convolutions"
    classes = f", {found.n_classes} classes" if found.n_classes else ""
    click.echo(f"{Path(file).name}: {found.family}{classes}, {part}; written to {out}")
    if package is not None:
        click.echo(f"Licence: {package.licence_note}")
