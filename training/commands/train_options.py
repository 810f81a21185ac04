"""The options of `geodetect train`, made from the fields of `TrainConfig`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

import click

from geodetect.errors import ConfigError
from training.run.config import TrainConfig
from training.run.settings import kind_of

ARGUMENTS = "geodetect.train.arguments"  # key of a context's meta: the words of the command line
_TYPES: dict[type, Any] = {int: int, float: float, bool: bool, str: str}


class GroupedCommand(click.Command):
    """A command whose help shows its options under headings; `--data_dir` and `--data-dir` are the same to it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["context_settings"] = {"token_normalize_func": lambda token: token.replace("_", "-")}
        super().__init__(*args, **kwargs)

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> click.Context:
        """Keep the words of the command line for the processes of other devices."""
        words = list(args)
        context = super().make_context(info_name, args, *rest, **extra)
        context.meta[ARGUMENTS] = words
        return context

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options group by group."""
        groups = {item.name: item.metadata["group"] for item in dataclasses.fields(TrainConfig)}
        rows: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if (row := parameter.get_help_record(ctx)) is not None:
                rows.setdefault(groups.get(parameter.name or "", "General"), []).append(row)
        for group in sorted(rows, key=lambda name: name != "General"):
            with formatter.section(group):
                formatter.write_dl(rows[group])


def settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for every field of `TrainConfig`."""
    for item in reversed(dataclasses.fields(TrainConfig)):
        command = _option(item)(command)
    return command


def augment_of(given: tuple[str, ...]) -> dict[str, Any]:
    """Return the mapping that KEY=VALUE pairs stand for, one an option or several with commas between."""
    values = {}
    for pair in (pair for text in given for pair in re.split(r",(?=\s*\w+\s*=)", text)):
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"augment is {pair!r}, give KEY=VALUE such as mosaic=0.5")
        values[key.strip()] = value
    return values


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that stand on the command line."""
    found = {key: value for key, value in values.items() if value is not None and key != "augment"}
    return found | ({"augment": augment_of(values["augment"])} if values["augment"] else {})


def _option(item: dataclasses.Field) -> Callable[[Any], Any]:
    name, text = f"--{item.name.replace('_', '-')}", item.metadata["help"]
    if item.name == "augment":
        return click.option(name, item.name, multiple=True, metavar="KEY=VALUE,...", help=text)
    kind, several, _ = kind_of(item.name, TrainConfig)
    default = "" if item.default in (None, "", (), False) else f"  [default: {_shown(item.default)}]"
    extra: dict[str, Any] = {"help": text + default, "default": None}
    if kind is bool:  # --resume, --resume true, --resume=0
        extra |= {"type": bool, "is_flag": False, "flag_value": "true", "metavar": "[BOOL]"}
    elif "choices" in item.metadata:
        extra |= {"type": click.Choice(list(item.metadata["choices"]))}
    else:
        extra |= {"type": str if several else _TYPES[kind], "metavar": "A,B,..." if several else _metavar(kind)}
    return click.option(name, item.name, **extra)


def _metavar(kind: type) -> str:
    return {int: "N", float: "X"}.get(kind, "TEXT")


def _shown(value: Any) -> str:
    return ",".join(f"{part:g}" for part in value) if isinstance(value, tuple) else str(value).lower()
