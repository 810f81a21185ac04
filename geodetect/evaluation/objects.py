"""Objects on a map as columns, and their comparison."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely

from geodetect.errors import ConfigError, InputError
from geodetect.evaluation.result import Evaluation, compare


@dataclass(frozen=True, slots=True, eq=False)
class MapObjects:
    """N detections or true objects.

    Attributes:
        geometry: (N,) shapely polygons, multipolygons or points, map units.
        names: (N,) str, the class of each.
        scores: (N,) float64, 0..1; 1 for the truth.
        difficult: (N,) bool, objects that an evaluation leaves out.
        crs: of the geometry, whatever pyproj understands, or None.
        where: the file they come from, for messages.
    """

    geometry: np.ndarray
    names: np.ndarray
    scores: np.ndarray
    difficult: np.ndarray
    crs: str | None = None
    where: str = "the layer"

    @classmethod
    def of(
        cls,
        geometry: Any,
        names: Any,
        scores: Any = None,
        difficult: Any = None,
        crs: str | None = None,
        where: str = "the layer",
    ) -> MapObjects:
        """Return objects from anything array-like; raises ValueError on unlike lengths."""
        shapes = np.asarray(geometry, object).reshape(-1)
        columns = (
            np.asarray(names, str).reshape(-1),
            np.ones(len(shapes)) if scores is None else np.asarray(scores, np.float64).reshape(-1),
            np.zeros(len(shapes), bool) if difficult is None else np.asarray(difficult, bool).reshape(-1),
        )
        if any(len(column) != len(shapes) for column in columns):
            raise ValueError("geometry, names, scores and difficult need one length")
        return cls(shapes, *columns, crs, where)

    def __len__(self) -> int:
        return len(self.geometry)

    def __getitem__(self, index: Any) -> MapObjects:
        """Return the rows that a mask, a slice or an index array selects."""
        columns = {name: getattr(self, name)[index] for name in ("geometry", "names", "scores", "difficult")}
        return replace(self, **columns)

    def to_crs(self, crs: str | None) -> MapObjects:
        """Return the objects in another CRS; unchanged where either is unknown or both are the same.

        Raises:
            InputError: the coordinates cannot be transformed.
        """
        if crs is None or self.crs is None or crs == self.crs:
            return self
        import pyproj

        try:
            transformer = pyproj.Transformer.from_crs(self.crs, crs, always_xy=True)
        except pyproj.exceptions.CRSError as error:
            raise InputError(
                f"{self.where} cannot be brought into the other layer's CRS ({error}); assign it one"
            ) from error
        moved = shapely.transform(self.geometry, lambda c: np.stack(transformer.transform(c[:, 0], c[:, 1]), 1))
        if not np.isfinite(shapely.get_coordinates(moved)).all():
            raise InputError(f"{self.where} lies outside the other layer's CRS; check which CRS it is assigned")
        return replace(self, geometry=moved, crs=crs)


def evaluate(detections: MapObjects, truth: MapObjects, iou: float = 0.5) -> Evaluation:
    """Return how well detections on a map meet the truth.

    Detections are boxes along a scene's rows and columns. The truth is brought into their CRS, and each true
    polygon, oriented or not, becomes its bounding box along the same rows and columns: what the network was taught to
    return. A scene that is rotated on the map, or a CRS in degrees, thus changes no IoU. A true point is
    found by a box that holds it. Class names are compared without regard to case.

    Args:
        detections: polygons with scores.
        truth: polygons or points; where it or the detections have no CRS, a note of the result says so.
        iou: the least IoU of a hit, above 0, up to 1.

    Raises:
        InputError: no class name is in both, the truth cannot be brought into the detections' CRS, or a detection is
            no polygon or has no score.
    """
    if not 0 < iou <= 1:
        raise ConfigError(f"iou is {iou}; give a number above 0, up to 1")
    _check_detections(detections)
    notes = _crs_notes(detections, truth)
    truth = truth.to_crs(detections.crs)
    names, true_names = (np.char.strip(np.char.lower(objects.names.astype(str))) for objects in (detections, truth))
    if len(names) and len(true_names) and not set(names) & set(true_names):
        raise InputError(
            f"{truth.where} has the classes {_listed(true_names)}, {detections.where} has {_listed(names)}: "
            "none is in both; rename them or choose another class field"
        )
    to_pixels = pixel_axes(detections.geometry)
    result = compare(
        bounds(detections.geometry, to_pixels),
        detections.scores,
        names.tolist(),
        bounds(truth.geometry, to_pixels),
        true_names.tolist(),
        difficult=truth.difficult,
        iou=iou,
    )
    return replace(result, notes=notes)


def _check_detections(detections: MapObjects) -> None:
    points = shapely.get_dimensions(detections.geometry) < 2
    if points.any():
        raise InputError(
            f"{detections.where} has {points.sum():,} objects that are no polygons; detections must be polygons"
        )
    unscored = np.isnan(detections.scores)
    if unscored.any():
        raise InputError(f"{detections.where} has {unscored.sum():,} objects without a score; give each a score")


def _crs_notes(detections: MapObjects, truth: MapObjects) -> tuple[str, ...]:
    """Return a note where one layer has a CRS and the other has none."""
    if not len(detections) or not len(truth) or (detections.crs is None) == (truth.crs is None):
        return ()
    without = detections if detections.crs is None else truth
    return (f"{without.where} has no CRS: its coordinates are taken as they are, as if in the other layer's CRS.",)


def pixel_axes(geometry: np.ndarray) -> np.ndarray:
    """Return the matrix (2, 2) that turns map units into units along the sides of the boxes.

    It is the identity where the boxes do not share their directions, as those of several scenes need not.
    """
    corners = shapely.get_num_coordinates(geometry) == 5
    if not len(geometry) or not corners.all():
        return np.eye(2)
    rings = shapely.get_coordinates(geometry).reshape(-1, 5, 2)
    sides = np.diff(rings[:, :3], axis=1)  # (N, 2 sides, 2)
    largest = sides[np.abs(sides).sum((1, 2)).argmax()]
    units = largest / np.linalg.norm(largest, axis=1, keepdims=True)
    if abs(np.linalg.det(units)) < 1e-6:
        return np.eye(2)
    to_pixels = np.linalg.inv(units)
    boxes = bounds(geometry, to_pixels)
    filled = (boxes[:, 2:] - boxes[:, :2]).prod(1) * abs(np.linalg.det(units))
    return to_pixels if np.allclose(filled, shapely.area(geometry), rtol=0.01) else np.eye(2)


def bounds(geometry: np.ndarray, to_pixels: np.ndarray) -> np.ndarray:
    """Return the boxes (N, 4) of geometries along the axes of `to_pixels`."""
    turned = shapely.transform(np.asarray(geometry, object), lambda coordinates: coordinates @ to_pixels)
    return shapely.bounds(turned).reshape(-1, 4)


def _listed(names: np.ndarray, most: int = 6) -> str:
    found = sorted(set(names.tolist()))
    return ", ".join(found[:most]) + (" …" if len(found) > most else "")
