"""What it costs that a run can go on where it was stopped: the share of its time that the journal takes.

python -m benchmarks.bench_journal --size 8192
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click

import geodetect
from benchmarks.measure import show
from geodetect.journal import Journal

CALLS = ("__init__", "recall", "add", "__exit__")


class Clock:
    """Adds up the seconds that are spent in some functions, and sees the journal's size at its end."""

    def __init__(self) -> None:
        self.seconds, self.bytes = 0.0, 0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same function, its time added."""

        def call(journal: Journal, *words: Any, **options: Any) -> Any:
            if function.__name__ == "__exit__":
                self.bytes = sum(path.stat().st_size for path in journal.path.parent.glob(f"{journal.path.name}*"))
            begun = time.perf_counter()
            try:
                return function(journal, *words, **options)
            finally:
                self.seconds += time.perf_counter() - begun

        return call


@click.command(help=__doc__)
@click.option("--size", default=8192, show_default=True, help="Side of the drawn scene, px.")
@click.option("--turns", default=3, show_default=True)
@click.option("--quick", is_flag=True, help="A small scene, once.")
def main(size: int, turns: int, quick: bool) -> None:
    rows = []
    size, turns = (2048, 1) if quick else (size, turns)
    with tempfile.TemporaryDirectory() as folder:
        scene = geodetect.make_scene(Path(folder) / "scene.tif", size=size).scene
        for turn in range(turns):
            clock = Clock()
            with watched(clock):
                begun = time.perf_counter()
                result = geodetect.detect(scene, output=Path(folder) / f"{turn}.gpkg")
                seconds = time.perf_counter() - begun
            rows.append(
                (
                    str(result.run["tiles"]),
                    f"{seconds:.2f}",
                    f"{clock.seconds * 1000:.0f}",
                    f"{clock.seconds / seconds:.2%}",
                    f"{clock.bytes / 1e6:.2f}",
                )
            )
    show("journal", ("tiles", "run, s", "journal, ms", "share", "journal, MB"), rows)


def watched(clock: Clock) -> Any:
    """Return a context in which the journal's calls are timed."""
    return patch.multiple(Journal, **{name: clock.timed(getattr(Journal, name)) for name in CALLS})


if __name__ == "__main__":
    main()
