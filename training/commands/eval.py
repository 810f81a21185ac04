"""`geodetect eval`: how good a model is on labelled images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from geodetect.cli import options
from geodetect.cli.console import JsonReporter, make_reporter
from geodetect.errors import ConfigError
from training.scoring.settings import POSTPROCESSES, ScoreSettings

if TYPE_CHECKING:
    from training.scoring.job import Job
    from training.scoring.result import Scores


class ThreeNumbers(click.ParamType):
    """Three whole numbers with commas between."""

    name = "A,B,C"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a tuple of three."""
        if not isinstance(value, str):
            return value
        try:
            numbers = tuple(int(part) for part in value.split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != 3:
            raise ConfigError(f"max_detections is {value!r}, give three rising numbers such as 1,10,100")
        return numbers


_OPTIONS = (
    options.model,
    options.card,
    click.option("--data", metavar="FOLDER", required=True, help="Images in COCO's or DOTA's layout; may be a URL."),
    click.option("--split", default="val", show_default=True, help="Part of the data, such as val or test."),
    click.option(
        "--level",
        type=click.Choice(["auto", "tile", "scene"]),
        help="tile: an image is one canvas; scene: cut and merged; auto: scene in DOTA's layout.",
    ),
    click.option(
        "--doubles",
        type=click.Choice(["keep", "drop"]),
        help="Objects labelled twice, in DOTA's layout.  [default: keep]",
    ),
    click.option("--size", type=int, metavar="PX", help="Side of the canvas.  [default: the model's]"),
    click.option("--floor", type=float, metavar="N", help="Least score of a detection.  [default: 0.001]"),
    click.option("--iou", type=float, metavar="N", help="Boxes that overlap more are one.  [default: the model's]"),
    click.option(
        "--max-detections",
        type=ThreeNumbers(),
        help="What counts of an image and class.  [default: 1,10,100, of a scene 1,10,1000]",
    ),
    click.option(
        "--postprocess", type=click.Choice(POSTPROCESSES), help="upstream: resize and suppress as the model zoo does."
    ),
    click.option("--drop-last", type=int, metavar="B", help="upstream: the last batch of B, if not full, is not run."),
    *(options.engine, options.device, options.precision, options.batch_size, options.threads),
    options.overwrite,
    options.progress,
)


def job_options(command: Callable) -> Callable:
    """Add the options that say what is looked at, by which model, and how."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def make_job(values: Mapping[str, Any]) -> Job:
    """Return the job that options ask for."""
    from training.scoring.job import EngineChoice, Job

    given = {name: value for name, value in values.items() if value is not None}
    if "model" not in given:
        raise ConfigError("no model is given; name one with -m: a model, package, training run or weights file")

    def picked(names: Any) -> dict[str, Any]:
        return {name: given[name] for name in names if name in given}

    return Job(
        **picked(("model", "data", "split", "card", "level", "doubles", "size")),
        choice=EngineChoice(**picked(EngineChoice.__dataclass_fields__)),
        settings=ScoreSettings(**picked(ScoreSettings.__dataclass_fields__)),
    )


@click.command(name="eval", short_help="Tell how good a model is on labelled images.")
@job_options
@click.option(
    "--score", type=float, metavar="N", help="Least score for F1 and the confusion matrix.  [default: the model's]"
)
@click.option(
    "-o", "--output", metavar="FOLDER", help="Write figures (JSON), curves, confusion matrix (PNG) there; may be a URL."
)
def eval_(output: str | None, overwrite: bool, progress: str, **values: Any) -> None:
    """Compare a model's detections with labelled images.

    Prints COCO's twelve figures and, a row a class: average precision (AP, AP50); F1, precision and recall of what
    reaches the model's score; and the score that would give the best F1. Objects marked difficult, cut or crowd count
    neither when found nor when missed.

    The model is a name, a package, a folder of `geodetect train`, or a file (.ckpt, .safetensors, .mindir, .onnx)
    with its card.

    \b
    geodetect eval -m runs/harbour --data data/harbour
    geodetect eval -m yolov4 --data dota/tiles --postprocess upstream -o report
    """
    from training.scoring.job import evaluate_model

    job = make_job(values)
    with make_reporter(progress) as reporter:
        scores = evaluate_model(job, output, overwrite, reporter)
    if isinstance(reporter, JsonReporter):
        return reporter.emit({"type": "result", "output": output, **scores.to_dict()})
    print_scores(scores)
    if output and progress != "none":
        click.echo(f"Wrote {output}")


def print_scores(scores: Scores) -> None:
    """Print COCO's lines and a row a class."""
    from rich.console import Console
    from rich.table import Table

    click.echo("\n".join(scores.lines))
    table = Table(box=None, pad_edge=False)
    for heading in ("Class", "Objects", "AP", "AP50", "F1", "Precision", "Recall", "at score", "Best F1", "at score"):
        table.add_column(heading, justify="left" if heading == "Class" else "right")
    for row in scores.per_class:
        shown = (row.f1, row.shown_precision, row.shown_recall, row.least)
        figures = (row.ap, row.ap50, *shown, row.best_f1, row.best_score)
        table.add_row(row.name, f"{row.truths:,}", *("–" if value != value else f"{value:.3f}" for value in figures))
    console = Console()
    console.print()
    console.print(table)
