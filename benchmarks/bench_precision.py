"""What bfloat16 and INT8 cost: average precision on the validation images of planes-ships, see --data."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

import geodetect
from benchmarks.measure import MODEL, ROOT, show
from geodetect.evaluation import Evaluation, compare

PRECISIONS = ("float32", "bfloat16", "int8")


def true_objects(label: Path) -> list[tuple[list[float], str, bool]]:
    """Return (box, class, difficult) of a file of DOTA labels."""
    objects = []
    for line in label.read_text().splitlines():
        fields = line.split()
        if len(fields) >= 9:
            x, y = (np.array(fields[start:8:2], float) for start in (0, 1))
            objects.append(([x.min(), y.min(), x.max(), y.max()], fields[8], fields[9:10] == ["1"]))
    return objects


def evaluated(images: list[Path], precision: str) -> Evaluation:
    """Return how well the objects of all images are found."""
    boxes, scores, names, found_in, truth, true_in = [], [], [], [], [], []
    for number, image in enumerate(images):
        result = geodetect.detect(image, model=MODEL, precision=precision, score=0.05, batch_size=2)
        found = result.detections
        boxes.append(found.boxes)
        scores.append(found.scores)
        names += [result.classes[label] for label in found.labels]
        found_in += [number] * len(found)
        objects = true_objects(image.parents[1] / "labelTxt" / f"{image.stem}.txt")
        truth += objects
        true_in += [number] * len(objects)
    true_boxes, true_names, difficult = zip(*truth, strict=True)
    return compare(
        np.concatenate(boxes), np.concatenate(scores), names, np.array(true_boxes), true_names,
        difficult=np.array(difficult), images=np.array(found_in), truth_images=np.array(true_in),
    )  # fmt: skip


@click.command(help=__doc__)
@click.option(
    "--data", type=click.Path(path_type=Path), envvar="GEODETECT_DATA", default=ROOT.parent / "shared" / "data",
    show_default="../shared/data", help="Folder that holds planes-ships; GEODETECT_DATA names it too.",
)  # fmt: skip
@click.option("--quick", is_flag=True, help="Every eighth image.")
def main(data: Path, quick: bool) -> None:
    images = sorted((data / "planes-ships" / "val" / "images").iterdir() if data.is_dir() else [])
    images = images[::8] if quick else images
    if not images:
        return click.echo(f"left out: there is no planes-ships in {data}; give --data", err=True)
    results = {precision: evaluated(images, precision) for precision in PRECISIONS}
    rows = [
        (f"{own.name}, {precision}", str(own.truths), f"{own.ap50:.4f}", f"{own.ap:.4f}", f"{own.best_f1:.4f}")
        for precision, result in results.items()
        for own in (*result.classes, result.total)
    ]
    show(f"{MODEL} on {len(images)} images", ("", "objects", "AP50", "AP", "best F1"), rows)


if __name__ == "__main__":
    main()
