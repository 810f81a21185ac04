"""`geodetect batch`: many scenes."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from geodetect.batch.record import notes_of
from geodetect.cli import options
from geodetect.cli.console import JsonReporter, make_reporter
from geodetect.progress import Caution
from geodetect.shown import shown

if TYPE_CHECKING:
    from geodetect.batch.run import BatchResult

_SHOWN = 10  # failures and notes that are told; the report has all
_STATES = {
    "done": "done",
    "outside": "outside the area",
    "failed": "failed",
    "running": "begun",
    "waiting": "waiting",
}


@click.command()
@click.argument("sources", metavar="[SCENES]...", nargs=-1)
@click.option("-o", "--output", metavar="FOLDER", required=True, help="Folder of the results.")
@click.option("--continue", "go_on", is_flag=True, help="Do what is left of the batch in the folder.")
@click.option("--status", "ask", is_flag=True, help="Tell where the batch in the folder stands, and do nothing.")
@click.option("--format", "ending", metavar=".EXT", help="Format of the results.  [default: .gpkg]")
@click.option("--workers", type=click.IntRange(1, 1024), metavar="N", help="Processes.  [default: as many as fit]")
@click.option("--scheduler", metavar="ADDRESS", help="Use the workers of this Dask scheduler, such as tcp://host:8786.")
@click.option(
    "--retries",
    type=click.IntRange(0, 100),
    default=2,
    metavar="N",
    show_default=True,
    help="Try again where a worker or a server was at fault.",
)
@click.option(
    "--block",
    type=click.IntRange(0),
    default=64,
    metavar="N",
    show_default=True,
    help="Share out scenes of 2 N tiles and more among the workers, about N at a time; 0: never.",
)
@click.option("--quicklooks/--no-quicklooks", default=True, help="Draw pictures for the report.  [default: yes]")
@click.option("--allow-vsi", is_flag=True, help="Let lists name whatever GDAL opens, not only files and URLs.")
@options.overwrite
@options.progress
@options.settings
def batch(
    sources: tuple[str, ...],
    output: str,
    go_on: bool,
    ask: bool,
    ending: str | None,
    overwrite: bool,
    allow_vsi: bool,
    progress: str,
    config: str | None,
    workers: int | None,
    scheduler: str | None,
    retries: int,
    block: int,
    quicklooks: bool,
    **values: Any,
) -> None:
    """Find objects in many scenes, on all cores or a cluster.

    \b
    SCENES are files, folders, patterns such as 'images/**/*.tif', lists of scenes
    (.txt, .csv), STAC items and collections (.json), URLs, or s3://bucket/prefix/.

    The folder gets one result a scene, summary.csv, summary.gpkg with the scenes' outlines, and report.html. A scene
    that cannot be used does not keep the others from being done. What is stopped or killed goes on with --continue.
    """
    from geodetect.batch.run import BatchOptions, run_batch, status
    from geodetect.batch.sources import find_scenes
    from geodetect.config import DetectConfig

    if ask:
        _tell_status(*status(output), progress)
        return
    given = {name: value for name, value in values.items() if value is not None}
    with make_reporter(progress) as reporter:
        scenes = find_scenes(sources, allow_vsi=allow_vsi, reporter=reporter) if sources else []
        result = run_batch(
            scenes,
            output,
            config=DetectConfig.from_yaml(config) if config else None,
            go_on=go_on,
            overwrite=overwrite,
            ending=f".{ending.lstrip('.')}" if ending else None,
            options=BatchOptions(workers, scheduler, retries, block, quicklooks),
            reporter=reporter,
            **given,
        )
    if isinstance(reporter, JsonReporter):
        reporter.emit({"type": "result"} | _counts(result))
    elif progress != "none":
        _tell(result)
    if result.of("failed"):
        click.get_current_context().exit(1)


def _counts(result: BatchResult) -> dict[str, Any]:
    done = result.of("done")
    classes: dict[str, int] = {}
    for record in done:
        for name, count in record.counts.items():
            classes[name] = classes.get(name, 0) + count
    states = {state: len(result.of(state)) for state in _STATES}
    notes = {note: len(records) for note, records in notes_of(result.records)}
    tiles = sum(record.tiles for record in done)
    return states | {"counts": classes, "notes": notes, "tiles": tiles, "report": str(result.report)}


def _tell_status(result: BatchResult, runs: bool, progress: str) -> None:
    if progress == "json":
        scenes = [dataclasses.asdict(record) for record in result.records]
        click.echo(json.dumps({"runs": runs} | _counts(result) | {"about": result.about, "scenes": scenes}))
        return
    left = len(result.of("running")) + len(result.of("waiting"))
    state = "runs" if runs else "is done" if not left else "does not run; go on with --continue"
    click.echo(f"The batch in {result.folder} {state}.")
    _tell(result)


def _tell(result: BatchResult) -> None:
    told, console = _counts(result), Console(soft_wrap=True)
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(justify="right")
    table.add_column()
    for state, words in _STATES.items():
        if told[state] or state == "done":
            table.add_row(f"{told[state]:,}", f"scene{'s' if told[state] != 1 else ''} {words}")
    for name, count in sorted(told["counts"].items(), key=lambda item: -item[1]):
        table.add_row(f"{count:,}", name)
    console.print(table)
    failed = result.of("failed")
    for record in failed[:_SHOWN]:
        console.print(f"failed: {record.reason}", style="yellow", highlight=False, markup=False)
    if len(failed) > _SHOWN:
        console.print(f"and {len(failed) - _SHOWN:,} more", style="yellow")
    notes = notes_of(result.records)
    for note, records in notes[:_SHOWN]:
        style = "yellow" if isinstance(note, Caution) else "dim"
        scenes = f"{len(records):,} scenes" if len(records) > 1 else records[0].output
        console.print(f"{scenes}: {shown(note)}", style=style, highlight=False, markup=False)
    if len(notes) > _SHOWN:
        console.print(f"and {len(notes) - _SHOWN:,} notes more", style="dim")
    model = f"{result.about.get('model', '')} {result.about.get('model_version', '')}"
    console.print(f"{model} · {result.about.get('engine', '')}", highlight=False)
    if result.about.get("licence"):
        console.print(f"Model licence: {result.about['licence']}", highlight=False)
    if result.report.exists():
        console.print(f"Report: {result.report}", highlight=False)
