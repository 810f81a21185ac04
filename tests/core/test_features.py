import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from geodetect.detections import Detections
from geodetect.features import from_detections
from geodetect.grid import GeoGrid
from geodetect.schema import COLUMNS

FOUND = Detections.of([[100, 200, 180, 220], [10, 10, 20, 40]], [0.9, 0.5], [1, 0])


UTM = CRS.from_epsg(32631)


def features(transform, crs=UTM, found=FOUND):
    return from_detections(found, GeoGrid(1000, 1000, transform, crs), ("plane", "ship"), "s.tif", "m", "r1")


def test_a_feature_has_the_boxes_corners_and_its_size_on_the_ground():
    result = features(Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000))
    assert result.geometry[0].bounds == (500_050, 4_999_890, 500_090, 4_999_900)
    assert result.columns["length_m"] == pytest.approx([40, 15], rel=1e-3)
    assert result.columns["width_m"] == pytest.approx([10, 5], rel=1e-3)
    assert result.columns["area_m2"] == pytest.approx([400, 75], rel=1e-3)
    assert result.columns["class"].tolist() == ["ship", "plane"]
    assert result.columns["id"].tolist() == [1, 2]


def test_a_rotated_grid_gives_rotated_polygons():
    rotated = features(Affine.translation(500_000, 5e6) @ Affine.rotation(30) @ Affine.scale(0.5, -0.5))
    polygon = rotated.geometry[0]
    assert polygon.area == pytest.approx(400)
    assert polygon.envelope.area > 1.5 * polygon.area
    assert rotated.columns["length_m"][0] == pytest.approx(40, rel=1e-3)


def test_a_sheared_grid_has_the_parallelograms_area():
    sheared = features(Affine(0.5, 0.25, 500_000, 0, -0.5, 5_000_000))
    assert sheared.columns["area_m2"][0] == pytest.approx(sheared.geometry[0].area, rel=2e-3)


def test_sizes_are_unknown_without_a_crs():
    assert np.isnan(features(Affine.identity(), crs=None).columns["length_m"]).all()


def test_the_columns_are_the_schema_and_keep_their_types_when_empty():
    for result in (features(Affine.identity()), features(Affine.identity(), found=Detections.empty())):
        assert list(result.columns) == list(COLUMNS)
        assert {name: str(c.dtype) for name, c in result.columns.items()} == COLUMNS


def test_geodataframe():
    frame = features(Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)).to_geodataframe()
    assert frame.crs.to_epsg() == 32631
    assert shapely.is_valid(frame.geometry.values).all()
