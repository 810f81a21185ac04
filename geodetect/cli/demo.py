"""`geodetect demo`: a first run on a sample scene whose objects are known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from geodetect.cli.evaluate import print_table
from geodetect.errors import OutputError

if TYPE_CHECKING:
    from geodetect.demo import Truth

SCENE, DETECTIONS, ERRORS, PREVIEW = "scene.tif", "detections.gpkg", "errors.gpkg", "preview.png"


@click.command(short_help="Draw a sample scene, detect in it and compare.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("geodetect-demo"),
    show_default=True,
    help="Where the files go.",
)
@click.option(
    "--size", type=click.IntRange(512, 16384), default=4096, show_default=True, help="Side of the scene, px of 0.5 m."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Another number draws another scene."
)
@click.option(
    "-m", "--model", default="planes-ships-yolov3-tiny", show_default=True, help="Model that finds planes and ships."
)
@click.option(
    "--score", type=click.FloatRange(0, 1), help="Least score of a detection.  [default: the model's, by class]"
)
def demo(folder: Path, size: int, seed: int, model: str, score: float | None) -> None:
    """Draw an airport by the sea, find its planes and ships, and say which were found and which were not.

    The scene is drawn by geodetect itself, so every object in it is known, and nothing is downloaded but the model
    where that is not installed. A second run uses the scene that is there.
    """
    import geodetect
    from geodetect.cli.console import BarReporter

    _make_folder(folder)
    truth = _scene(folder / SCENE, size, seed)
    with BarReporter() as reporter:
        result = geodetect.detect(
            truth.scene, model=model, score=score, output=folder / DETECTIONS, preview=folder / PREVIEW, overwrite=True,
            reporter=reporter,
        )  # fmt: skip
    evaluation = geodetect.evaluate(folder / DETECTIONS, truth.layer, errors=folder / ERRORS, overwrite=True)
    name = result.run["model"] if result.run["model"] == model else f"{model} ({result.run['model']})"
    counts = f"{len(evaluation.truth_outcomes)} objects drawn, {len(evaluation.outcomes)} detections"
    click.echo(f"{counts} in {result.run['seconds']:.1f} s with {name}:\n")
    print_table(evaluation)
    click.echo("")
    files = {
        SCENE: "the scene",
        truth.layer.name: "what was drawn",
        DETECTIONS: "what was found: open it in QGIS over the scene",
        ERRORS: "hits, misses, false alarms and duplicates, coloured",
        PREVIEW: "a picture of the detections",
    }
    for name, what in files.items():
        click.echo(f"{folder / name}  {what}")
    click.echo(f"\nModel licence: {result.run['licence']}")


def _make_folder(folder: Path) -> None:
    """Make the folder; raise OutputError where that fails or where it holds files of these names of another origin."""
    import rasterio

    from geodetect.demo.scene import TAG

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {folder} cannot be made ({error.strerror}); give another --folder") from error
    try:
        with rasterio.open(folder / SCENE) as scene:
            ours = TAG in scene.tags()
    except rasterio.errors.RasterioIOError:
        ours = False
    others = [name for name in (SCENE, DETECTIONS, ERRORS, PREVIEW) if (folder / name).exists()]
    if others and not ours:
        raise OutputError(f"{folder / others[0]} is not of the demo and would be lost; give another --folder")


def _scene(path: Path, size: int, seed: int) -> Truth:
    """Return the sample scene, drawn unless it is there."""
    from geodetect.demo import find_scene, make_scene

    there = find_scene(path, size, seed)
    if there is not None:
        click.echo(f"Using {path}, which is there already.", err=True)
        return there
    click.echo(f"Drawing {path} ({size} x {size} px, seed {seed}) …", err=True)
    return make_scene(path, size, seed)
