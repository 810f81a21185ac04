"""`geodetect detect`, or just `geodetect SCENE`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from geodetect.cli import options
from geodetect.cli.console import JsonReporter, make_reporter
from geodetect.errors import Cancelled, GeodetectError, InputError, OutputError
from geodetect.files import check_writable
from geodetect.gdal import scene_name
from geodetect.pipeline import Detector, DetectResult
from geodetect.progress import Reporter
from geodetect.shown import shown


@click.command()
@click.argument("scenes", metavar="SCENE...", nargs=-1, required=True)
@click.option(
    "-o", "--output", metavar="FILE|FOLDER", help="File to write, its ending names the format; a folder for many."
)
@click.option("--format", "ending", default=".gpkg", metavar=".EXT", help="Format where --output names no file.")
@click.option("--preview", metavar="FILE", help="Also draw the detections over the scene, PNG or JPEG.")
@options.overwrite
@click.option("--skip-existing", is_flag=True, help="Leave out scenes whose output exists: to go on with many.")
@click.option(
    "--resume/--no-resume",
    default=True,
    help="Keep what is finished, and go on where the same run was stopped or killed.  [default: yes]",
)
@options.progress
@options.settings
def detect(
    scenes: tuple[str, ...],
    output: str | None,
    ending: str,
    preview: str | None,
    overwrite: bool,
    skip_existing: bool,
    resume: bool,
    progress: str,
    config: str | None,
    **values: Any,
) -> None:
    """Find objects in scenes and write them as map features.

    SCENE is a GeoTIFF, COG, VRT, JPEG 2000, JPEG, PNG or whatever else GDAL opens, or a URL of one. The result is
    SCENE_detections.gpkg beside it: a GeoPackage in the scene's CRS with a style for QGIS. Other endings of
    --output give .geojson, .fgb, .parquet, .csv or .json (COCO).

    Of many scenes, one that cannot be used does not keep the others from being done.
    """
    settings = options.detect_config(config, values)
    if len(scenes) > 1 and preview:
        raise OutputError("--preview takes one picture, but there are many scenes; run them one by one")
    jobs = _jobs(scenes, output, ending, overwrite, skip_existing)
    failed: list[GeodetectError] = []
    with Detector(settings) as detector:
        for number, (scene, target) in enumerate(jobs):
            try:
                with make_reporter(progress) as reporter:
                    result = detector.detect(
                        scene,
                        output=target,
                        overwrite=overwrite,
                        preview=preview,
                        resume=resume,
                        reporter=reporter,
                    )
            except (KeyboardInterrupt, Cancelled):
                if len(jobs) == 1:
                    raise
                done = number - len(failed)
                raise Cancelled(
                    f"Stopped with {done} of {len(jobs)} scenes done; go on with the same command and --skip-existing."
                ) from None
            except InputError as error:
                if len(jobs) == 1:
                    raise
                failed.append(error)
                click.echo(f"Error: {shown(str(error))}", err=True)
            else:
                _tell(result, reporter, progress)
    if failed:
        raise type(failed[-1])(f"{len(failed)} of {len(jobs)} scenes could not be done, see above; the others are")


def _jobs(
    scenes: tuple[str, ...], output: str | None, ending: str, overwrite: bool, skip_existing: bool
) -> list[tuple[str, Path]]:
    """Return (scene, output) pairs; raises OutputError before any work where an output would be lost."""
    many = len(scenes) > 1
    if output and (many or output.endswith("/")) and not Path(output).is_dir():
        if many and not output.endswith("/") and (Path(output).exists() or Path(output).suffix):
            raise OutputError(f"the output {output} is one file, but there are many scenes; give a folder")
        try:
            Path(output).mkdir(parents=True)
        except OSError as error:
            raise OutputError(f"the folder {output} cannot be made ({error.strerror}); give another") from error
    jobs: dict[Path, str] = {}
    for scene in scenes:
        target = _target(scene, output, ending)
        if target in jobs:
            raise OutputError(f"{jobs[target]} and {scene} would both be written to {target}; run them one by one")
        jobs[target] = scene
    left = {target: scene for target, scene in jobs.items() if not (skip_existing and target.exists())}
    for target in left:
        check_writable(target, overwrite)
    return [(scene, target) for target, scene in left.items()]


def _target(scene: str, output: str | None, ending: str) -> Path:
    name = f"{Path(scene_name(scene)).stem}_detections{ending if ending.startswith('.') else '.' + ending}"
    if output is None:
        return Path(name) if "://" in scene else Path(scene).with_name(name)
    return Path(output) / name if Path(output).is_dir() else Path(output)


def _tell(result: DetectResult, reporter: Reporter, progress: str) -> None:
    if isinstance(reporter, JsonReporter):
        run = {key: value for key, value in result.run.items() if key != "notes"}
        reporter.emit({"type": "result", "output": str(result.output), "count": len(result.detections), **run})
    elif progress != "none":
        print_summary(result)


def print_summary(result: DetectResult) -> None:
    """Print what was found, how long it took and where it is."""
    run, console = result.run, Console(soft_wrap=True)
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(justify="right")
    table.add_column()
    for name, count in sorted(result.counts.items(), key=lambda item: -item[1]):
        table.add_row(f"{count:,}", name)
    console.print(table if result.counts else "Nothing found.")
    skipped = f", {run['tiles_skipped']:,} skipped" if run["tiles_skipped"] else ""
    tiles = f"{run['tiles']:,} tile{'s' if run['tiles'] != 1 else ''}{skipped}"
    model, engine = f"{run['model']} {run['model_version']}", f"{run['engine']} on {run['device']}, {run['precision']}"
    console.print(
        f"{run['scene']}: {tiles} in {run['seconds']:.1f} s · {model} · {engine}",
        highlight=False,
    )
    if run["licence"]:
        console.print(f"Model licence: {run['licence']}", highlight=False)
    if result.output:
        console.print(f"Wrote {result.output}", highlight=False)
