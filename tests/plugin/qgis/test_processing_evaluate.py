"""`geodetect:evaluate` in real QGIS with the real engine."""

from __future__ import annotations

import math

import pytest
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsGeometry,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)

ALGORITHM = "geodetect:evaluate"
PLACES = [("plane", 500_000 + 40 * i, 5_000_000) for i in range(6)] + [
    ("ship", 500_000 + 40 * i, 4_999_900) for i in range(4)
]


def run(parameters):
    import processing

    return processing.run(ALGORITHM, {"ERRORS": "TEMPORARY_OUTPUT", **parameters})


def objects(name, places, field="class", crs="EPSG:32631", points=False):
    """Return a layer of squares of 20 m, or points, with classes and scores."""
    kind = "Point" if points else "Polygon"
    layer = QgsVectorLayer(f"{kind}?crs={crs}&field={field}:string&field=score:double&field=fid:int", name, "memory")
    change = QgsCoordinateTransform(
        QgsCoordinateReferenceSystem("EPSG:32631"), QgsCoordinateReferenceSystem(crs), QgsProject.instance()
    )
    features = []
    for number, (label, x, y) in enumerate(places):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([label, 0.9 - number * 0.05, 7])  # all have one fid, as merged layers do
        shape = QgsGeometry.fromRect(QgsRectangle(x, y, x + 20, y + 20))
        shape = shape.centroid() if points else shape
        shape.transform(change)
        feature.setGeometry(shape)
        features.append(feature)
    assert layer.dataProvider().addFeatures(features)[0]
    layer.updateExtents()
    QgsProject.instance().addMapLayer(layer)
    return layer


def outcomes(layer):
    found = {}
    for feature in layer.getFeatures():
        found[feature["outcome"]] = found.get(feature["outcome"], 0) + 1
    return found


@pytest.fixture
def project(provider, qgis_new_project):
    return QgsProject.instance()


def test_figures_page_and_a_styled_layer(project, tmp_path):
    # six planes and four ships are there; five planes were found, one ship, and two planes that are none
    found = objects("funde/neu", [*PLACES[:5], PLACES[6], ("plane", 510_000, 5e6), ("plane", 511_000, 5e6)])
    page, errors = tmp_path / "bericht ü.html", tmp_path / "fehler ü.gpkg"
    result = run(
        {"DETECTIONS": found, "TRUTH": objects("truth <1>", PLACES), "ERRORS": str(errors), "REPORT": str(page)}
    )
    assert (result["HITS"], result["MISSES"], result["FALSE_ALARMS"], result["DUPLICATES"]) == (6, 4, 2, 0)
    assert result["PRECISION"] == pytest.approx(6 / 8)
    assert result["RECALL"] == pytest.approx(6 / 10)
    assert result["F1"] == pytest.approx(2 * 6 / (8 + 10), abs=1e-4)
    layer = QgsVectorLayer(result["ERRORS"], "e")
    assert outcomes(layer) == {"hit": 6, "miss": 4, "false alarm": 2}
    assert layer.fields().names() == ["fid", "outcome", "class", "score", "iou"]
    assert layer.crs().authid() == "EPSG:32631"
    assert isinstance(layer.renderer(), QgsCategorizedSymbolRenderer)
    assert layer.renderer().classAttribute() == "outcome"
    text = page.read_text("utf-8")
    assert "funde/neu compared with truth &lt;1&gt;" in text
    for words in ('<td align="left">plane</td>', '<td align="left">ship</td>', "0.750", "0.667"):
        assert words in text


def test_a_temporary_layer_of_errors_is_styled(project):
    layer = run({"DETECTIONS": objects("d", PLACES[:2]), "TRUTH": objects("t", PLACES[:3])})["ERRORS"]
    assert outcomes(layer) == {"hit": 2, "miss": 1}
    assert [category.value() for category in layer.renderer().categories()][:2] == ["hit", "miss"]


def test_truth_of_points_in_another_crs_and_with_another_field(project):
    truth = objects("t", PLACES, field="was", crs="EPSG:4326", points=True)
    result = run({"DETECTIONS": objects("d", PLACES[:4]), "TRUTH": truth, "CLASS_FIELD": "was"})
    assert (result["HITS"], result["MISSES"], result["FALSE_ALARMS"]) == (4, 6, 0)
    assert result["ERRORS"].crs().authid() == "EPSG:32631"


def test_scores_and_overlaps_count(project):
    found = objects("d", [(kind, x + 5, y) for kind, x, y in PLACES])  # IoU 15 / 25
    truth = objects("t", PLACES)
    assert run({"DETECTIONS": found, "TRUTH": truth})["HITS"] == 10
    assert run({"DETECTIONS": found, "TRUTH": truth, "IOU": 0.7})["HITS"] == 0
    some = run({"DETECTIONS": found, "TRUTH": truth, "SCORE": 0.68})
    assert (some["HITS"], some["MISSES"]) == (5, 5)


def test_selection_filter_and_unsaved_edits_count(project, tmp_path):
    found, truth = objects("d", PLACES), objects("t", PLACES)
    found.selectByIds([1, 2, 3])
    chosen = QgsProcessingFeatureSourceDefinition(found.id(), True)
    result = run({"DETECTIONS": chosen, "TRUTH": truth})
    assert (result["HITS"], result["MISSES"]) == (3, 7)
    truth.startEditing()
    truth.deleteFeatures([8, 9, 10])
    truth.changeAttributeValue(7, 0, "plane")
    result = run({"DETECTIONS": found, "TRUTH": truth})
    assert (result["HITS"], result["MISSES"], result["FALSE_ALARMS"]) == (6, 1, 4)
    truth.rollBack()
    found.setSubsetString("\"class\" = 'ship'")
    result = run({"DETECTIONS": found, "TRUTH": truth})
    assert (result["HITS"], result["MISSES"]) == (4, 6)


def test_what_cannot_be_compared_is_told_by_the_layers_names(project):
    bare = QgsVectorLayer("Polygon?crs=EPSG:32631&field=size:double", "no classes", "memory")
    project.addMapLayer(bare)
    with pytest.raises(QgsProcessingException, match="“no classes” has no field that looks like a class") as caught:
        run({"DETECTIONS": objects("d", PLACES), "TRUTH": bare})
    assert "“Field of the true class”: size" in str(caught.value)
    assert "/" not in str(caught.value)
    with pytest.raises(QgsProcessingException, match="none is in both"):
        run({"DETECTIONS": objects("d", PLACES), "TRUTH": objects("t", [("whale", 0, 0)])})


def test_nothing_found_at_all(project):
    result = run({"DETECTIONS": objects("d", []), "TRUTH": objects("t", PLACES)})
    assert (result["HITS"], result["MISSES"], result["F1"]) == (0, 10, 0)
    assert result["PRECISION"] is None or math.isnan(result["PRECISION"])
    assert outcomes(result["ERRORS"]) == {"miss": 10}
