"""Scenes cut from one raster, what they show of it, and what is left when their results are merged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import pyproj
import shapely
from affine import Affine
from rasterio.crs import CRS

from geodetect import geopackage
from geodetect.detections import Detections
from geodetect.features import from_detections
from geodetect.grid import GeoGrid
from geodetect.mosaic import MergeResult
from geodetect.schema import COLUMNS, LAYER

UTM, NEXT_ZONE, MERCATOR, WGS84 = (CRS.from_epsg(code) for code in (32631, 32632, 3857, 4326))
CLASSES = ("plane", "ship")
NORTH_UP = Affine(0.5, 0, 700_000, 0, -0.5, 5_000_000)
TURNED = Affine.translation(700_000, 5e6) @ Affine.rotation(33) @ Affine.scale(0.5, -0.5)
SIDE = 2000  # px of the raster that scenes are cut from


def grid_of(window: tuple[int, int, int, int], transform: Affine = NORTH_UP, crs: CRS | None = UTM) -> GeoGrid:
    """Return the grid of a window (left, top, right, bottom) of the raster."""
    left, top, right, bottom = window
    x, y = transform @ (left, top)
    moved = Affine(transform.a, transform.b, x, transform.d, transform.e, y)
    return GeoGrid(right - left, bottom - top, moved, crs)


def quarters(overlap: int, transform: Affine = NORTH_UP, crs: CRS | None = UTM) -> list[GeoGrid]:
    """Return 2 x 2 scenes that cover the raster."""
    spans = (0, (SIDE + overlap) // 2), ((SIDE - overlap) // 2, SIDE)
    return [grid_of((left, top, right, bottom), transform, crs) for top, bottom in spans for left, right in spans]


def run_of(grid: GeoGrid, name: str, **changes) -> dict:
    gsd = None if grid.crs is None else float(np.sqrt(np.prod(grid.gsd)))
    row = {"run_id": f"run-{name}", "created": "2026-01-01", "scene": f"{name}.tif", "model": "made", "licence": "MIT",
           "scores": dict.fromkeys(CLASSES, 0.1), "ious": dict.fromkeys(CLASSES, 0.45), "gsd": gsd, "area": None,
           "georeference": "geotransform", "footprint": grid.footprint.wkt, "notes": []}  # fmt: skip
    return row | changes


def write(path: Path, detections: Detections, grid: GeoGrid, classes=CLASSES, **changes) -> Path:
    run = run_of(grid, path.stem, **changes)
    features = from_detections(detections, grid, classes, run["scene"], run["model"], run["run_id"])
    geopackage.write(path, features, run, classes, ["#e6194b", "#4363d8", "#3cb44b", "#ffe119"][: len(classes)])
    return path


def seen(objects: Detections, raster: GeoGrid, grid: GeoGrid, faded: float = 0.8) -> Detections:
    """Return what a scene shows of objects of the raster: their boxes in its px, cut and weaker at its borders."""
    rings = raster.rings(objects.boxes)
    if raster.crs != grid.crs:
        x, y = pyproj.Transformer.from_crs(raster.crs, grid.crs, always_xy=True).transform(rings[..., 0], rings[..., 1])
        rings = np.stack([x, y], axis=-1)
    whole = shapely.polygons(np.stack(grid.to_scene(rings[..., 0], rings[..., 1]), axis=-1))
    shown = shapely.intersection(whole, shapely.box(0, 0, grid.width, grid.height))
    boxes = np.nan_to_num(shapely.bounds(shown))
    cut = shapely.area(shown) < shapely.area(whole) - 1e-6
    views = Detections.of(boxes, np.where(cut, objects.scores * faded, objects.scores), objects.labels)
    views = views[(boxes[:, 2:] - boxes[:, :2] > 1).all(axis=1)]
    return views[np.argsort(-views.scores, kind="stable")]


def quartered_in(folder: Path) -> list[Path]:
    """Write the results of 2 x 2 scenes of one raster."""
    objects, raster = scattered(120, 90), grid_of((0, 0, SIDE, SIDE))
    return [write(folder / f"{k}.gpkg", seen(objects, raster, grid), grid) for k, grid in enumerate(quarters(100))]


def scattered(count: int, longest: float, seed: int = 0, margin: float = 0) -> Detections:
    """Return objects that lie apart from each other in the raster."""
    rng = np.random.default_rng(seed)
    cells = int(np.ceil(np.sqrt(count)))
    cell = (SIDE - 2 * margin) / cells
    assert longest < cell - 4
    row, column = np.divmod(rng.permutation(cells**2)[:count], cells)
    sides = rng.uniform(6, longest, (count, 2))
    corner = margin + np.stack([column, row], axis=1) * cell + rng.uniform(2, cell - 2 - sides)
    scores = np.sort(rng.uniform(0.3, 1, count))[::-1]
    return Detections.of(np.concatenate([corner, corner + sides], axis=1), scores, rng.integers(0, 2, count))


def bounds_in(result: MergeResult, raster: GeoGrid) -> np.ndarray:
    """Return the features' boxes in px of the raster."""
    shapes = result.features.geometry
    xy = shapely.get_coordinates(shapes)
    if raster.crs != result.features.crs:
        moved = pyproj.Transformer.from_crs(result.features.crs, raster.crs, always_xy=True)
        xy = np.stack(moved.transform(*xy.T), axis=1)
    return shapely.bounds(shapely.set_coordinates(shapes.copy(), np.stack(raster.to_scene(*xy.T), axis=1)))


def check_each_once(result: MergeResult, objects: Detections, raster: GeoGrid, px: float) -> None:
    assert len(result.features) == len(objects)
    boxes = bounds_in(result, raster)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    mine = ((objects.boxes[:, :2] + objects.boxes[:, 2:]) / 2)[:, None]
    nearest = np.abs(mine - centres).max(axis=2).argmin(axis=1)
    assert sorted(nearest) == list(range(len(objects)))
    np.testing.assert_allclose(boxes[nearest], objects.boxes, atol=px)
    np.testing.assert_allclose(result.features.columns["score"][nearest], objects.scores, atol=1e-6)
    assert (result.features.columns["class_id"][nearest] == objects.labels).all()


def rows(path: Path | MergeResult) -> list[tuple]:
    """Return all features of a layer but their ids, in their order."""
    if isinstance(path, MergeResult):
        shapes, columns = path.features.geometry, path.features.columns
    else:
        meta, _, wkb, values = pyogrio.raw.read(path, layer=LAYER)
        shapes, columns = shapely.from_wkb(wkb), dict(zip(meta["fields"], values, strict=True))
    kept = [[value if value == value else None for value in columns[name].tolist()] for name in COLUMNS if name != "id"]
    return list(zip(shapely.to_wkt(shapes, rounding_precision=-1), *kept, strict=True))


def runs(path: Path) -> list[dict]:
    told = [
        {key: value for key, value in run.items() if key not in ("fid", "crs")} for run in geopackage.read_runs(path)
    ]
    return sorted(({k: v for k, v in run.items() if v is not None} for run in told), key=lambda run: run["run_id"])
