"""All benchmarks in turn, in their quick form, or whole with --full: `python -m benchmarks`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import click


@click.command(help=__doc__)
@click.option("--full", is_flag=True, help="As README.md has them; about an hour.")
def main(full: bool) -> None:
    for script in sorted(Path(__file__).parent.glob("bench_*.py")):
        click.echo(f"\n{script.stem}")
        command = importlib.import_module(f"benchmarks.{script.stem}").main
        try:
            command.main([] if full else ["--quick"], standalone_mode=False)
        except (click.ClickException, ImportError, RuntimeError) as error:
            click.echo(f"left out: {error}", err=True)


if __name__ == "__main__":
    sys.exit(main())
