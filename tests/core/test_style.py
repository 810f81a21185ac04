from __future__ import annotations

import json
import os
import subprocess
from xml.etree.ElementTree import fromstring

import pytest
from affine import Affine
from rasterio.crs import CRS

from geodetect import geopackage
from geodetect.detections import Detections
from geodetect.features import from_detections
from geodetect.grid import GeoGrid
from geodetect.style import LABEL_SCALE, qml

CLASSES, COLOURS = ("plane", "ship", 'Flugzeug & <Schiff> "ü" 船'), ("#e6194b", "#4363d8", "#ffe119")
QGIS_PYTHON = "/usr/bin/python3"  # QGIS binds to the system's Python

IN_QGIS = """
import json, sys
from qgis.core import QgsApplication, QgsMapRendererParallelJob, QgsMapSettings, QgsRectangle, QgsVectorLayer
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor

def picture(extent, width):
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(layer.crs())
    settings.setOutputDpi(96)
    settings.setOutputSize(QSize(width, width))
    settings.setExtent(extent)
    settings.setBackgroundColor(QColor("black"))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    image = job.renderedImage()
    seen = {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}
    return {"scale": settings.scale(), "colours": sorted(seen), "labels": len(job.takeLabelingResults().allLabels())}

application = QgsApplication([], False)
application.initQgis()
layer = QgsVectorLayer(sys.argv[1] + "|layername=detections", "detections", "ogr")
renderer, labelling = layer.renderer(), layer.labeling()
settings = labelling.settings()
near, far = QgsRectangle(layer.extent()), QgsRectangle(layer.extent())
near.scale(1.3)
far.scale(12)
print(json.dumps({
    "valid": layer.isValid(),
    "features": layer.featureCount(),
    "crs": layer.crs().authid(),
    "fields": [field.name() for field in layer.fields()],
    "renderer": renderer.type(),
    "attribute": renderer.classAttribute(),
    "categories": [[c.value(), c.label(), c.symbol().color().name()] for c in renderer.categories()],
    "labels": layer.labelsEnabled() and settings.drawLabels,
    "scales": [settings.scaleVisibility, settings.minimumScale, settings.maximumScale],
    "expression": settings.getLabelExpression().evalErrorString(),
    "near": picture(near, 300),
    "far": picture(far, 300),
}))
sys.stdout.flush()
__import__("os")._exit(0)
"""


def rules(xml: str, path: str) -> dict[str, str]:
    found = fromstring(xml).find(path)
    assert found is not None, f"{path} is missing"
    return found.attrib


def test_each_class_has_a_category_with_its_own_symbol_and_colour():
    root = fromstring(qml(CLASSES, COLOURS))
    renderer = root.find("renderer-v2")
    assert renderer.attrib["type"] == "categorizedSymbol"
    assert renderer.attrib["attr"] == "class"
    categories = renderer.findall("categories/category")
    assert [c.attrib["value"] for c in categories] == [c.attrib["label"] for c in categories] == list(CLASSES)
    symbols = {symbol.attrib["name"]: symbol for symbol in renderer.findall("symbols/symbol")}
    for category, rgb in zip(categories, ("230,25,75", "67,99,216", "255,225,25"), strict=True):
        outline = symbols[category.attrib["symbol"]].findall("layer")[-1]
        by_option = {option.attrib["name"]: option.attrib["value"] for option in outline.findall("Option/Option")}
        by_prop = {prop.attrib["k"]: prop.attrib["v"] for prop in outline.findall("prop")}
        assert by_option == by_prop
        assert by_option["outline_color"] == f"{rgb},255"
        colour, opacity = by_option["color"].rsplit(",", 1)
        assert colour == rgb
        assert 0 < int(opacity) < 64  # the object is seen through the fill


def test_labels_are_drawn_from_a_scale_on():
    rendering = rules(qml(CLASSES, COLOURS), "labeling/settings/rendering")
    assert rendering["scaleVisibility"] == "1"
    assert (rendering["scaleMin"], rendering["scaleMax"]) == ("0", str(LABEL_SCALE))
    assert rules(qml(CLASSES, COLOURS, label_scale=None), "labeling/settings/rendering")["scaleVisibility"] == "0"


def test_field_and_label_can_be_chosen():
    xml = qml(("hit", "miss"), COLOURS[:2], field="outcome", label='"outcome" || \' & \' || "class"')
    assert rules(xml, "renderer-v2")["attr"] == "outcome"
    assert rules(xml, "labeling/settings/text-style")["fieldName"] == '"outcome" || \' & \' || "class"'
    assert '"class"' in rules(qml(CLASSES, COLOURS), "labeling/settings/text-style")["fieldName"]


def test_a_colour_a_class_is_needed():
    with pytest.raises(ValueError, match="shorter"):
        qml(CLASSES, COLOURS[:2])


@pytest.fixture(scope="module")
def in_qgis(tmp_path_factory):
    """What the real QGIS says about a layer that was just loaded."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "QT_QPA_PLATFORM": "offscreen",
        "HOME": str(tmp_path_factory.mktemp("qgis")),
    }
    if not os.access(QGIS_PYTHON, os.X_OK):
        pytest.skip(f"there is no {QGIS_PYTHON} that could have QGIS")
    probe = subprocess.run([QGIS_PYTHON, "-c", "import qgis.core"], env=environment, capture_output=True, timeout=60)
    if probe.returncode:
        pytest.skip(f"{QGIS_PYTHON} has no QGIS")
    boxes = [[0, 0, 60, 40], [100, 0, 180, 70], [0, 100, 50, 180]]
    grid = GeoGrid(200, 200, Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000), CRS.from_epsg(32631))
    detections = Detections.of(boxes, [0.93, 0.81, 0.55], [0, 1, 2])
    features = from_detections(detections, grid, CLASSES, "scene.tif", "model", "run")
    path = tmp_path_factory.mktemp("styled") / "Häfen 船.gpkg"
    geopackage.write(path, features, {"run_id": "run"}, CLASSES, COLOURS)
    done = subprocess.run(
        [QGIS_PYTHON, "-X", "utf8", "-c", IN_QGIS, str(path)], env=environment, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout.splitlines()[-1])


def test_qgis_opens_the_layer_in_its_style(in_qgis):
    assert in_qgis["valid"]
    assert in_qgis["features"] == 3
    assert in_qgis["crs"] == "EPSG:32631"
    assert in_qgis["fields"][:5] == ["fid", "id", "class", "class_id", "score"]
    assert (in_qgis["renderer"], in_qgis["attribute"]) == ("categorizedSymbol", "class")
    assert in_qgis["categories"] == [[name, name, colour] for name, colour in zip(CLASSES, COLOURS, strict=True)]


def test_qgis_draws_the_classes_in_their_colours(in_qgis):
    assert set(COLOURS) <= set(in_qgis["near"]["colours"])


def test_qgis_labels_the_objects_at_large_scale_only(in_qgis):
    assert in_qgis["labels"]
    assert in_qgis["scales"] == [True, LABEL_SCALE, 0]
    assert in_qgis["near"]["scale"] < LABEL_SCALE < in_qgis["far"]["scale"]
    assert in_qgis["near"]["labels"] == 3
    assert in_qgis["far"]["labels"] == 0
