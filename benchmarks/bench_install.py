"""Time of `import geodetect` and size of the base install."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from benchmarks.measure import ROOT, median, process, show


def size(folder: Path) -> float:
    """Return the megabytes that a folder's files hold."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) / 2**20


@click.command(help=__doc__)
@click.option("--repeats", default=9, show_default=True)
@click.option("--quick", is_flag=True, help="Without the install.")
def main(repeats: int, quick: bool) -> None:
    rows = []
    for statement in ("pass", "import geodetect", "import geodetect; geodetect.detect"):
        cost = median(process([sys.executable, "-c", statement]) for _ in range(repeats))
        rows.append((f"python -c '{statement}'", f"{cost.seconds:.2f} s", f"{cost.peak:.0f} MB"))
    show("Start", ("", "time", "peak"), rows)
    if quick:
        return
    with tempfile.TemporaryDirectory() as folder:
        source, venv = Path(folder) / "source", Path(folder) / "venv"
        shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "*.egg-info"))  # pip writes into it
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        bare = size(venv)
        subprocess.run([venv / "bin" / "pip", "install", "--quiet", source], check=True)
        packages = next(venv.glob("lib/python*/site-packages"))
        sizes = sorted(((size(path), path.name) for path in packages.iterdir() if path.is_dir()), reverse=True)
        total = size(venv) - bare
    largest = [(name, f"{megabytes:.0f} MB") for megabytes, name in sizes[:6]]
    show("pip install geodetect", ("", "size"), [("all that it brings", f"{total:.0f} MB"), *largest])


if __name__ == "__main__":
    main()
