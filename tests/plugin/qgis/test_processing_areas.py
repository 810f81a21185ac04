"""`geodetect:detect`: where it looks, and where the result lies."""

from __future__ import annotations

import subprocess

import pytest
from detecting import ALGORITHM, HALF, Listening, rows, run, values, with_polygons
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsGeometry,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsVectorLayer,
)


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:4326", "EPSG:3857"])
def test_an_extent_in_any_crs(provider, scene, all_found, crs):
    target = QgsCoordinateReferenceSystem(crs)
    transform = QgsCoordinateTransform(scene.crs(), target, QgsProject.instance())
    box = QgsReferencedRectangle(transform.transformBoundingBox(HALF), target)
    layer = run({"INPUT": scene, "SCORE": 0.2, "EXTENT": box, "OUTPUT": "TEMPORARY_OUTPUT"})["OUTPUT"]
    assert layer.crs() == scene.crs()
    edge = {"EPSG:32631": 0, "EPSG:4326": 6, "EPSG:3857": 6}[crs]  # m that the box in the other CRS is larger
    got = [f.geometry().centroid().asPoint() for f in layer.getFeatures()]
    whole = [QgsGeometry.fromWkt(shape).centroid().asPoint() for shape, _, score in all_found if score > 0.3]
    expected = [point for point in whole if point.x() < HALF.xMaximum() - 30]
    missing = [point for point in expected if min(point.distance(other) for other in got) > 5]
    assert len(missing) <= 0.2 * len(expected)  # tiles lie elsewhere, so that the network does not see quite the same
    assert all(point.x() <= HALF.xMaximum() + edge for point in got)
    assert 0 < len(got) < len(all_found)


def test_polygons_and_what_they_share_with_an_extent(provider, scene, tmp_path):
    north, south = (
        QgsRectangle(500_000, 4_999_700, 500_640, 5_000_000),
        QgsRectangle(500_000, 4_999_360, 500_640, 4_999_500),
    )
    triangle = QgsGeometry.fromWkt("POLYGON((500000 4999360, 500640 4999360, 500000 5000000, 500000 4999360))")
    far = QgsRectangle(900_000, 4_000_000, 900_100, 4_000_100)
    path = tmp_path / "o.gpkg"
    layer = with_polygons(north, triangle, far)
    QgsProject.instance().addMapLayer(layer)
    layer.selectByIds([2])
    chosen = QgsProcessingFeatureSourceDefinition(layer.id(), True)
    low = {"INPUT": scene, "SCORE": 0.2}
    found = QgsVectorLayer(run({**low, "AOI": chosen, "OUTPUT": str(path)})["OUTPUT"])
    assert found.featureCount() > 0
    assert all(triangle.contains(f.geometry().centroid()) for f in found.getFeatures())
    assert "harbour" in rows(path, "geodetect_runs")[0]["area"]
    both = run({**low, "AOI": with_polygons(north, south), "EXTENT": HALF, "OUTPUT": "TEMPORARY_OUTPUT"})["OUTPUT"]
    assert both.featureCount() > 0
    for feature in both.getFeatures():
        centre = feature.geometry().centroid().asPoint()
        assert HALF.contains(centre)
        assert north.contains(centre) or south.contains(centre)


def test_polygons_in_another_crs_and_of_the_whole_world(provider, scene, all_found):
    world = QgsGeometry.fromWkt("POLYGON((-180 -90, 180 -90, 180 90, -180 90, -180 -90))")
    layer = run({"INPUT": scene, "SCORE": 0.2, "AOI": with_polygons(world, crs="EPSG:4326"),
                 "OUTPUT": "TEMPORARY_OUTPUT"})["OUTPUT"]  # fmt: skip
    assert values(layer, "class", "score") == sorted((k, s) for _, k, s in all_found)


