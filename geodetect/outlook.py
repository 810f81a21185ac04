"""What a run would do with a scene, without doing it."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from geodetect import registry
from geodetect.batching import BUFFERS
from geodetect.card import ModelCard
from geodetect.config import ClassRules, DetectConfig
from geodetect.engines import Engine, open_engine, usable_cores
from geodetect.gdal import gdal_settings
from geodetect.networks.graphs import shapes_of
from geodetect.plan import Plan, make_plan
from geodetect.progress import SILENT, Reporter
from geodetect.scene import Scene, open_scene

# What the peaks of benchmarks/README.md are made of, to about a tenth.
_PROGRAM = 180 << 20  # bytes: Python, GDAL, the libraries of the outputs and an engine
_MINDSPORE = 370 << 20  # bytes that MindSpore takes more than other engines
_COPIES = {"openvino": 3, "onnxruntime": 4, "mindspore": 2}  # of the parameters, while the network is made ready
_CHANNELS = {"yolov3-tiny": 24, "yolov3": 44, "yolov4": 80}  # float32 values a canvas pixel that a network holds


def forecast(scene: str | Path, config: DetectConfig, reporter: Reporter = SILENT) -> dict[str, Any]:
    """Return what a run with these settings would do, field by field, ready to print.

    The time is that of a batch of empty tiles run now, times the number of batches. The scene is looked at first, then
    the model is downloaded where it is not here.

    Args:
        scene, config: as of `detect`.
        reporter: is told the progress of a download.

    Raises:
        InputError, EngineError: as `detect` would.
    """
    card = registry.card_of(config.model, config.card)
    rules = ClassRules.of(config, card)
    limit = config.max_gigapixels
    opened = open_scene(scene, config.bands, card.input.bands, config.require_crs, max_gigapixels=limit)
    with opened, gdal_settings(opened.path, 64 << 20):
        plan = make_plan(opened, card, config)
        package = registry.resolve(
            config.model, config.card, lambda done, total: reporter.progress("download", done, total or 0)
        )
        options = config.engine, config.device, config.precision, config.batch_size, config.threads
        engine = open_engine(package, *options, canvas=plan.canvas)
        batch = max(1, min(engine.batch_size, len(plan.windows)))
        try:
            seconds = _seconds_per_tile(engine, batch, plan.canvas)
        finally:
            engine.close()
        width, height = min(plan.tile[0], plan.region.width), min(plan.tile[1], plan.region.height)
        asked = {name: s for name, s in zip(card.classes, rules.scores, strict=True) if s <= 1}
        return _describe_scene(opened) | {
            "network_sees": _sees(plan),
            "stretch": _stretch(plan),
            "tiles": f"{len(plan.windows):,} of {width} x {height} px, overlapping by {plan.overlap[0]} x "
            f"{plan.overlap[1]} px, {plan.skipped:,} more skipped as empty or outside the area",
            "model": f"{card.name} {card.version}, {card.network.family}",
            "scores": ", ".join(f"{name} {score:g}" for name, score in asked.items()),
            "engine": f"{engine.name} on {engine.device}, {engine.precision}",
            "time": f"about {_duration(seconds * len(plan.windows))} ({1 / seconds:.1f} tiles/s)",
            "memory": f"about {_memory(plan, card, engine, batch, config.threads or usable_cores()) / 2**20:.0f} MB",
            "notes": [*opened.notes, *plan.notes],
        }


def _describe_scene(scene: Scene) -> dict[str, Any]:
    grid, gsd = scene.grid, scene.grid.gsd
    crs = "none" if grid.crs is None else (grid.crs.to_string() if grid.crs.to_epsg() else "custom")
    return {
        "scene": scene.path,
        "size": f"{grid.width:,} x {grid.height:,} px, {scene.dtype}, blocks of {scene.block[1]} x {scene.block[0]}, "
        + ("with overviews" if scene.has_overviews else "without overviews"),
        "crs": f"{crs} ({grid.origin})",
        "gsd": "unknown" if gsd is None else f"{gsd[0]:.4g} x {gsd[1]:.4g} m",
        "bands": ", ".join(map(str, scene.bands)),
        "mask": {"none": "every pixel is valid", "dataset": "mask band"}.get(scene.mask, scene.mask),
    }


def _sees(plan: Plan) -> str:
    size = f"{plan.canvas} x {plan.canvas} px"
    gsd = "" if plan.gsd is None else f" of {plan.gsd:.3g} m"
    return f"{size}{gsd}, {'resampled by GDAL' if plan.resampled else 'the scene as it is'}"


def _stretch(plan: Plan) -> str:
    stretch = plan.normaliser.stretch
    if stretch.is_identity:
        return "none, 8-bit values as they are"
    ranges = zip(stretch.low, stretch.high, strict=True)
    return "one for the whole scene: " + ", ".join(f"{low:.4g} to {high:.4g}" for low, high in ranges)


def _seconds_per_tile(engine: Engine, batch: int, canvas: int) -> float:
    images = np.zeros((batch, 3, canvas, canvas), np.float32)
    engine.predict(images)  # the first run compiles or warms up
    started = time.perf_counter()
    engine.predict(images)
    return max(time.perf_counter() - started, 1e-6) / batch


def _memory(plan: Plan, card: ModelCard, engine: Engine, batch: int, threads: int) -> float:
    """Return the peak of a run's memory in bytes."""
    pixels, family = plan.canvas**2, card.network.family
    batches = min(BUFFERS, math.ceil(len(plan.windows) / batch))
    buffers = batches * batch * 3 * pixels * 4
    shapes = shapes_of(card)
    parameters = _COPIES[engine.name] * 4 * sum(math.prod(shape) for shape in shapes.values())
    at_once = min(batch, threads) if engine.name == "openvino" else batch
    activations = at_once * _CHANNELS[family] * pixels * (2 if engine.precision == "bfloat16" else 4)
    program = _PROGRAM + (_MINDSPORE if engine.name == "mindspore" else 0)
    return program + plan.cache_bytes + buffers + parameters + activations


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
