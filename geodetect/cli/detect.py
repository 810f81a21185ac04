"""`geodetect detect`, or just `geodetect SCENE`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from geodetect.cli import options
from geodetect.cli.console import JsonReporter, make_reporter
from geodetect.errors import OutputError
from geodetect.pipeline import DetectResult
from geodetect.pipeline import detect as run_detect


@click.command()
@click.argument("scenes", metavar="SCENE...", nargs=-1, required=True)
@click.option(
    "-o", "--output", metavar="FILE|FOLDER", help="File to write, its ending names the format; a folder for many."
)
@click.option("--format", "ending", default=".gpkg", metavar=".EXT", help="Format where --output names no file.")
@click.option("--preview", metavar="FILE", help="Also draw the detections over the scene, PNG or JPEG.")
@options.overwrite
@options.progress
@options.settings
def detect(
    scenes: tuple[str, ...],
    output: str | None,
    ending: str,
    preview: str | None,
    overwrite: bool,
    progress: str,
    config: str | None,
    **values: Any,
) -> None:
    """Find objects in scenes and write them as map features.

    SCENE is a GeoTIFF, COG, VRT, JPEG 2000, JPEG, PNG or whatever else GDAL opens, or a URL of one. The result is
    SCENE_detections.gpkg beside it: a GeoPackage in the scene's CRS with a style for QGIS. Other endings of
    --output give .geojson, .fgb, .parquet, .csv or .json (COCO).
    """
    settings = options.detect_config(config, values)
    if len(scenes) > 1 and preview:
        raise OutputError("--preview takes one picture, but there are many scenes; run them one by one")
    for scene in scenes:
        with make_reporter(progress) as reporter:
            result = run_detect(
                scene,
                output=_target(scene, output, ending, many=len(scenes) > 1),
                overwrite=overwrite,
                preview=preview,
                config=settings,
                reporter=reporter,
            )
        if isinstance(reporter, JsonReporter):
            run = {key: value for key, value in result.run.items() if key != "notes"}
            reporter.emit({"type": "result", "output": str(result.output), "count": len(result.detections), **run})
        elif progress != "none":
            print_summary(result)


def _target(scene: str, output: str | None, ending: str, many: bool) -> Path:
    remote = "://" in scene
    name = scene.rstrip("/").rsplit("/", 1)[-1].split("?")[0]
    default = f"{Path(name).stem}_detections{ending if ending.startswith('.') else '.' + ending}"
    if output is None:
        return Path(default) if remote else Path(scene).with_name(default)
    if Path(output).is_dir():
        return Path(output) / default
    if many:
        raise OutputError(f"the output {output} is no folder, but there are many scenes; create it, or give a folder")
    return Path(output)


def print_summary(result: DetectResult) -> None:
    """Print what was found, how long it took and where it is."""
    run, console = result.run, Console()
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(justify="right")
    table.add_column()
    for name, count in sorted(result.counts.items(), key=lambda item: -item[1]):
        table.add_row(f"{count:,}", name)
    console.print(table if result.counts else "Nothing found.")
    skipped = f", {run['tiles_skipped']:,} skipped" if run["tiles_skipped"] else ""
    console.print(
        f"{run['tiles']:,} tiles{skipped} in {run['seconds']:.1f} s · {run['model']} {run['model_version']} · "
        f"{run['engine']} on {run['device']}, {run['precision']}",
        highlight=False,
    )
    if run["licence"]:
        console.print(f"Model licence: {run['licence']}", highlight=False, soft_wrap=True)
    if result.output:
        console.print(f"Wrote {result.output}", highlight=False, soft_wrap=True)
