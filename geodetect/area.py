"""The area of interest, as the user gives it and as the tiles need it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import shapely

from geodetect.errors import AreaError, OutsideError
from geodetect.grid import GeoGrid
from geodetect.vectorfile import check_count
from geodetect.window import Window

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry


def check_area(area: str, area_crs: str | None) -> None:
    """Raise AreaError where an area cannot be used, whatever the scene."""
    import pyproj

    _, crs = _bounds(area, area_crs) or _file(area, area_crs)
    try:
        pyproj.CRS.from_user_input(crs or "OGC:CRS84")
    except pyproj.exceptions.CRSError as error:
        raise _unknown(crs) from error


def read_area(area: str, area_crs: str | None, grid: GeoGrid, scene: str) -> BaseGeometry:
    """Return the area of interest clipped to the scene, a polygon in scene px.

    Args:
        area: a vector file of polygons, or "left,bottom,right,top".
        area_crs: CRS of the bounds, or of a file that has none; None: the scene's. A scene without CRS takes
            coordinates as they are.
        grid: the scene's grid.
        scene: the scene's name, for messages.

    Raises:
        AreaError: the area cannot be read or holds no polygon.
        OutsideError: it does not meet the scene.
    """
    try:
        geometry, crs = _bounds(area, area_crs) or _file(area, area_crs)
        if crs is not None and grid.crs is not None:
            geometry = _reproject(geometry, crs, grid, area)
        inside = shapely.transform(geometry, lambda xy: np.stack(grid.to_scene(xy[:, 0], xy[:, 1]), axis=1))
        inside = shapely.make_valid(inside).intersection(shapely.box(0, 0, grid.width, grid.height))
    except shapely.errors.GEOSException as error:  # coordinates that overflow, for example
        raise _shapeless(area, error) from error
    if inside.area <= 0:
        raise OutsideError(f"the area {area} does not meet the scene {scene}; check its coordinates and its CRS")
    return inside


def area_window(area: BaseGeometry, margin: tuple[int, int], grid: GeoGrid) -> Window:
    """Return the window around an area in scene px, `margin` (x, y) px larger, within the scene."""
    left, top, right, bottom = area.bounds
    left, top = max(0, int(left) - margin[0]), max(0, int(top) - margin[1])
    right = min(grid.width, int(np.ceil(right)) + margin[0])
    bottom = min(grid.height, int(np.ceil(bottom)) + margin[1])
    return Window(top, left, bottom - top, right - left)


def _bounds(area: str, crs: str | None) -> tuple[BaseGeometry, str | None] | None:
    parts = area.split(",")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        return None
    if len(numbers) != 4 or not np.isfinite(numbers).all():
        raise AreaError(f"the area {area} needs four numbers: left,bottom,right,top")
    left, bottom, right, top = numbers
    if left >= right or bottom == top:
        raise AreaError(f"the area {area} is empty; give left,bottom,right,top with left below right")
    return shapely.box(left, bottom, right, top), crs


def _file(area: str, crs: str | None) -> tuple[BaseGeometry, object]:
    import geopandas

    if "://" not in area and not os.path.exists(area):
        raise AreaError(f"the area {area} does not exist; give a vector file or left,bottom,right,top")
    check_count(area, None, AreaError)
    try:
        layer = geopandas.read_file(area, columns=[])
    except Exception as error:  # pyogrio and GDAL raise many kinds for a file that is no vector file
        raise AreaError(f"the area {area} cannot be read as a vector file ({' '.join(str(error).split())})") from error
    shapes = layer.geometry.dropna().values if isinstance(layer, geopandas.GeoDataFrame) else []
    try:
        parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(_finite(shapes, area))))
        polygons = parts[shapely.area(parts) > 0]
        union = shapely.union_all(polygons)
    except shapely.errors.GEOSException as error:
        raise _shapeless(area, error) from error
    if not len(polygons):
        raise AreaError(f"the area {area} holds no polygon; give a layer of polygons")
    return union, layer.crs or crs


def _finite(shapes: Iterable[BaseGeometry], area: str) -> np.ndarray:
    array = np.asarray(shapes, object)
    if not np.isfinite(shapely.get_coordinates(array)).all():
        raise AreaError(f"the area {area} has coordinates that are no numbers; mend the layer")
    return array


def _reproject(geometry: BaseGeometry, source: object, grid: GeoGrid, area: str) -> BaseGeometry:
    """Return the part of an area around the scene in the scene's CRS.

    It is first cut to the scene's surroundings: a border far away may have no place in the scene's CRS. Then its
    edges get points: what is straight in one CRS is bent in another.
    """
    import pyproj

    try:
        to_scene = pyproj.Transformer.from_crs(source, grid.crs, always_xy=True)
    except pyproj.exceptions.CRSError as error:
        raise _unknown(source) from error
    frame = shapely.segmentize(shapely.box(0, 0, grid.width, grid.height), max(grid.width, grid.height) / 32)
    around = shapely.transform(frame, lambda xy: np.stack(grid.to_map(xy[:, 0], xy[:, 1]), axis=1))
    around = shapely.transform(
        around, lambda xy: np.stack(to_scene.transform(xy[:, 0], xy[:, 1], direction="INVERSE"), axis=1)
    )
    if np.isfinite(shapely.get_coordinates(around)).all():
        left, bottom, right, top = around.bounds
        margin = max(right - left, top - bottom)
        geometry = geometry.intersection(shapely.box(left - margin, bottom - margin, right + margin, top + margin))
        geometry = shapely.segmentize(geometry, margin / 64)
    moved = shapely.transform(geometry, lambda xy: np.stack(to_scene.transform(xy[:, 0], xy[:, 1]), axis=1))
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise AreaError(f"the area {area} cannot be expressed in the scene's CRS; check its coordinates and its CRS")
    return moved


def _shapeless(area: str, error: Exception) -> AreaError:
    return AreaError(f"the area {area} has no shape that can be computed with ({error}); mend the layer")


def _unknown(crs: object) -> AreaError:
    return AreaError(f"the area's CRS {crs} is not known; give one such as EPSG:4326")
