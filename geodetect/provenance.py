"""How a result came about: the row of `geodetect_runs`."""

from __future__ import annotations

import secrets
from datetime import datetime, timezone
from typing import Any

import numpy as np
import rasterio

from geodetect import __version__
from geodetect.detections import Detections
from geodetect.view import View


def run_row(view: View, detections: Detections) -> dict[str, Any]:
    """Return all that is needed to know how a result came about."""
    scene, plan, card, rules, engine = view.scene, view.plan, view.card, view.rules, view.engine
    now = datetime.now(timezone.utc)
    finite = {name: score for name, score in zip(card.classes, rules.scores, strict=True) if score <= 1}
    counts = np.bincount(detections.labels, minlength=len(card.classes))
    return {
        "run_id": f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(6)}",
        "created": now.isoformat(timespec="seconds"),
        "scene": scene.name,
        "model": card.name,
        "model_version": card.version,
        "model_sha256": view.package.sha256,
        "licence": card.licence,
        "attribution": card.attribution,
        "scores": finite,
        "ious": {name: iou for name, iou in zip(card.classes, rules.ious, strict=True) if name in finite},
        "counts": {name: int(n) for name, n in zip(card.classes, counts, strict=True) if name in finite},
        "tile": list(plan.tile),
        "overlap": list(plan.overlap),
        "canvas": plan.canvas,
        "gsd": plan.gsd,
        "area": view.config.area,
        "bands": list(scene.bands),
        "stretch": {"low": list(plan.normaliser.stretch.low), "high": list(plan.normaliser.stretch.high)},
        "average": int(view.config.average),
        "tiles": len(plan.windows),
        "tiles_skipped": plan.skipped,
        "engine": engine.name,
        "device": engine.device,
        "precision": engine.precision,
        "georeference": scene.grid.origin,
        "footprint": "" if scene.grid.crs is None else scene.grid.footprint.wkt,
        "notes": [*scene.notes, *plan.notes],
        "versions": {"geodetect": __version__, engine.name: engine.version, "gdal": rasterio.__gdal_version__},
        "seconds": 0.0,
    }
