"""`geodetect train`: from a prepared data set to weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from geodetect.cli import options
from training.commands.train_options import ARGUMENTS, GroupedCommand, given, settings

if TYPE_CHECKING:
    from training.commands.train_console import BarReporter, JsonTrainReporter, LineReporter
    from training.run.folder import Run


@click.command(cls=GroupedCommand, short_help="Train a network on a prepared data set.")
@click.option("--config", metavar="FILE|RECIPE", help="Settings from a YAML file or a recipe; options win.")
@options.progress
@settings
@click.pass_context
def train(ctx: click.Context, config: str | None, progress: str, **values: Any) -> None:
    """Train a network on a data set that `geodetect prepare` made.

    \b
    geodetect train --data-dir DATA                          fine-tune the bundled model on it
    geodetect train --data-dir DATA --config fine-tune       the same with few labels
    geodetect train --ckpt-path runs/NAME --resume           go on with a run that was stopped

    The run's folder holds best.ckpt, last.ckpt, model.yaml, metrics.csv and curve.png. Recipes: fine-tune,
    yolov3-dota15, yolov4-dota15, yolov3-coco2014, yolov3-tiny-coco2017. Options may be written with _ as well.
    """
    from training.devices.parallel import is_worker
    from training.run.folder import choose_folder, collect_settings
    from training.run.loop import train as run_training

    chosen = collect_settings(config, given(values))
    if chosen.device_num > 1 and not is_worker():
        from training.devices.launch import launch

        folder = choose_folder(chosen)
        fixed = [] if "://" in chosen.ckpt_path else [f"--ckpt-path={folder}"]  # all processes mean the same folder
        launch(chosen.device_num, ["train", *ctx.meta[ARGUMENTS], *fixed], folder, chosen.bind_cpu)
        return
    from training.commands.train_console import make_train_reporter

    with make_train_reporter(progress) as reporter:
        run = run_training(chosen, reporter)
    _tell(run, chosen.data_dir, reporter, progress)


def _tell(run: Run, data_dir: str, reporter: BarReporter | JsonTrainReporter | LineReporter, progress: str) -> None:
    """Print what has come of the run and what to do with it."""
    from training.commands.train_console import JsonTrainReporter
    from training.devices.parallel import is_worker
    from training.run.state import BEST, LAST

    if isinstance(reporter, JsonTrainReporter):
        reporter.emit({"type": "result", **dataclasses.asdict(run), "folder": str(run.folder)})
        return
    if progress == "none" or (is_worker() and not run.is_master):
        return
    weights: Path = run.folder / (BEST if run.ap50 is not None else LAST)
    score = "" if run.ap50 is None else f", best AP50 {run.ap50:.3f}"
    console = Console(soft_wrap=True)
    console.print(f"{run.epochs} epochs, {run.steps:,} steps in {run.seconds:,.0f} s{score}", highlight=False)
    console.print(f"Wrote {weights}; go on with:", highlight=False)
    console.print(f"  geodetect SCENE --model {weights} --card {run.folder / 'model.yaml'}", highlight=False)
    console.print(f"  geodetect eval -m {run.folder} --data {data_dir}", highlight=False)
    console.print(f"  geodetect export {run.folder} models/{run.folder.name}", highlight=False)
