"""The group of all commands, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import json
import os
import signal
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NoReturn

import click

from geodetect import __version__
from geodetect.errors import Cancelled, GeodetectError, lacks_memory
from geodetect.shown import shown

# command: (module, attribute), imported when the command is run
_COMMANDS = {
    "detect": ("geodetect.cli.detect", "detect"),
    "batch": ("geodetect.cli.batch", "batch"),
    "merge": ("geodetect.cli.merge", "merge"),
    "scene": ("geodetect.cli.scene", "scene"),
    "models": ("geodetect.cli.models", "models"),
    "evaluate": ("geodetect.cli.evaluate", "evaluate"),
    "demo": ("geodetect.cli.demo", "demo"),
    "doctor": ("geodetect.cli.doctor", "doctor"),
    "serve": ("geodetect.cli.serve", "serve"),
}
_PLUGINS = "geodetect.commands"  # entry points by which other packages add commands


class Commands(click.Group):
    """Commands loaded when they are called for; a first argument that is none of them is a scene to detect in."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return our commands and those of other packages."""
        return [*_COMMANDS, *(e.name for e in importlib.metadata.entry_points(group=_PLUGINS))]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return a command by name, None where there is none."""
        if name in _COMMANDS:
            module, attribute = _COMMANDS[name]
            return getattr(importlib.import_module(module), attribute)
        for entry in importlib.metadata.entry_points(group=_PLUGINS, name=name):
            return entry.load()
        return None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read a first argument that is no command as a scene."""
        own = {"--help", "-h", "--version"}
        if args and args[0] not in own and args[0] not in self.list_commands(ctx):
            args = ["detect", *args]
        return super().parse_args(ctx, args)

    def main(self, args: Sequence[str] | None = None, *_: Any, told: str | None = None, **extra: Any) -> NoReturn:
        """Run, and end with the exit codes 0 done, 1 failed, 2 usage, 3 bad input, 130 cancelled.

        Args:
            args: the words of the command line; None: this process's.
            told: "json" has errors told as a JSON line too, as the option `--progress json` has.
            extra: what click's groups take.
        """
        words = list(sys.argv[1:] if args is None else args)
        as_json = told == "json" or "--progress=json" in words or ("--progress", "json") in pairwise(words)
        try:
            # Not standalone, click leaves our errors to us and returns the code that a command gave to its context.
            sys.exit(super().main(words, **(extra | {"standalone_mode": False})))
        except click.ClickException as error:
            if as_json:
                _say_json(error.exit_code, error.format_message())
            error.show()
            sys.exit(error.exit_code)
        except (KeyboardInterrupt, click.Abort, Cancelled) as error:
            _cancelled(as_json, error)
        except GeodetectError as error:
            if _interrupted(error):  # amid the import of an engine, say, which then seemed not to be installed
                _cancelled(as_json, error)
            _failed(as_json, str(error), error.exit_code)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read our output has gone; so do we, quietly
            sys.exit(1)
        except Exception as error:
            if _interrupted(error):
                _cancelled(as_json, error)
            if os.environ.get("GEODETECT_DEBUG"):
                raise
            text = " ".join(str(error).split()) or "no message"
            if lacks_memory(error):
                hint = "close other programs, or give a smaller --tile or --batch-size"
                _failed(as_json, f"no memory is left ({text}); {hint}", 1)
            hint = "set GEODETECT_DEBUG=1 to see where it comes from, and report it"
            _failed(as_json, f"unexpected {type(error).__name__}: {text}; {hint}", 1)

    def invoke(self, ctx: click.Context) -> None:
        """Run the command; what it returns is for Python, no exit code."""
        super().invoke(ctx)


def _failed(as_json: bool, message: str, code: int) -> NoReturn:
    message = shown(message)
    if as_json:
        _say_json(code, message)
    click.echo(f"Error: {message}", err=True)
    sys.exit(code)


def _say_json(code: int, message: str) -> None:
    click.echo(json.dumps({"type": "error", "code": code, "message": message}))


def _cancelled(as_json: bool, error: BaseException) -> NoReturn:
    if as_json:
        click.echo(json.dumps({"type": "cancelled"}))
    told = error.__cause__ if isinstance(error, click.Abort) else error  # click makes the one of a KeyboardInterrupt
    said = str(told) if isinstance(told, (Cancelled, KeyboardInterrupt)) else ""
    click.echo(said or "Stopped. No output was written; run the same command again to start over.", err=True)
    sys.exit(Cancelled.exit_code)


def _interrupted(error: BaseException | None) -> bool:
    """Return whether a Ctrl-C led to an error: extension modules answer one amid their import with ImportError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="geodetect")
def cli() -> None:
    """Find planes, ships and other objects in large satellite and aerial images.

    \b
    geodetect SCENE...          find objects, write SCENE_detections.gpkg
    geodetect demo              see it work on a scene that is made on the spot
    """


def main() -> NoReturn:
    """Entry point of the `geodetect` command: `cli` in a process of its own, which a signal may end at any time."""
    for name in ("SIGTERM", "SIGHUP"):  # the latter where a terminal is closed; Windows has none
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` has it
            signal.signal(number, _interrupt)
    try:
        cli()
    except KeyboardInterrupt:  # a second one, while the first was told
        code: Any = Cancelled.exit_code
    except SystemExit as end:
        code = end.code
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)  # the work is over: nothing is left to undo, only Python to be taken down
    if code == Cancelled.exit_code:
        _leave()  # the engine may be amid a batch in its thread: a normal exit would wait for it
    sys.exit(code)


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


def _leave(*_: Any) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # closed, or the signal came amid a write to it
            stream.flush()
    os._exit(Cancelled.exit_code)
