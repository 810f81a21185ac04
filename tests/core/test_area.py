import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from geodetect.area import area_window, read_area
from geodetect.errors import AreaError
from geodetect.grid import GeoGrid

GRID = GeoGrid(2000, 1000, Affine(0.5, 0, 500_000, 0, -0.5, 4_600_000), CRS.from_epsg(32631))  # at 41.55 north


def area(text, crs=None, grid=GRID):
    return read_area(str(text), crs, grid, "s.tif")


def layer(tmp_path, *shapes, crs=4326, name="area.gpkg"):
    geopandas.GeoDataFrame(geometry=list(shapes), crs=crs).to_file(tmp_path / name)
    return tmp_path / name


def test_bounds_in_the_scenes_crs_are_exact():
    found = area("500100,4599700,500300,4599900")
    assert found.bounds == pytest.approx((200, 200, 600, 600))


def test_a_file_in_another_crs_covers_the_same_ground(tmp_path):
    square = geopandas.GeoSeries([shapely.box(500_100, 4_599_700, 500_300, 4_599_900)], crs=32631)
    path = layer(tmp_path, *square.to_crs(4326))
    assert area(path).symmetric_difference(shapely.box(200, 200, 600, 600)).area < 5


@pytest.mark.parametrize("as_file", [True, False])
def test_long_edges_follow_their_own_crs(tmp_path, as_file):
    # On a map in UTM the parallel between far corners is an arc: a straight line between them lies kilometres off.
    south, north, edge = (-20, 30, 20, 41.4), (-20, 41.6, 20, 60), (-20, 41.54, 20, 60)

    def given(bounds):
        if as_file:
            return area(layer(tmp_path, shapely.box(*bounds)))
        return area(",".join(map(str, bounds)), "EPSG:4326")

    for bounds in (south, north):
        with pytest.raises(AreaError, match="does not meet the scene"):
            given(bounds)
    assert given(edge).area == pytest.approx(2000 * 1000)
    world = given((-180, -90, 180, 90))
    assert world.area == pytest.approx(2000 * 1000)


def test_polygons_are_taken_out_of_collections_and_mended(tmp_path):
    bow = shapely.Polygon([(500_100, 4_599_700), (500_300, 4_599_900), (500_300, 4_599_700), (500_100, 4_599_900)])
    mixed = shapely.GeometryCollection([shapely.Point(0, 0), shapely.box(500_400, 4_599_700, 500_500, 4_599_800)])
    path = layer(tmp_path, bow, mixed, crs=32631)
    assert area(path).area == pytest.approx(80_000 + 40_000)


def test_what_is_no_area_is_told(tmp_path):
    (tmp_path / "text.gpkg").write_text("no layer")
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    cases = {
        layer(tmp_path, shapely.Point(3, 41.5), name="point.gpkg"): "holds no polygon",
        layer(tmp_path, shapely.LineString([(3, 41.5), (4, 42)]), name="line.gpkg"): "holds no polygon",
        tmp_path / "table.csv": "holds no polygon",
        tmp_path / "text.gpkg": "cannot be read as a vector file",
        tmp_path / "none.gpkg": "does not exist",
        "1,2,3": "needs four numbers",
        "5,0,1,1": "is empty",
        "0,0,1,1": "does not meet the scene s.tif",
    }
    for given, message in cases.items():
        with pytest.raises(AreaError, match=message):
            area(given)
    with pytest.raises(AreaError, match="CRS EPSG:nonsense is not known"):
        area("0,0,1,1", "EPSG:nonsense")


@pytest.mark.filterwarnings("ignore:invalid value")  # shapely's own, about what this test feeds it
def test_coordinates_that_are_no_numbers_are_told(tmp_path):
    ring = shapely.Polygon([(3, 41.5), (3.1, np.nan), (3.2, 41.6)])
    with pytest.raises(AreaError, match=r"no numbers|cannot be read|no polygon"):
        area(layer(tmp_path, ring, name="nan.gpkg"))


def test_the_window_has_a_margin_and_stays_inside():
    assert area_window(shapely.box(100, 50, 200, 80), (30, 40), GRID).bounds == (70, 10, 230, 120)
    assert area_window(shapely.box(0, 0, 1999, 999), (30, 40), GRID).bounds == (0, 0, 2000, 1000)
