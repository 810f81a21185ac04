"""`geodetect merge`: results of overlapping scenes as one."""

from __future__ import annotations

from pathlib import Path

import click

from geodetect.cli import options
from geodetect.cli.console import JsonReporter, make_reporter


@click.command(short_help="Merge the results of overlapping scenes.")
@click.argument("results", metavar="RESULT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", metavar="FILE", required=True, type=click.Path(path_type=Path),
    help="File to write: .gpkg, .geojson, .fgb, .parquet or .csv.",
)  # fmt: skip
@click.option("--crs", metavar="CRS", help="CRS of the output.  [default: the one that most features are in]")
@click.option(
    "--iou",
    type=options.PerClass(),
    help="Features that overlap more are one object, for all classes or each.  [default: as in the runs]",
)
@options.overwrite
@options.progress
def merge(
    results: tuple[Path, ...], output: Path, crs: str | None, iou: float | dict[str, float] | None, overwrite: bool,
    progress: str,
) -> None:  # fmt: skip
    """Merge the results of overlapping scenes: each object is left once.

    RESULTs are GeoPackages that geodetect wrote, or folders of them.

    Of an object that a scene's border cuts, the view of the scene that shows more of it is left; where none shows
    all, the views are joined. The scenes may be in different CRSs and of different models, whose classes are the same
    where their names are. Each feature keeps its scene, model and run, and the table geodetect_runs holds all runs
    with their models' licences. The result can be merged again.
    """
    from geodetect.lineage import crs_name
    from geodetect.mosaic import merge_results

    with make_reporter(progress) as reporter:
        merged = merge_results(results, output, crs=crs, iou=iou, overwrite=overwrite, reporter=reporter)
    if isinstance(reporter, JsonReporter):
        counts = {"count": len(merged.features), "seen": merged.seen, "runs": len(merged.runs)}
        place = {"crs": crs_name(merged.features.crs)}
        reporter.emit({"type": "result", "output": str(output), "counts": merged.counts} | counts | place)
    elif progress != "none":
        for name, count in sorted(merged.counts.items(), key=lambda item: -item[1]):
            click.echo(f"{count:>9,}  {name}")
        left, runs = len(merged.features), len(merged.runs)
        objects = f"{left:,} object{'s' if left != 1 else ''} of {merged.seen:,} features"
        click.echo(f"{objects}, {runs:,} run{'s' if runs != 1 else ''}")
        for licence in dict.fromkeys(str(run["licence"]) for run in merged.runs if run.get("licence")):
            click.echo(f"Model licence: {licence}")
        click.echo(f"Wrote {output}")
