"""What can be chosen about the preparation of a data set."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from geodetect.config import DetectConfig
from geodetect.errors import ConfigError
from training.labels import DOUBLES, KINDS

DIFFICULT = ("ignore", "keep", "drop")
_OUTSIDE = ("out", "workers", "overwrite", "anchors", "network_size")  # they change neither tiles nor annotations


@dataclass(frozen=True)
class PrepareSettings:
    """Where the labels are, how tiles are cut, and what becomes of each object.

    Raises ConfigError where a value cannot be used.
    """

    data: tuple[str, ...]  # a folder or JSON file; the scenes under a layer
    out: str  # folder of the data set to be made
    labels: str | None = None  # label file or folder, where it does not lie in `data`
    kind: str = "auto"  # or dota, coco, yolo, layer
    tile: int = 600  # side, px
    overlap: float = 0.2  # of the tile's side
    scales: tuple[float, ...] = (1.0,)  # 1/n each: copies of the images reduced n times
    classes: tuple[str, ...] = ()  # keep these only, in this order; empty: all
    class_map: Mapping[str, str] = field(default_factory=dict)  # name in the labels: name in the data set
    min_inside: float = 0.7  # of an object's area: less in a tile becomes ignored
    min_size: float = 2.0  # tile px, the shorter side: less becomes ignored
    difficult: str = "ignore"  # or keep them as objects, or drop them
    doubles: str = "keep"  # or drop: an object labelled twice counts once
    val_share: float = 0.1  # of images that no folder assigns to train or val
    empty_rate: float = 0.1  # share of the tiles without object that is kept
    jpeg: int | None = None  # quality 1..100; None: lossless PNG
    bands: tuple[str, ...] | None = None  # for red, green, blue: numbers from 1 or names
    stretch: str = "auto"  # as in DetectConfig
    class_field: str | None = None  # of a layer
    layer: str | None = None  # its name
    point_size: float | None = None  # m, box around a point of a layer
    anchors: int | None = None  # how many to fit to the boxes
    network_size: int | None = None  # px, side of the network's input that anchors are for; None: as the tile
    workers: int | None = None  # processes; None: one a core
    overwrite: bool = False  # replace a data set that was made with other settings

    def __post_init__(self) -> None:
        if not self.data:
            raise ConfigError("data is empty; give a folder, a COCO file, or scenes with a layer in --labels")
        for name, values in (("kind", ("auto", *KINDS)), ("difficult", DIFFICULT), ("doubles", DOUBLES)):
            self._check(name, getattr(self, name) in values, f"one of {', '.join(values)}")
        for name, low, high in (("tile", 32, 8192), ("jpeg", 1, 100), ("anchors", 3, 30), ("workers", 1, 1024)):
            value = getattr(self, name)
            optional = name != "tile" and value is None
            whole = isinstance(value, int) and low <= value <= high
            self._check(name, optional or whole, f"a whole number from {low} to {high}")
        self._check("overlap", 0 <= self.overlap <= 0.9, "a share of the tile from 0 to 0.9")
        self._check("min_inside", 0 < self.min_inside <= 1, "a share above 0, up to 1")
        self._check("min_size", 0 <= self.min_size < self.tile, "px from 0 to the tile's side")
        self._check("val_share", 0 <= self.val_share < 1, "a share from 0 to below 1")
        self._check("empty_rate", 0 <= self.empty_rate <= 1, "a share from 0 to 1")
        self._check("anchors", self.anchors is None or self.anchors % 3 == 0, "a multiple of 3, three a head")
        side = self.network_size
        self._check("network_size", side is None or (side > 0 and side % 32 == 0), "a multiple of 32 px")
        self._check("point_size", self.point_size is None or self.point_size > 0, "metres above 0")
        if not self.scales or len(set(self.reductions)) < len(self.scales):
            raise ConfigError(f"scales is {self.scales}; give different ones such as 1,0.5")
        DetectConfig(bands=self.bands, stretch=self.stretch)  # raises as the core's own command does

    def _check(self, name: str, good: bool, expected: str) -> None:
        if not good:
            raise ConfigError(f"{name} is {getattr(self, name)!r}, give {expected}")

    @property
    def reductions(self) -> tuple[int, ...]:
        """How many times each scale reduces an image."""
        found = []
        for scale in self.scales:
            whole = Fraction(scale).limit_denominator(64) if 0 < scale <= 1 else Fraction(2)
            if whole.numerator != 1 or abs(float(whole) - scale) > 0.01 * scale:
                raise ConfigError(
                    f"scales has {scale:g}, which is no whole reduction; give 1, 0.5, 0.25 or another 1/n"
                )
            found.append(whole.denominator)
        return tuple(found)

    @property
    def ending(self) -> str:
        """The tiles' file ending."""
        return ".png" if self.jpeg is None else ".jpg"

    @property
    def overlap_px(self) -> int:
        """The overlap of tiles, px."""
        return min(round(self.overlap * self.tile), self.tile - 1)

    @property
    def canvas(self) -> int:
        """Side of the network's input for anchors, px."""
        return self.network_size or -(-self.tile // 32) * 32

    def recorded(self) -> dict[str, Any]:
        """Return what the tiles and annotations depend on, as plain values."""
        values = {name: value for name, value in dataclasses.asdict(self).items() if name not in _OUTSIDE}
        values["data"] = [str(Path(path).resolve()) for path in self.data]
        values["labels"] = str(Path(self.labels).resolve()) if self.labels else None
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
