"""`geodetect doctor`: whether this installation works, and what it can do."""

from __future__ import annotations

import json

import click

from geodetect.cli import options
from geodetect.errors import EngineError


@click.command(short_help="Tell whether this installation works, and what it can do.")
@options.engine
@options.device
@options.precision
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool, **settings: str | None) -> None:
    """Tell versions, engines and device, and run the model that comes with geodetect on a stored input.

    Ends with 1 where the network gives other numbers here than where it was made.
    """
    from geodetect.doctor import examine

    found = examine(**{key: value for key, value in settings.items() if value is not None})
    test = found.selftest
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
    else:
        click.echo(f"geodetect {found.geodetect}, Python {found.python}, {found.platform}")
        click.echo(found.executable)
        click.echo(", ".join(f"{name} {version}" for name, version in found.versions.items()))
        training = "yes" if found.can_train else "no, it needs MindSpore"
        click.echo(f"Engines: {', '.join(found.engines)}. Training: {training}")
        click.echo(
            f"{found.model} on {test.engine}, {test.device}, {test.precision}: {found.milliseconds:g} ms a tile; its "
            f"self-test is off by {test.deviation:.1e}, {test.tolerance:.1e} is allowed"
        )
    if not test.passed:
        raise EngineError(f"{found.model} gives wrong numbers on {test.engine} ({test.device}); try another --engine")
