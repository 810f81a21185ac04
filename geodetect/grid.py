"""Where the pixels of a scene lie on the map."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from affine import Affine

if TYPE_CHECKING:
    from rasterio.crs import CRS
    from shapely import Polygon

_LATTICE = 17  # points an axis at which the ground size of a pixel is computed; between them it is interpolated


@dataclass(frozen=True)
class GeoGrid:
    """A scene's size, geotransform and CRS; needs no file.

    Attributes:
        width, height: px.
        transform: scene px (column, row) to map units, any affine map: north-up, south-up, rotated, sheared.
            (0, 0) is the outer corner of the first pixel.
        crs: None where the scene has none; map coordinates then are what the transform gives.
        origin: "geotransform", "gcps" (fitted to ground control points) or "pixels" (x = column, y = -row).
    """

    width: int
    height: int
    transform: Affine
    crs: CRS | None = None
    origin: str = "geotransform"

    def to_map(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return map coordinates, float64, of scene px x (columns) and y (rows)."""
        return _apply(self.transform, x, y)

    def to_scene(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return scene px, float64, of map coordinates; `to_scene(*to_map(x, y))` is (x, y)."""
        return _apply(~self.transform, x, y)

    def rings(self, boxes: np.ndarray) -> np.ndarray:
        """Return the map corners (N, 5, 2) of scene boxes (N, 4): closed rings, from the top left, clockwise in px.

        Under a rotated or sheared transform a box becomes the parallelogram that it is on the ground.
        """
        boxes = np.asarray(boxes, np.float64)
        x, y = self.to_map(boxes[:, [0, 2, 2, 0, 0]], boxes[:, [1, 1, 3, 3, 1]])
        return np.stack([x, y], axis=-1)

    @property
    def footprint(self) -> Polygon:
        """The scene's outline on the map: its outer corners, from the top left, clockwise in px."""
        import shapely

        return shapely.Polygon(self.rings(np.array([[0, 0, self.width, self.height]]))[0])

    @property
    def gsd(self) -> tuple[float, float] | None:
        """Ground sample distance (along x, along y) in m/px at the scene's centre; None where it cannot be known."""
        along_x, along_y = self.metres_per_pixel(np.array([self.width / 2]), np.array([self.height / 2]))
        known = np.isfinite(along_x[0]) and np.isfinite(along_y[0])
        return (float(along_x[0]), float(along_y[0])) if known else None

    def metres_per_pixel(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the ground length in m of a pixel's sides along x and y at scene px (x, y); NaN where unknown.

        Measured on the CRS's ellipsoid, so it holds for geographic CRS and for projections that stretch
        (Web Mercator) too.
        """
        along_x, along_y = self._pixel_sides
        column = np.clip(np.asarray(x, np.float64) / self.width, 0, 1) * (_LATTICE - 1)
        row = np.clip(np.asarray(y, np.float64) / self.height, 0, 1) * (_LATTICE - 1)
        return _bilinear(along_x, column, row), _bilinear(along_y, column, row)

    @cached_property
    def _pixel_sides(self) -> tuple[np.ndarray, np.ndarray]:
        """Ground lengths of a pixel's two sides at a lattice over the scene, two arrays (_LATTICE, _LATTICE)."""
        x, y = np.meshgrid(np.linspace(0, self.width, _LATTICE), np.linspace(0, self.height, _LATTICE))
        along_x = self._ground_distance((x - 0.5, y), (x + 0.5, y))
        along_y = self._ground_distance((x, y - 0.5), (x, y + 0.5))
        return along_x, along_y

    def _ground_distance(self, start: tuple, end: tuple) -> np.ndarray:
        if self.crs is None:
            return np.full(start[0].shape, np.nan)
        import pyproj

        crs = pyproj.CRS.from_user_input(self.crs)
        a, b = self.to_map(*start), self.to_map(*end)
        geod = crs.get_geod()
        if geod is None or crs.geodetic_crs is None:  # a local CRS: its unit is all that is known
            factor = crs.axis_info[0].unit_conversion_factor if crs.axis_info else np.nan
            return np.hypot(b[0] - a[0], b[1] - a[1]) * factor
        to_degrees = pyproj.Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform
        lon_a, lat_a = to_degrees(*a)
        lon_b, lat_b = to_degrees(*b)
        if crs.geodetic_crs.axis_info[0].unit_name == "grad":
            lon_a, lat_a, lon_b, lat_b = (0.9 * np.asarray(value) for value in (lon_a, lat_a, lon_b, lat_b))
        seen = np.isfinite(lon_a) & np.isfinite(lon_b) & np.isfinite(lat_a) & np.isfinite(lat_b)
        metres = np.full(lon_a.shape, np.nan)
        metres[seen] = geod.inv(lon_a[seen], lat_a[seen], lon_b[seen], lat_b[seen])[2]
        return metres


def _apply(transform: Affine, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return (
        transform.a * x + transform.b * y + transform.c,
        transform.d * x + transform.e * y + transform.f,
    )


def _bilinear(lattice: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    left = np.minimum(column.astype(np.intp), _LATTICE - 2)
    top = np.minimum(row.astype(np.intp), _LATTICE - 2)
    u, v = column - left, row - top
    upper = lattice[top, left] * (1 - u) + lattice[top, left + 1] * u
    lower = lattice[top + 1, left] * (1 - u) + lattice[top + 1, left + 1] * u
    return upper * (1 - v) + lower * v
