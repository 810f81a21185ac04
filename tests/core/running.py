"""Runs of the bundled model that tests compare, and the scenes for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import rasterio
from affine import Affine

import geodetect
from geodetect.detections import Detections
from geodetect.errors import Cancelled
from geodetect.pipeline import DetectResult
from geodetect.progress import Reporter

MODEL = "planes-ships-yolov3-tiny"
SIDE = 1024  # px of the drawn scene
UTM = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)


class Telling(Reporter):
    """Keeps what it is told; stops after some scenes."""

    def __init__(self, stop: int = 10**9) -> None:
        self.notes, self.steps, self.stop = [], [], stop

    def progress(self, stage, done, total, found=0):
        self.steps.append((stage, done, total, found))
        if stage == "batch" and done >= self.stop:
            raise Cancelled("stop")

    def note(self, message):
        self.notes.append(message)


def run(scene, **options) -> DetectResult:
    return geodetect.detect(scene, model=MODEL, **({"precision": "float32", "score": 0.3} | options))


def same(a: Detections, b: Detections, px: float = 1e-3) -> None:
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_allclose(a.boxes, b.boxes, atol=px)
    np.testing.assert_allclose(a.scores, b.scores, atol=1e-4)


def refound(boxes: np.ndarray, reference: DetectResult) -> float:
    """Return the share of the reference's sure detections that have a box on them."""
    sure = reference.detections.boxes[reference.detections.scores > 0.5]
    left_top = np.maximum(sure[:, None, :2], boxes[None, :, :2])
    shared = np.prod(np.maximum(np.minimum(sure[:, None, 2:], boxes[None, :, 2:]) - left_top, 0), axis=2)
    areas = np.prod(sure[:, 2:] - sure[:, :2], axis=1)[:, None] + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return float((shared / (areas - shared) > 0.5).any(axis=1).mean())


def write_scene(path: Path, pixels: np.ndarray, row: int = 0, col: int = 0, **profile) -> str:
    """Write pixels (bands, h, w) as a scene whose corner is so many px from that of the others; return its path."""
    count, height, width = pixels.shape
    shape = {"count": count, "height": height, "width": width, "transform": UTM @ Affine.translation(col, row)}
    usual = {"driver": "GTiff", "dtype": "uint8", "crs": "EPSG:32631", "photometric": "RGB"}
    with rasterio.open(path, "w", **(usual | shape | profile)) as file:
        file.write(pixels)
    return str(path)


def write_scenes(folder: Path, pixels: np.ndarray, count: int) -> Path:
    """Write scenes of one picture, each other one upside down, side by side; return their folder."""
    for number in range(count):
        write_scene(folder / f"scene{number}.tif", pixels[:, ::-1] if number % 2 else pixels, col=1400 * number)
    return folder


def features(folder: Path) -> dict[str, list]:
    """Return all that a batch found, by the results' names, but for the runs' own numbers."""
    paths = sorted(folder.glob("*_detections.gpkg"))
    return {p.name: pyogrio.read_dataframe(p, layer="detections").drop(columns="run_id").values.tolist() for p in paths}
