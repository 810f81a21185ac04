"""Detections in map units, with attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from geodetect.detections import Detections
from geodetect.grid import GeoGrid
from geodetect.schema import COLUMNS

if TYPE_CHECKING:
    import geopandas
    from rasterio.crs import CRS


@dataclass(frozen=True, eq=False)
class Features:
    """N detections as polygons with attributes.

    Attributes:
        geometry: (N,) shapely polygons, map units, float64.
        columns: name to (N,) array, see `schema.COLUMNS`.
        boxes: (N, 4) x1, y1, x2, y2 in scene px, for formats without a map.
        crs: of the geometry, or None.
    """

    geometry: np.ndarray
    columns: dict[str, np.ndarray]
    boxes: np.ndarray
    crs: CRS | None

    def __len__(self) -> int:
        return len(self.geometry)

    @property
    def wkt(self) -> str | None:
        """The CRS as WKT, with its EPSG code where it has one."""
        return None if self.crs is None else self.crs.to_wkt()

    def to_geodataframe(self) -> geopandas.GeoDataFrame:
        """Return the features as a GeoDataFrame."""
        import geopandas

        return geopandas.GeoDataFrame(self.columns, geometry=self.geometry, crs=self.wkt)


def from_detections(
    detections: Detections, grid: GeoGrid, classes: Sequence[str], scene: str, model: str, run_id: str
) -> Features:
    """Return scene detections as map features, in the detections' order.

    A box becomes the polygon that it is under the scene's geotransform: a parallelogram where that is rotated.
    """
    boxes, count = detections.boxes, len(detections)
    centre_x, centre_y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    pixel_x, pixel_y = grid.metres_per_pixel(centre_x, centre_y)
    along_x, along_y = (boxes[:, 2] - boxes[:, 0]) * pixel_x, (boxes[:, 3] - boxes[:, 1]) * pixel_y
    t = grid.transform
    sine = abs(t.determinant) / (np.hypot(t.a, t.d) * np.hypot(t.b, t.e))  # of the angle between rows and columns
    values = {
        "id": np.arange(1, count + 1),
        "class": np.asarray(classes, object)[detections.labels] if count else np.empty(0, object),
        "class_id": detections.labels,
        "score": detections.scores,
        "length_m": np.maximum(along_x, along_y),
        "width_m": np.minimum(along_x, along_y),
        "area_m2": along_x * along_y * sine,
        "scene": np.full(count, scene, object),
        "model": np.full(count, model, object),
        "run_id": np.full(count, run_id, object),
    }
    columns = {name: np.asarray(values[name], kind) for name, kind in COLUMNS.items()}
    return Features(shapely.polygons(grid.rings(boxes)), columns, boxes, grid.crs)
