"""`geodetect prepare`: labelled images -> tiles and COCO JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from geodetect.cli import options
from geodetect.errors import ConfigError

if TYPE_CHECKING:
    from training.prepare import Report


class Numbers(options.Names):
    """Comma-separated numbers."""

    name = "N,N,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a tuple of floats."""
        try:
            return tuple(float(part) for part in super().convert(value, param, ctx))
        except ValueError:
            option = param.name if param is not None and param.name else "the option"
            raise ConfigError(f"{option} is {value!r}, give numbers with commas between") from None


class Renames(options.Names):
    """`old=new,...`."""

    name = "OLD=NEW,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a mapping of names."""
        pairs = [part.partition("=") for part in super().convert(value, param, ctx)]
        if not all(old.strip() and new.strip() for old, _, new in pairs):
            raise ConfigError(f"class_map is {value!r}, give pairs such as small-vehicle=vehicle,large-vehicle=vehicle")
        return {old.strip(): new.strip() for old, _, new in pairs}


@click.command(short_help="Cut labelled images into tiles for training.")
@click.argument("data", nargs=-1, required=True, metavar="DATA...")
@click.option("-o", "--out", required=True, metavar="FOLDER", help="Folder of the data set to be made.")
@click.option("--labels", metavar="FILE|FOLDER", help="Labels that do not lie in DATA, such as a vector layer.")
@click.option(
    "--kind", type=click.Choice(["auto", "dota", "coco", "yolo", "layer"]), help="Kind of labels.  [default: auto]"
)
@click.option("--tile", type=int, metavar="PX", help="Side of a tile.  [default: 600]")
@click.option("--overlap", type=float, metavar="N", help="Overlap of tiles, share of the side.  [default: 0.2]")
@click.option("--scales", type=Numbers(), help="Sizes to cut the images at, such as 1,0.5,0.25.  [default: 1]")
@options.classes
@click.option("--class-map", type=Renames(), help="Rename or join classes.")
@click.option(
    "--min-inside", type=float, metavar="N", help="Objects with less inside a tile are ignored.  [default: 0.7]"
)
@click.option("--min-size", type=float, metavar="PX", help="Objects with a shorter side are ignored.  [default: 2]")
@click.option(
    "--difficult", type=click.Choice(["ignore", "keep", "drop"]), help="Difficult objects.  [default: ignore]"
)
@click.option("--doubles", type=click.Choice(["keep", "drop"]), help="Objects labelled twice.  [default: keep]")
@click.option("--val-share", type=float, metavar="N", help="Share of images for validation.  [default: 0.1]")
@click.option("--empty-rate", type=float, metavar="N", help="Share of tiles without object to keep.  [default: 0.1]")
@click.option("--jpeg", type=int, metavar="QUALITY", help="Write JPEG instead of lossless PNG.")
@options.bands
@options.stretch
@click.option("--class-field", metavar="NAME", help="Attribute of a layer that holds the class.")
@click.option("--layer", metavar="NAME", help="Layer of a vector file.  [default: the first]")
@click.option("--point-size", type=float, metavar="M", help="Side of the boxes around a layer's points, metres.")
@click.option("--anchors", type=int, metavar="N", help="Fit N anchors to the boxes, 6 or 9.")
@click.option("--network-size", type=int, metavar="PX", help="Input side that anchors are for.  [default: as the tile]")
@click.option("--workers", type=int, metavar="N", help="Processes.  [default: one a core]")
@click.option("--overwrite", is_flag=True, help="Replace a data set that was made with other settings.")
@options.progress
def prepare(data: tuple[str, ...], progress: str, **values: Any) -> None:
    """Cut labelled images into tiles and COCO annotations, ready for `geodetect train`.

    \b
    DATA is one of
      a DOTA folder        images/ and labelTxt/, also within train/ and val/
      COCO                 a folder with annotations/, or a JSON file
      a YOLO folder        images/ and labels/, or data.yaml
      scenes               with --labels layer.gpkg: polygons or points with a class

    DATA, FOLDER and the labels may be s3:// or obs:// addresses. A stopped run goes on when the same command is given
    again.
    """
    from geodetect.cli.console import make_reporter
    from training.prepare import PrepareSettings
    from training.prepare import prepare as run

    settings = PrepareSettings(data, **{name: value for name, value in values.items() if value is not None})
    with make_reporter(progress) as reporter:
        report = run(settings, reporter)
    if progress == "json":
        import json

        click.echo(json.dumps({"type": "result", "output": settings.out, "report": report.to_dict()}))
    else:
        print_report(report, settings.out)


def print_report(report: Report, out: str) -> None:
    """Print one row a class, then tiles, what was dropped and ignored, and anchors."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("Class", "Labels", "Boxes train", "val", "Size 5 %", "50 %", "95 % px"):
        table.add_column(heading, justify="left" if heading == "Class" else "right")
    for name in report.classes:
        boxes = [f"{report.splits[split].boxes[name]:,}" for split in ("train", "val")]
        sizes = [f"{report.sizes[name][p]:g}" if name in report.sizes else "–" for p in ("5", "50", "95")]
        table.add_row(name, f"{report.objects[name]:,}", *boxes, *sizes)
    Console().print(table)
    for line in lines(report):
        click.echo(line)
    click.echo(f"The data set is in {out}; look at {out}/contact_sheet.png")


def lines(report: Report) -> list[str]:
    """Return what the table does not say, one sentence each."""
    found = []
    for name, split in report.splits.items():
        if split.tiles:
            found.append(
                f"{name}: {split.tiles:,} tiles of {split.images:,} images, {split.empty_tiles:,} without object, "
                f"at most {split.most_boxes:,} boxes a tile, {split.ignored:,} ignored boxes"
            )
    for what, counts in (("Ignored boxes", report.ignored), ("Dropped labels", report.dropped)):
        if counts:
            found.append(f"{what}: " + ", ".join(f"{count:,} {reason}" for reason, count in counts.items()))
    for count, what in (
        (report.unseen, "objects are whole enough in no tile; a larger --overlap or --tile may show them"),
        (report.left_out, "tiles without object left out"),
        (report.without_data, "tiles without data left out"),
    ):
        if count:
            found.append(f"{count:,} {what}")
    if report.gsd:
        least, middle, largest = report.gsd
        found.append(f"Ground sample distance: {least:g} to {largest:g} m, median {middle:g} m")
    if report.anchors:
        heads = [[list(anchor) for anchor in head] for head in report.anchors.sizes]
        found.append(f"anchors: {heads}  # for {report.anchors.size} px, mean best IoU {report.anchors.mean_iou:.3f}")
    return found
