"""All benchmarks in turn, in their quick form, or whole with --full: `python -m benchmarks`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from benchmarks.measure import ROOT


@click.command(help=__doc__)
@click.option("--full", is_flag=True, help="As README.md has them; about an hour.")
def main(full: bool) -> None:
    for script in sorted(Path(__file__).parent.glob("bench_*.py")):
        click.echo(f"\n{script.stem}")
        command = [sys.executable, "-m", f"benchmarks.{script.stem}", *([] if full else ["--quick"])]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            click.echo(f"{script.stem} failed", err=True)


if __name__ == "__main__":
    main()
