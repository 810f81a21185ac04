import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from geodetect.grid import GeoGrid

UTM, WGS84, MERCATOR = CRS.from_epsg(32631), CRS.from_epsg(4326), CRS.from_epsg(3857)
GRIDS = {
    "north-up": GeoGrid(4000, 3000, Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000), UTM),
    "south-up": GeoGrid(4000, 3000, Affine(0.5, 0, 500_000, 0, 0.5, 5_000_000), UTM),
    "rotated": GeoGrid(
        4000, 3000, Affine.translation(500_000, 5e6) @ Affine.rotation(33) @ Affine.scale(0.3, -0.3), UTM
    ),
    "sheared": GeoGrid(4000, 3000, Affine(0.5, 0.1, 500_000, 0.02, -0.4, 5_000_000), UTM),
    "geographic": GeoGrid(4000, 3000, Affine(5e-6, 0, 15.0, 0, -3e-6, 45.0), WGS84),
    "antimeridian": GeoGrid(4000, 3000, Affine(5e-6, 0, 179.99, 0, -5e-6, -17.0), WGS84),
}
pixels = st.floats(0, 4000, allow_nan=False)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
@given(x=pixels, y=pixels)
def test_map_and_back_is_exact_to_a_millionth_of_a_pixel(grid, x, y):
    back = grid.to_scene(*grid.to_map(np.array([x]), np.array([y])))
    assert abs(back[0][0] - x) < 1e-6
    assert abs(back[1][0] - y) < 1e-6


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_rings_are_the_images_of_the_pixel_corners(grid):
    ring = grid.rings(np.array([[10.25, 20.5, 110.75, 60.0]]))[0]
    corners = [(10.25, 20.5), (110.75, 20.5), (110.75, 60.0), (10.25, 60.0), (10.25, 20.5)]
    expected = [grid.transform @ corner for corner in corners]
    np.testing.assert_allclose(ring, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_the_footprint_tells_of_every_corner_in_its_order(grid):
    corners = [(0, 0), (4000, 0), (4000, 3000), (0, 3000), (0, 0)]
    expected = [grid.transform @ corner for corner in corners]
    np.testing.assert_allclose(list(grid.footprint.exterior.coords), expected, rtol=0, atol=1e-9)
    again = shapely.from_wkt(grid.footprint.wkt)
    assert again == grid.footprint  # to the last bit


def test_the_outer_corner_of_the_first_pixel_is_the_origin():
    assert GRIDS["north-up"].to_map(np.array(0.0), np.array(0.0)) == (500_000, 5_000_000)


def test_ground_sample_distance_is_in_metres_whatever_the_crs():
    assert GRIDS["north-up"].gsd == pytest.approx((0.5, 0.5), rel=1e-3)
    assert GRIDS["rotated"].gsd == pytest.approx((0.3, 0.3), rel=1e-3)
    x, y = GRIDS["geographic"].gsd
    assert x == pytest.approx(5e-6 * 111_320 * np.cos(np.radians(45)), rel=3e-3)
    assert y == pytest.approx(3e-6 * 111_132, rel=3e-3)
    feet = GeoGrid(100, 100, Affine(1, 0, 2e6, 0, -1, 7e5), CRS.from_epsg(2263))  # New York in US feet
    assert feet.gsd == pytest.approx((0.3048, 0.3048), rel=1e-3)


def test_web_mercator_is_measured_on_the_ground():
    grid = GeoGrid(1000, 1000, Affine(1, 0, 0, 0, -1, 8_399_737.9), MERCATOR)  # 60 degrees north
    assert grid.gsd == pytest.approx((0.5, 0.5), rel=5e-3)


def test_without_crs_nothing_is_known_of_the_ground():
    assert GeoGrid(10, 10, Affine.identity()).gsd is None
