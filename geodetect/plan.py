"""What a run will do with a scene, decided before the first tile is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import shapely
from shapely.geometry.base import BaseGeometry

from geodetect.area import area_window, read_area
from geodetect.card import Input, ModelCard
from geodetect.config import DetectConfig
from geodetect.errors import ConfigError
from geodetect.letterbox import Letterbox
from geodetect.progress import Caution
from geodetect.radiometry import Normaliser, Stretch
from geodetect.scene import Scene
from geodetect.survey import occupied, sample
from geodetect.tiling import tile_windows
from geodetect.window import Window

_STEP = 32  # the networks' largest stride: sides of the canvas are multiples of it
_NEARLY = 0.05  # a resampling of less than 5 % is left out: it costs sharpness and gains nothing


@dataclass(frozen=True)
class Plan:
    """Tiles and radiometry of one run.

    Attributes:
        canvas: side of the network's input, px.
        shape: (height, width) that a tile is read at, canvas px; the rest of the canvas is fill.
        letterbox: how a tile (scene px) lies on the canvas.
        tile, overlap: (width, height), scene px.
        region: what the tiles cover, scene px.
        windows: the tiles to run, row by row.
        skipped: how many tiles hold no data or lie outside the area.
        area: area of interest, scene px, or None.
        pixel_bytes: what a pixel takes in GDAL's block cache, all bands that are decoded with it.
        gsd: ground sample distance that the network sees, m/px, or None where unknown.
        normaliser: from pixels to the network's values.
        notes: sentences that the user should know.
    """

    canvas: int
    shape: tuple[int, int]
    letterbox: Letterbox
    tile: tuple[int, int]
    overlap: tuple[int, int]
    region: Window
    windows: tuple[Window, ...]
    skipped: int
    area: BaseGeometry | None
    pixel_bytes: int
    gsd: float | None
    normaliser: Normaliser
    notes: tuple[str, ...]

    @property
    def resampled(self) -> bool:
        """Whether the network sees other pixels than the scene's."""
        return (self.letterbox.scale_x, self.letterbox.scale_y) != (1.0, 1.0)

    def blocks(self, least: int) -> list[range]:
        """Return the tiles' indices in blocks of whole rows, about `least` or more each and as equal as rows allow."""
        total, starts = len(self.windows), [0]
        share = total / max(1, total // least)
        for index in range(1, total):
            if self.windows[index].row != self.windows[index - 1].row and index >= share * len(starts):
                starts.append(index)
        return [range(first, past) for first, past in pairwise([*starts, total]) if first < past]

    @property
    def cache_bytes(self) -> int:
        """GDAL's block cache that lets each block be decoded once: two rows of tiles, 64 MB to 512 MB."""
        return int(min(max(self.region.width * self.tile[1] * 2 * self.pixel_bytes, 64 << 20), 512 << 20))


def make_plan(scene: Scene, card: ModelCard, config: DetectConfig) -> Plan:
    """Return the plan of a run; reads no more of the scene than its overviews or a few patches."""
    side = config.tile or card.input.tile or card.input.size
    # The card's tile may be stretched to the canvas (600 px to 608): any other tile keeps that scale.
    canvas = _STEP * math.ceil(side * card.input.size / (card.input.tile or card.input.size) / _STEP)
    if config.tile and (card.input.tile or card.input.size) == card.input.size:
        side = canvas
    ratio_x, ratio_y, gsd, notes = _ratios(scene, card.input, config)
    tile = max(1, round(side / ratio_x)), max(1, round(side / ratio_y))
    overlap = _overlap(config, card, side, tile)
    area = read_area(config.area, config.area_crs, scene.grid, scene.name) if config.area else None
    region = Window(0, 0, scene.grid.height, scene.grid.width)
    if area is not None:
        region = area_window(area, overlap, scene.grid)
    windows = tile_windows(region, tile, overlap)
    total = len(windows)
    if area is not None:
        shapely.prepare(area)
        windows = [w for w in windows if area.intersects(shapely.box(*w.bounds))]
    windows = [w for w, there in zip(windows, occupied(scene, windows), strict=True) if there]
    height, width = min(tile[1], region.height), min(tile[0], region.width)
    shape = max(1, round(canvas * height / tile[1])), max(1, round(canvas * width / tile[0]))
    stretch = scene_stretch(scene, config)
    return Plan(
        canvas=canvas,
        shape=shape,
        letterbox=Letterbox(shape[1] / width, shape[0] / height),
        tile=tile,
        overlap=overlap,
        region=region,
        windows=tuple(windows),
        skipped=total - len(windows),
        area=area,
        pixel_bytes=scene.pixel_bytes,
        gsd=gsd,
        normaliser=Normaliser(stretch, card.input.mean, card.input.std, card.input.fill),
        notes=tuple(notes),
    )


def scene_stretch(scene: Scene, config: DetectConfig) -> Stretch:
    """Return one stretch for the whole scene: 8-bit pixels stay, others are stretched between percentiles."""
    kind, low, high = config.stretch_limits()
    bands = scene.channels
    if kind == "values":
        return Stretch((low,) * bands, (high,) * bands)
    if kind == "none" or (kind == "auto" and scene.dtype == "uint8"):
        return Stretch.identity(bands)
    pixels, valid = sample(scene)
    return Stretch.from_percentiles(pixels, valid, *([(low, high)] if kind == "percent" else []))


def _ratios(scene: Scene, card: Input, config: DetectConfig) -> tuple[float, float, float | None, list[str]]:
    """Return network px per scene px along x and y, the ground sample distance that results, and notes."""
    measured = scene.grid.gsd
    if measured is None:
        told = scene.grid.crs is None and config.gsd in ("auto", "native")  # a note says already that there is no CRS
        note = "its ground sample distance cannot be known, so the scene is not resampled"
        return 1.0, 1.0, None, [] if told else [note]
    mean = math.sqrt(measured[0] * measured[1])
    if config.gsd == "native":
        return 1.0, 1.0, mean, []
    if config.gsd != "auto":
        target = float(config.gsd)
    else:
        finest, coarsest = card.gsd or (mean, mean)
        target = min(max(mean, finest), coarsest)
    ratio_x, ratio_y = measured[0] / target, measured[1] / target
    if max(abs(ratio_x - 1), abs(ratio_y - 1)) < _NEARLY:
        return 1.0, 1.0, mean, []
    if max(ratio_x, ratio_y) > 8:
        why = "the model needs" if config.gsd == "auto" else "asked for are"
        note = Caution(
            f"its pixels of {mean:.4g} m are too coarse, {why} {target:.4g} m; "
            "the scene is not resampled and little may be found"
        )
        return 1.0, 1.0, mean, [note]
    why = ", which the model knows" if config.gsd == "auto" else ""
    note = f"resampled from {measured[0]:.4g} x {measured[1]:.4g} m to {target:.4g} m a pixel{why}"
    return ratio_x, ratio_y, target, [note]


def _overlap(config: DetectConfig, card: ModelCard, side: int, tile: tuple[int, int]) -> tuple[int, int]:
    overlap = card.thresholds.overlap if config.overlap is None else config.overlap
    share = overlap if overlap < 1 else overlap / side
    width, height = round(share * tile[0]), round(share * tile[1])
    if width >= tile[0] or height >= tile[1]:
        raise ConfigError(
            f"overlap is {overlap:g}, which leaves no step from tile to tile; give at most 0.9 of the tile"
        )
    return width, height
