"""What bfloat16 and INT8 cost: average precision on the validation images of planes-ships, see --data."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from benchmarks.bench_model import COUNTS, figures
from benchmarks.measure import MODEL, ROOT, show
from training.scoring.images import open_images
from training.scoring.job import EngineChoice
from training.scoring.scenes import find_in_scenes
from training.scoring.settings import ScoreSettings
from training.source import open_source

PRECISIONS = ("float32", "bfloat16", "int8")


@click.command(help=__doc__)
@click.option(
    "--data", type=click.Path(path_type=Path), envvar="GEODETECT_DATA", default=ROOT.parent / "shared" / "data",
    show_default="../shared/data", help="Folder that holds planes-ships; GEODETECT_DATA names it too.",
)  # fmt: skip
@click.option("--quick", is_flag=True, help="Every eighth image.")
def main(data: Path, quick: bool) -> None:
    folder = data / "planes-ships"
    if not folder.is_dir():
        return click.echo(f"left out: there is no {folder}; give --data", err=True)
    package, index, rows = open_source(MODEL), open_images(folder, "val"), []
    if quick:
        index = index.select(np.arange(len(index)) % 8 == 0)
    for precision in PRECISIONS:
        found = find_in_scenes(package, index, EngineChoice(precision=precision), ScoreSettings(max_detections=COUNTS))
        for own in figures(found, package, index).per_class:
            values = (f"{value:.4f}" for value in (own.ap50, own.ap, own.best_f1))
            rows.append((f"{own.name}, {precision}", str(own.truths), *values))
    show(f"{MODEL} on {len(index)} images", ("", "objects", "AP50", "AP", "best F1"), rows)


if __name__ == "__main__":
    main()
