"""`geodetect test`: a model's detections as evaluation servers take them."""

from __future__ import annotations

from typing import Any

import click

from geodetect.cli.console import JsonReporter, make_reporter
from training.commands.eval import job_options, make_job


@click.command(short_help="Write detections as evaluation servers take them.")
@job_options
@click.option("-o", "--output", metavar="FOLDER", required=True, help="Where to write; may be a URL.")
@click.option("--keep-tiles", is_flag=True, help="DOTA: do not merge tiles called IMAGE__RATE__LEFT___TOP.")
def test(output: str, keep_tiles: bool, overwrite: bool, progress: str, **values: Any) -> None:
    """Write a model's detections on images, labelled or not.

    COCO's result file (JSON) has the ids of the annotation file `annotations/SPLIT.json`, or counts the images by name
    from 1. DOTA's files for horizontal boxes (Task 2) are zipped as its server wants them; tiles that are named as
    DOTA's splitter names them are merged.

    \b
    geodetect test -m runs/harbour --data data/harbour --split test -o results
    geodetect test -m yolov4 --data dota/test/images --level scene -o results
    """
    from training.scoring.job import write_detections

    with make_reporter(progress) as reporter:
        files = write_detections(make_job(values), output, keep_tiles, overwrite, reporter)
    if isinstance(reporter, JsonReporter):
        return reporter.emit({"type": "result", "output": [str(path) for path in files]})
    if progress != "none":
        click.echo("\n".join(f"Wrote {path}" for path in files))
