"""Where a raster says that it lies."""

from __future__ import annotations

import numpy as np
import rasterio
from affine import Affine
from rasterio.transform import from_gcps

from geodetect.errors import SceneError
from geodetect.grid import GeoGrid


def georeference(handle: rasterio.DatasetReader, path: str, require_crs: bool) -> tuple[GeoGrid, list[str]]:
    """Return a raster's grid, from its geotransform, else its ground control points, else its pixels, and notes.

    Raises:
        SceneError: there is no CRS though one is required, the geotransform has no area, or the CRS is of no use.
    """
    gcps, gcp_crs = handle.gcps
    transform, crs, origin, notes = handle.transform, handle.crs, "geotransform", []
    if transform == Affine.identity() and len(gcps) >= 3:
        transform, crs, origin = from_gcps(gcps), gcp_crs, "gcps"
        _check_area(transform, path)
        x, y = GeoGrid(handle.width, handle.height, transform).to_scene(
            np.array([point.x for point in gcps]), np.array([point.y for point in gcps])
        )
        away = np.hypot(x - [point.col for point in gcps], y - [point.row for point in gcps]).max()
        notes.append(
            f"georeferenced by an affine fit to {len(gcps)} ground control points, at most {away:.1f} px off; for more "
            "accuracy, warp the scene first with gdalwarp"
        )
    elif transform == Affine.identity() and crs is None:
        # QGIS lays a picture without georeference below the origin; with y = -row the results lie upon it
        transform, origin = Affine.scale(1, -1), "pixels"
    if crs is None:
        hint = "assign one, for example with gdal_edit.py -a_srs EPSG:32630"
        if require_crs:
            raise SceneError(f"{path} has no CRS; {hint} {path}")
        pixels = "pixels, x = column and y = -row"
        units = pixels if origin == "pixels" else "the unknown units of its geotransform"
        notes.append(f"the scene has no CRS, the results' coordinates are {units}; {hint}")
    _check_area(transform, path)
    grid = GeoGrid(handle.width, handle.height, transform, crs, origin)
    _check_crs(grid, path)
    return grid, notes


def _check_crs(grid: GeoGrid, path: str) -> None:
    """Raise SceneError where the CRS has parameters that PROJ cannot compute with."""
    if grid.crs is None:
        return
    from pyproj.exceptions import ProjError

    try:
        _ = grid.gsd
    except ProjError as error:
        reason = " ".join(str(error).split())
        raise SceneError(f"{path} has a CRS of no use ({reason}); assign a right one with gdal_edit.py") from error


def _check_area(transform: Affine, path: str) -> None:
    """Raise SceneError where pixels have no area on the map: NaN, zero sides, or both sides along one line."""
    with np.errstate(all="ignore"):
        sides = np.hypot(transform.a, transform.d) * np.hypot(transform.b, transform.e)
        sine = np.abs(transform.determinant) / sides
    plain = np.isfinite(transform[:6]).all() and 1e-20 < sides < 1e20
    if not plain or not sine > 1e-6 or not np.isfinite((~transform)[:6]).all():
        raise SceneError(
            f"{path} has a geotransform or ground control points of no area; assign a right one with gdal_edit.py"
        )
