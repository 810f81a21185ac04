"""`geodetect scene info`: what the pipeline would do with a raster."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from geodetect.cli import options
from geodetect.cli.console import make_reporter


@click.group()
def scene() -> None:
    """Look at a raster the way geodetect does."""


@scene.command()
@click.argument("path", metavar="SCENE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@options.settings
def info(path: str, as_json: bool, config: str | None, **values: Any) -> None:
    """Say what a run would do with a raster: bands, stretch, ground sample distance, tiles, memory, time."""
    from geodetect.outlook import forecast

    with make_reporter("auto") as reporter:
        report = forecast(path, options.detect_config(config, values), reporter)
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in report.items():
        lines = value if isinstance(value, list) else [value]
        for i, line in enumerate(lines):
            table.add_row(name.replace("_", " ") if i == 0 else "", str(line))
    Console().print(table, highlight=False)
