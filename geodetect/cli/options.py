"""Options that several commands share, each defined once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from geodetect.config import DetectConfig, plain_settings
from geodetect.engines import DEVICES, ENGINES, PRECISIONS
from geodetect.errors import ConfigError


class PerClass(click.ParamType):
    """A number for all classes, or `plane=0.4,ship=0.3`."""

    name = "NUMBER|CLASS=NUMBER,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a float or a mapping of floats."""
        if not isinstance(value, str):
            return value
        option = param.name if param is not None and param.name else "the option"
        try:
            if "=" not in value:
                return float(value)
            pairs = [part.split("=", 1) for part in value.split(",") if part.strip()]
            if len({name.strip() for name, _ in pairs}) < len(pairs):
                raise ConfigError(f"{option} is {value!r}, which names a class twice; name each once")
            return {name.strip(): float(number) for name, number in pairs}
        except ValueError:
            raise ConfigError(f"{option} is {value!r}, give a number or pairs such as plane=0.4,ship=0.3") from None


class Names(click.ParamType):
    """A comma-separated list."""

    name = "A,B,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a tuple of names."""
        names = tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
        if not names:
            option = param.name if param is not None and param.name else "the option"
            raise ConfigError(f"{option} is empty; give names with commas between, or leave it out")
        return names


model = click.option("-m", "--model", metavar="NAME", help="Model name, alias, package folder or weights file.")
card = click.option("--card", metavar="FILE", help="Model card (YAML) of a weights file.")
classes = click.option("--classes", type=Names(), help="Keep only these classes.")
score = click.option("--score", type=PerClass(), help="Least score, 0 to 1, for all classes or each.")
iou = click.option("--iou", type=PerClass(), help="Boxes that overlap more than this are one object.")
average = click.option("--average", is_flag=True, default=None, help="Average a box with those it suppresses.")
bands = click.option("--bands", type=Names(), help="Bands for red, green, blue: numbers or names.")
stretch = click.option("--stretch", metavar="S", help="auto, none, LOW,HIGH or LOW%,HIGH%: pixel values to stretch.")
gsd = click.option("--gsd", metavar="M", help="auto, native or metres per pixel to resample to.")
area = click.option("--area", metavar="FILE|L,B,R,T", help="Look only here: a vector file, or bounds.")
area_crs = click.option("--area-crs", metavar="CRS", help="CRS of the bounds.  [default: the scene's]")
tile = click.option("--tile", type=int, metavar="PX", help="Side of a tile.  [default: the model's]")
overlap = click.option("--overlap", type=float, metavar="N", help="Overlap of tiles: a share below 1, or px.")
require_crs = click.option("--require-crs", is_flag=True, default=None, help="Refuse scenes without a CRS.")
max_gigapixels = click.option(
    "--max-gigapixels", type=float, metavar="N", help="Refuse scenes of more pixels.  [default: 100]"
)
engine = click.option("--engine", type=click.Choice(["auto", *ENGINES]), help="What runs the network.")
device = click.option("--device", type=click.Choice(DEVICES), help="Where it runs.")
precision = click.option("--precision", type=click.Choice(PRECISIONS), help="Arithmetic of the network.")
batch_size = click.option("--batch-size", type=int, metavar="N", help="Tiles that the engine takes at once.")
threads = click.option("--threads", type=int, metavar="N", help="CPU threads.  [default: all cores]")
config = click.option("--config", metavar="FILE", help="Settings from a YAML file; options on the line win.")
overwrite = click.option("--overwrite", is_flag=True, help="Replace an output that exists.")
progress = click.option(
    "--progress", type=click.Choice(["auto", "json", "none"]), default="auto", help="How progress is shown."
)

_SETTINGS = (
    *(config, model, card, classes, score, iou, average, bands, stretch, gsd, area, area_crs, tile, overlap),
    *(require_crs, max_gigapixels, engine, device, precision, batch_size, threads),
)


def settings(command):
    """Add every option that makes up a `DetectConfig`."""
    for option in reversed(_SETTINGS):
        command = option(command)
    return command


def detect_config(config: str | None, values: Mapping[str, Any]) -> DetectConfig:
    """Return the settings of the file, if any, with the options that were given replacing them."""
    import dataclasses

    base = DetectConfig.from_yaml(config) if config else DetectConfig()
    return dataclasses.replace(base, **plain_settings(values))