@pytest.mark.parametrize(
    ("extent", "polygons", "said"),
    [
        (QgsRectangle(0, 0, 10, 10), None, "outside the image"),
        (None, QgsRectangle(0, 0, 10, 10), "outside the image"),
        (QgsRectangle(500_000, 4_999_400, 500_100, 4_999_500), QgsRectangle(500_300, 4_999_400, 500_400, 4_999_500),
         "in common"),
    ],
)  # fmt: skip
def test_an_area_off_the_image(provider, scene, extent, polygons, said, left):
    area = {"EXTENT": extent, "AOI": with_polygons(polygons) if polygons else None}
    with pytest.raises(QgsProcessingException, match=said):
        run({"INPUT": scene, "OUTPUT": "TEMPORARY_OUTPUT", **area})


def test_a_scene_without_crs_gives_a_layer_that_lies_upon_it(provider, scene_file, tmp_path, qgis_new_project):
    import processing

    bare = tmp_path / "bare.png"
    subprocess.run(
        ["gdal_translate", "-q", "-of", "PNG", "-co", "WORLDFILE=NO", str(scene_file), str(bare)], check=True
    )
    (tmp_path / "bare.png.aux.xml").unlink(missing_ok=True)
    image, heard = QgsRasterLayer(str(bare), "bare"), Listening()
    assert not image.crs().isValid()
    area = QgsRectangle(0, -1280, 640, 0)
    result = run({"INPUT": image, "EXTENT": area, "OUTPUT": str(tmp_path / "o.gpkg")}, heard)
    layer = QgsVectorLayer(result["OUTPUT"], "o")
    assert result["COUNT"] > 0
    assert not layer.crs().authid()
    assert not layer.crs().isGeographic()
    assert image.extent().contains(layer.extent())
    assert layer.extent().xMaximum() < 700
    assert any("no CRS" in text for text in heard.warnings)
    assert all(feature["length_m"] is None or not feature["length_m"] for feature in layer.getFeatures())
    project = QgsProject.instance()
    processing.runAndLoadResults(ALGORITHM, {"INPUT": image, "EXTENT": area, "OUTPUT": str(tmp_path / "p.gpkg")})
    (loaded,) = project.mapLayers().values()
    assert not loaded.crs().isValid()
    compared = {"DETECTIONS": loaded, "TRUTH": loaded, "ERRORS": "TEMPORARY_OUTPUT"}
    errors = processing.run("geodetect:evaluate", compared)
    assert (errors["HITS"], errors["MISSES"]) == (result["COUNT"], 0)
    assert not errors["ERRORS"].crs().isValid()
    # A CRS that QGIS alone knows is the result's, too
    image.setCrs(QgsCoordinateReferenceSystem("EPSG:32631"))
    heard = Listening()
    layer = run({"INPUT": image, "EXTENT": area, "OUTPUT": "TEMPORARY_OUTPUT"}, heard)["OUTPUT"]
    assert layer.crs().authid() == "EPSG:32631"
    assert layer.featureCount() == result["COUNT"]
    assert any("set in this project" in text for text in heard.warnings)


def test_a_crs_that_was_changed_in_qgis_keeps_the_result_upon_the_image(provider, scene, all_found):
    image = QgsRasterLayer(scene.source(), "moved")
    image.setCrs(QgsCoordinateReferenceSystem("EPSG:32632"))
    polygons = with_polygons(image.extent(), crs="EPSG:32632")
    found = {"INPUT": image, "SCORE": 0.2, "AOI": polygons, "OUTPUT": "TEMPORARY_OUTPUT"}
    layer = run(found)["OUTPUT"]
    assert layer.crs().authid() == "EPSG:32632"
    assert sorted(f.geometry().asWkt(2) for f in layer.getFeatures()) == sorted(shape for shape, _, _ in all_found)


def test_subdatasets(provider, scene_file, tmp_path):
    container = tmp_path / "rasters ü.gpkg"
    make = ["gdal_translate", "-q", "-of", "GPKG", "-co", "RASTER_TABLE=szene", "-co", "TILE_FORMAT=PNG"]
    subprocess.run([*make, str(scene_file), str(container)], check=True)
    image = QgsRasterLayer(f"GPKG:{container}:szene", "in a container")
    assert image.isValid()
    assert run({"INPUT": image, "EXTENT": HALF, "OUTPUT": "TEMPORARY_OUTPUT"})["COUNT"] > 0
