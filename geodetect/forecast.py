"""What a run would do with a scene, without doing it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from geodetect import registry
from geodetect.batching import BUFFERS
from geodetect.config import ClassRules, DetectConfig
from geodetect.engines import Engine, open_engine
from geodetect.plan import Plan, make_plan
from geodetect.scene import Scene, gdal_settings, open_scene

_PROGRAM_BYTES = 350 << 20  # Python, GDAL and the libraries, before the network and its buffers


def forecast(scene: str | Path, config: DetectConfig) -> dict[str, Any]:
    """Return what a run with these settings would do, field by field, ready to print.

    The time is that of a batch of empty tiles run now, times the number of batches.

    Raises:
        InputError, EngineError: as `detect` would.
    """
    package = registry.resolve(config.model, config.card)
    rules = ClassRules.of(config, package.card)
    opened = open_scene(scene, config.bands, package.card.input.bands, config.require_crs)
    with opened, gdal_settings(opened, 64 << 20):
        plan = make_plan(opened, package.card, config)
        options = config.engine, config.device, config.precision, config.batch_size, config.threads
        engine = open_engine(package, *options, canvas=plan.canvas)
        try:
            seconds = _seconds_per_tile(engine, plan.canvas)
        finally:
            engine.close()
        width, height = min(plan.tile[0], plan.region.width), min(plan.tile[1], plan.region.height)
        asked = {name: s for name, s in zip(package.card.classes, rules.scores, strict=True) if s <= 1}
        return _describe_scene(opened) | {
            "network_sees": _sees(plan),
            "stretch": _stretch(plan),
            "tiles": f"{len(plan.windows):,} of {width} x {height} px, overlapping by {plan.overlap[0]} x "
            f"{plan.overlap[1]} px, {plan.skipped:,} more skipped as empty or outside the area",
            "model": f"{package.card.name} {package.card.version}, {package.card.network.family}",
            "scores": ", ".join(f"{name} {score:g}" for name, score in asked.items()),
            "engine": f"{engine.name} on {engine.device}, {engine.precision}",
            "time": f"about {_duration(seconds * len(plan.windows))} ({1 / seconds:.1f} tiles/s)",
            "memory": f"about {_memory(plan, engine) / 2**20:.0f} MB",
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


def _seconds_per_tile(engine: Engine, canvas: int) -> float:
    images = np.zeros((engine.batch_size, 3, canvas, canvas), np.float32)
    engine.predict(images)  # the first run compiles or warms up
    started = time.perf_counter()
    engine.predict(images)
    return max(time.perf_counter() - started, 1e-6) / engine.batch_size


def _memory(plan: Plan, engine: Engine) -> float:
    images = BUFFERS * engine.batch_size * 3 * plan.canvas**2 * 4
    activations = 250 * plan.canvas**2 * 4 * 3  # bytes, seen with the largest of the networks
    return _PROGRAM_BYTES + plan.cache_bytes + images + activations


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
