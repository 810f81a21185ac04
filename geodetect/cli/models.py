"""`geodetect models`: which models there are, and how to get, check and add them."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from geodetect import registry
from geodetect.card import ModelCard
from geodetect.cli import options
from geodetect.download import Progress
from geodetect.errors import ModelError
from geodetect.package import ModelPackage, read_card
from geodetect.registry import Entry

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("models", short_help="List, inspect, fetch, check and add models.")
def models() -> None:
    """List, inspect, fetch, check and add models.

    A model is a folder with a card (model.yaml) and weights. Some come with geodetect, some are downloaded on their
    first use, others are yours: `geodetect models import`.
    """


@models.command("list")
@json_option
def list_models(as_json: bool) -> None:
    """List every model that can be given by name.

    A family's name (yolov3, yolov4, yolov3-tiny) means the best model of that family here: one that you installed
    before one that came with geodetect before one that is to be downloaded, then the higher version. So it may mean
    another model once you have imported one; a full name never does.
    """
    entries = registry.catalogue()
    if as_json:
        return click.echo(json.dumps([_summary(entry) for entry in entries], indent=2))
    from rich.table import Table

    table = Table("Model", "Network", "Classes", "Size", "State", "Licence", box=None, pad_edge=False)
    for entry in entries:
        row = _summary(entry)
        licence = row["licence"] or entry.problem
        table.add_row(entry.name, entry.family, _few(row["classes"]), _megabytes(entry.size), entry.state, licence)
    _print(table)


@models.command()
@click.argument("model")
@json_option
def info(model: str, as_json: bool) -> None:
    """Show what MODEL detects, on what images, how well, and under which licence.

    MODEL is a name of `geodetect models list`, a family (yolov3, yolov4, yolov3-tiny) or a model's folder.
    """
    entry = registry.lookup(model)
    if entry.card is None:
        raise ModelError(entry.problem)
    if as_json:
        return click.echo(json.dumps(_summary(entry) | {"card": entry.card.to_dict()}, indent=2))
    _print(_description(entry, entry.card))


@models.command()
@click.argument("names", nargs=-1, required=True, metavar="MODEL...")
@click.option("--keep-original", is_flag=True, help="Keep the downloaded file after its conversion.")
def pull(names: tuple[str, ...], keep_original: bool) -> None:
    """Download a MODEL now rather than on its first use; a broken transfer is resumed."""
    for name in names:
        before = registry.lookup(name)
        with download_bar(before.name) as progress:
            package = registry.pull(name, progress, keep_original)
        if before.state in ("bundled", "installed"):
            click.echo(f"{before.name} is here already, in {before.root}")
        else:
            _report(package, published=bool(before.card and before.card.source and before.card.source.sha256))


@models.command()
@click.argument("names", nargs=-1, metavar="[MODEL]...")
@options.engine
@options.device
@options.precision
@click.pass_context
def verify(context: click.Context, /, names: tuple[str, ...], **settings: str | None) -> None:
    """Check models: files, checksums, shapes, and the heads that an engine gives for a stored input.

    Without a MODEL all that are on this disk are checked. Ends with 3 when one is wrong.
    """
    from geodetect import selftest

    here = (entry for entry in registry.catalogue() if entry.state != "not downloaded")
    given = {key: value for key, value in settings.items() if value is not None}
    failed = False
    for entry in [registry.lookup(name) for name in names] or here:
        try:
            if entry.state == "not downloaded":
                raise ModelError(f"it is not downloaded yet, `geodetect models pull {entry.name}` does that")
            found = selftest.verify(entry.root, **given)
        except ModelError as error:
            failed = True
            click.echo(f"{entry.name}: FAILED: {error}")
            continue
        tested = (
            f"self-test on {found.engine} ({found.device}, {found.precision}) is off by {found.deviation:.1e}, "
            f"{found.tolerance:.1e} is allowed"
            if found
            else "it has no self-test"
        )
        click.echo(f"{entry.name}: ok: checksums and shapes agree, {tested}")
    context.exit(ModelError.exit_code if failed else 0)


@models.command("import")
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--card", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Card that describes FILE.")
@click.option("--as", "name", help="FILE is the weights of this built-in model.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to write; default: by its name.")
@click.option("--float16", is_flag=True, help="Store the weights in half the size.")
def import_model(file: Path, card: Path | None, name: str | None, out: Path | None, float16: bool) -> None:
    """Add a model: FILE is its weights (.safetensors, .npz, .ckpt, .mindir, .onnx, .weights), or a model's folder.

    A file alone is enough where it is, by its name or its shapes, a model of `geodetect models list` that is not
    downloaded. Darknet's .weights need a card with `variant: darknet`.
    """
    if file.is_dir():
        if card or name or out or float16:
            raise click.UsageError("a model's folder has its own card and is copied as it is")
        return _report(registry.import_package(file))
    if card is not None and name is not None:
        raise click.UsageError("give either --card model.yaml or --as NAME, both say what FILE is")
    if card is not None:
        described = read_card(card)
    elif name is not None:
        described = registry.built_in_card(name)
    else:
        described = registry.recognise(file)
        click.echo(f"{file.name} fits {described.name} and is taken for it; give --card if it is another model")
    package = registry.import_file(file, described, out, "float16" if float16 else "float32")
    published = bool(described.source and described.source.sha256)
    if described.source and published and package.card.source and package.card.source.sha256 != described.source.sha256:
        click.echo(f"{file} is not the file that was published: its SHA-256 is {package.card.source.sha256}", err=True)
    _report(package, published)


@contextlib.contextmanager
def download_bar(name: str) -> Iterator[Progress]:
    """Show bytes, speed and time left on stderr while the block runs; nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Bar(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"downloading {name}", total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def _report(package: ModelPackage, published: bool = False) -> None:
    click.echo(f"{package.card.name} is installed in {package.root}")
    source = package.card.source
    if source is not None and not published:
        click.echo(f"Nobody states a checksum for {source.file}; the one found is kept in the card: {source.sha256}")
    click.echo(f"Licence: {package.licence_note}")


def _summary(entry: Entry) -> dict[str, Any]:
    card = entry.card
    return {
        "name": entry.name,
        "state": entry.state,
        "family": entry.family,
        "classes": list(card.classes) if card else [],
        "size": entry.size,
        "licence": card.licence if card else "",
        "folder": str(entry.root),
    } | ({"problem": entry.problem} if entry.problem else {})


def _description(entry: Entry, card: ModelCard) -> Any:
    """Return a rich table of two columns, the licence first."""
    from rich.table import Table
    from rich.text import Text

    takes, per_class = card.input, card.thresholds
    size = f"{takes.size} px canvas, tiles of {takes.tile or takes.size} px, {takes.resize}, {', '.join(takes.bands)}"
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("Model", f"{card.name} {card.version} ({entry.state}, {_megabytes(entry.size)})")
    table.add_row("Licence", Text(card.licence or "not stated", style="bold yellow"))
    for title, value in (
        ("Attribution", card.attribution),
        ("Description", card.description),
        ("Limitations", card.limitations),
        ("Trained on", card.training_data),
        ("Network", f"{card.network.family} ({card.network.variant})"),
        ("Input", size),
        ("Resolution", "{:g} to {:g} m/px".format(*takes.gsd) if takes.gsd else "not stated"),
        ("Classes", _legend(card)),
        ("Score from", _thresholds(per_class.score)),
        ("NMS IoU", _thresholds(per_class.iou)),
        ("Arithmetic", "float32, bfloat16, int8" if card.int8 else ""),
        ("Overlap", f"{per_class.overlap:.0%} of a tile"),
        *(("Metrics", f"{what}: {_numbers(values)}") for what, values in card.metrics.items()),
        ("Source", card.source.url if card.source else ""),
        ("Folder", str(entry.root)),
        ("SHA-256", card.weights.sha256 if card.weights else ""),
    ):
        if value:
            table.add_row(title, value)
    return table


def _legend(card: ModelCard) -> Any:
    from rich.text import Text

    parts = [Text.assemble(("■ ", colour), name) for name, colour in zip(card.classes, card.palette, strict=True)]
    return Text(", ").join(parts)


def _thresholds(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else ", ".join(f"{k} {v:g}" for k, v in value.items())


def _numbers(values: Any) -> str:
    return ", ".join(f"{k} {v}" for k, v in values.items()) if isinstance(values, dict) else str(values)


def _few(classes: list[str]) -> str:
    return ", ".join(classes) if len(classes) <= 4 else f"{len(classes)}: {', '.join(classes[:3])}, …"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size else ""


def _print(table: Any) -> None:
    from rich.console import Console

    if sys.stdout.isatty():
        return Console(highlight=False).print(table)
    # Off a terminal rich assumes 80 columns, which breaks the names that others grep for, and fills lines with blanks.
    console = Console(width=200, highlight=False)
    with console.capture() as capture:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))
