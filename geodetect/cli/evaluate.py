"""`geodetect evaluate`: compare detections with the truth."""

from __future__ import annotations

import json
from pathlib import Path

import click

from geodetect.cli import options
from geodetect.evaluation import ClassResult, Evaluation


@click.command(short_help="Compare detections with the truth.")
@click.argument("detections", type=click.Path(path_type=Path))
@click.argument("truth", type=click.Path(path_type=Path))
@click.option(
    "--iou", type=click.FloatRange(0, 1, min_open=True), default=0.5, show_default=True, help="Least IoU of a hit."
)
@click.option("--score", type=options.PerClass(), default=0.0, help="Leave out detections below it, 0 to 1.")
@click.option("--class-field", help="Attribute of TRUTH that holds the class. [default: class, label, type, …]")
@click.option("--layer", help="Layer of TRUTH. [default: the first]")
@click.option(
    "--errors", type=click.Path(path_type=Path), help="Write hits, misses and false alarms, styled for QGIS (.gpkg)."
)
@click.option("--json", "report", help="Write the figures as JSON; - prints them instead of the table.")
@options.overwrite
def evaluate(
    detections: Path, truth: Path, iou: float, score: float | dict[str, float], class_field: str | None,
    layer: str | None, errors: Path | None, report: str | None, overwrite: bool,
) -> None:  # fmt: skip
    """Compare DETECTIONS, a layer that geodetect wrote, with TRUTH, a layer of true objects.

    TRUTH may be of polygons or points, in any CRS and any format that GDAL reads. Objects with a field `difficult`
    that is 1 count neither when found nor when missed.

    In the table, False counts detections with no object, Double further detections of an object that another one
    found, wherever they lie, and Prec. is the share of hits in all detections. AP50 and AP are the average precision
    at IoU 0.50 and over IoU 0.50 to 0.95, as COCO defines them.
    """
    import geodetect

    printed = report == "-"
    evaluation = geodetect.evaluate(
        detections, truth, iou, score=score, class_field=class_field, layer=layer, errors=errors,
        report=None if printed else report, overwrite=overwrite,
    )  # fmt: skip
    for note in evaluation.notes:
        click.echo(note, err=True)
    if printed:
        return click.echo(json.dumps(evaluation.to_dict(), indent=2))
    print_table(evaluation)


def print_table(evaluation: Evaluation) -> None:
    """Print one row a class, and all of them, then the least scores that would give the best F1."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("Class", "Objects", "Hits", "Misses", "False", "Double", "Prec.", "Recall", "F1", "AP50", "AP"):
        table.add_column(heading, justify="left" if heading == "Class" else "right")
    several = len(evaluation.classes) > 1
    for result in (*evaluation.classes, evaluation.total) if several else evaluation.classes:
        table.add_row(*_row(result))
    console = Console()
    console.print(table)
    better = [r for r in evaluation.classes if r.best_f1 > r.f1 + 0.005]
    if better:
        scores = ", ".join(f"{r.name} {r.best_f1:.2f} at {r.best_score:.2f}" for r in better)
        console.print(f"A higher least score would raise F1: {scores}.", highlight=False)


def _row(result: ClassResult) -> list[str]:
    counts = (result.truths, result.hits, result.misses, result.false_alarms, result.duplicates)
    shares = (result.precision, result.recall, result.f1, result.ap50, result.ap)
    return [result.name, *(f"{count:,}" for count in counts), *(_share(share) for share in shares)]


def _share(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"
