"""Labels from a vector layer over georeferenced scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from geodetect.errors import LabelError
from geodetect.evaluation import MapObjects
from geodetect.scene import Scene
from geodetect.vectors import read_objects
from training.labels.folders import IMAGE_ENDINGS, plain_name
from training.labels.labelled import LabelledImage, LabelSet
from training.labels.picture import open_picture


@dataclass(frozen=True)
class LayerOptions:
    """How a vector layer is read."""

    class_field: str | None = None  # None: class, label, type and the like
    layer: str | None = None  # its name; None: the first
    point_size: float | None = None  # m, side of the box around a point


def read_layer(path: Path, scenes: Sequence[Path], options: LayerOptions) -> LabelSet:
    """Return the objects of a layer in each scene, as quadrilaterals or boxes in scene px.

    A ring of four corners keeps them; any other polygon becomes its box along the scene's rows and columns. A point
    becomes a square of `point_size` metres. Objects whose field `difficult` is 1 are ignored. A layer without CRS is
    taken to be in the scene's.

    Args:
        path: GeoPackage, GeoJSON, Shapefile or whatever GDAL reads, in any CRS.
        scenes: rasters, or one folder of them.
        options: field, layer and size of points.

    Raises:
        LabelError: an object without class, points without size, a scene without CRS, no object in any scene.
        InputError: the layer cannot be read, or lies outside the scene's CRS.
        SceneError: a scene cannot be opened.
    """
    objects = read_objects(path, options.class_field, options.layer, is_truth=True)
    if not len(objects):
        raise LabelError(f"{path} holds no object; draw some, or name another of its layers with --layer")
    names = np.char.strip(objects.names.astype(str))
    if (names == "").any():
        raise LabelError(f"{path}, object {int((names == '').argmax()) + 1}: its class is empty; give it one")
    images, met = [], np.zeros(len(objects), bool)
    for scene_path in _rasters(scenes):
        with open_picture(scene_path) as scene:
            image, here = _labelled(scene, objects, names, path, options)
        images.append(image)
        met |= here
    if not met.any():
        raise LabelError(f"no object of {path} lies in {_of(scenes)}; check the CRS of both")
    away = int((~met).sum())
    several = away != 1
    note = f"{away:,} object{'s' if several else ''} of {path.name} lie{'' if several else 's'} in no scene"
    lone = objects.crs is None and any(image.gsd for image in images)
    notes = [note] if away else []
    notes += [f"{path.name} has no CRS and is taken to be in the scene's"] if lone else []
    return LabelSet("layer", tuple(images), (), tuple(notes))


def _labelled(
    scene: Scene, objects: MapObjects, names: np.ndarray, path: Path, options: LayerOptions
) -> tuple[LabelledImage, np.ndarray]:
    """Return the scene with the objects that meet it, and which these are (N,) bool."""
    if scene.grid.crs is None and objects.crs is not None:
        raise LabelError(f"{scene.path} has no CRS, so that {path.name} cannot be laid over it; assign it one")
    moved = objects.to_crs(scene.grid.crs.to_wkt() if scene.grid.crs else None)
    in_scene = shapely.transform(moved.geometry, lambda c: np.stack(scene.grid.to_scene(c[:, 0], c[:, 1]), 1))
    bounds = shapely.bounds(in_scene).reshape(-1, 4)
    points = shapely.get_type_id(in_scene) == 0
    if points.any():
        bounds = _grown(bounds, points, scene, path, options.point_size)
    here = (bounds[:, :2] < (scene.grid.width, scene.grid.height)).all(1) & (bounds[:, 2:] > 0).all(1)
    corners = bounds[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    quads = (shapely.get_num_coordinates(in_scene) == 5) & (shapely.get_num_geometries(in_scene) == 1)
    if quads.any():
        corners[quads] = shapely.get_coordinates(in_scene[quads]).reshape(-1, 5, 2)[:, :4]
    gsd = scene.grid.gsd
    image = LabelledImage(
        plain_name(Path(scene.path).stem),
        scene.path,
        str(path),
        "",
        corners[here],
        names[here],
        objects.difficult[here],
        np.flatnonzero(here) + 1,
        size=(scene.grid.width, scene.grid.height),
        gsd=float(np.sqrt(gsd[0] * gsd[1])) if gsd else None,
    )
    return image, here


def _grown(bounds: np.ndarray, points: np.ndarray, scene: Scene, path: Path, size: float | None) -> np.ndarray:
    """Return the bounds with points grown to squares of `size` metres."""
    if size is None:
        raise LabelError(f"{path} holds points; give the side of the boxes around them in metres with --point-size")
    along_x, along_y = scene.grid.metres_per_pixel(bounds[:, 0], bounds[:, 1])
    if not (np.isfinite(along_x[points]).all() and np.isfinite(along_y[points]).all()):
        raise LabelError(
            f"the size of {scene.path}'s pixels in metres cannot be known; assign it a CRS, or give polygons"
        )
    half = np.stack([size / 2 / along_x, size / 2 / along_y], 1) * points[:, None]
    half = np.where(points[:, None], half, 0.0)
    return np.concatenate([bounds[:, :2] - half, bounds[:, 2:] + half], 1)


def _rasters(scenes: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for scene in scenes:
        inner = sorted(scene.iterdir()) if scene.is_dir() else [scene]
        found += [path for path in inner if not scene.is_dir() or path.suffix.lower() in IMAGE_ENDINGS]
    if not found:
        raise LabelError(f"{_of(scenes)} holds no raster; give the scenes that the layer lies over")
    return found


def _of(scenes: Sequence[Path]) -> str:
    return str(scenes[0]) if len(scenes) == 1 else f"the {len(scenes)} scenes"
