"""`geodetect:trainingdata` in real QGIS with the real engine."""

from __future__ import annotations

import json
import shutil

import pytest
from qgis.core import (
    QgsFeature,
    QgsField,
    QgsGeometry,
    QgsPointXY,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QVariant

ALGORITHM = "geodetect:trainingdata"


def run(parameters, feedback=None):
    import processing

    return processing.run(ALGORITHM, {"TILE": 320, "VAL_SHARE": 0.3, **parameters}, feedback=feedback)


def labels(kind="Polygon", field="class"):
    """Return a layer of planes and ships all over the scene."""
    layer = QgsVectorLayer(f"{kind}?crs=EPSG:32631&field={field}:string", "labels ü", "memory")
    for row in range(6):
        for column in range(6):
            x, y = 500_030 + 100 * column, 4_999_950 - 100 * row
            feature = QgsFeature(layer.fields())
            feature.setAttributes(["plane" if row % 2 else "ship"])
            square = QgsGeometry.fromRect(QgsRectangle(x, y, x + 30, y + 20))
            feature.setGeometry(square if kind == "Polygon" else QgsGeometry.fromPointXY(QgsPointXY(x, y)))
            layer.dataProvider().addFeatures([feature])
    layer.updateExtents()
    QgsProject.instance().addMapLayer(layer)
    return layer


def annotations(folder):
    found = {}
    for split in ("train", "val"):
        told = json.loads((folder / "annotations" / f"{split}.json").read_text("utf-8"))
        assert all((folder / split / image["file_name"]).is_file() for image in told["images"])
        found[split] = told
    return found


def test_tiles_and_annotations(provider, scene, tmp_path):
    out = tmp_path / "Übung 港口"
    result = run({"LABELS": labels(), "SCENES": [scene], "OUTPUT": str(out)})
    found = annotations(out)
    assert [category["name"] for category in found["train"]["categories"]] == ["plane", "ship"]
    assert result["TILES"] == sum(len(told["images"]) for told in found.values()) > 10
    assert result["OBJECTS"] == 36
    assert result["OUTPUT"] == str(out)
    box = next(a["bbox"] for a in found["train"]["annotations"] if not a["iscrowd"])
    assert box[2:] == pytest.approx([60, 40])
    assert (out / "contact_sheet.png").is_file()
    report = json.loads((out / "report.json").read_text("utf-8"))
    assert report["settings"]["tile"] == 320


def test_a_second_run_goes_on_in_the_same_folder_and_takes_corrections(provider, scene, tmp_path):
    out, layer = tmp_path / "set", labels()
    run({"LABELS": layer, "SCENES": [scene], "OUTPUT": str(out)})
    layer.startEditing()
    layer.deleteFeature(1)
    layer.changeAttributeValue(2, 0, "plane")
    assert run({"LABELS": layer, "SCENES": [scene], "OUTPUT": str(out)})["OBJECTS"] == 35
    with pytest.raises(QgsProcessingException, match="was made with tile 320"):
        run({"LABELS": layer, "SCENES": [scene], "OUTPUT": str(out), "TILE": 256})
    other = {"TILE": 256, "OVERWRITE": True}
    assert run({"LABELS": layer, "SCENES": [scene], "OUTPUT": str(out), **other})["OBJECTS"] == 35
    layer.rollBack()


def test_rejected_detections_are_no_labels(provider, scene, tmp_path):
    layer = labels()
    layer.dataProvider().addAttributes([QgsField("review", QVariant.String)])
    layer.updateFields()
    everything = [feature.id() for feature in layer.getFeatures()]
    layer.dataProvider().changeAttributeValues({fid: {1: "rejected"} for fid in everything[:10]})
    layer.dataProvider().changeAttributeValues({everything[-1]: {1: "accepted"}})
    assert run({"LABELS": layer, "SCENES": [scene], "OUTPUT": str(tmp_path / "a")})["OBJECTS"] == 26
    layer.dataProvider().changeAttributeValues({fid: {1: "rejected"} for fid in everything})
    with pytest.raises(QgsProcessingException, match="No label is left: “labels ü” has none, or all were rejected"):
        run({"LABELS": layer, "SCENES": [scene], "OUTPUT": str(tmp_path / "b")})
    assert not (tmp_path / "b").exists()


def test_points_of_another_field_over_two_images(provider, scene, scene_file, tmp_path):
    second = tmp_path / "zweite.tif"
    shutil.copy(scene_file, second)
    images = [scene, QgsRasterLayer(str(second), "second")]
    QgsProject.instance().addMapLayer(images[1])
    points = labels("Point", "was")
    given = {"LABELS": points, "CLASS_FIELD": "was", "SCENES": images, "OUTPUT": str(tmp_path / "set")}
    with pytest.raises(QgsProcessingException, match="size of their objects in metres"):
        run(given)
    assert not (tmp_path / "set").exists()
    result = run({**given, "POINT_SIZE": 25})
    assert result["OBJECTS"] == 72
    boxes = [a["bbox"][2:] for a in annotations(tmp_path / "set")["train"]["annotations"] if not a["iscrowd"]]
    assert sorted(boxes)[len(boxes) // 2] == pytest.approx([50, 50], abs=0.1)


def test_a_folder_of_something_else_stays_as_it_is(provider, scene, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(QgsProcessingException, match="is no data set of this command"):
        run({"LABELS": labels(), "SCENES": [scene], "OUTPUT": str(tmp_path)})
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_labels_beside_the_image_leave_no_folder(provider, scene, tmp_path):
    away = QgsVectorLayer("Polygon?crs=EPSG:32631&field=class:string", "away", "memory")
    feature = QgsFeature(away.fields())
    feature.setAttributes(["plane"])
    feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(0, 0, 10, 10)))
    away.dataProvider().addFeatures([feature])
    with pytest.raises(QgsProcessingException, match="no object of “away” lies in"):
        run({"LABELS": away, "SCENES": [scene], "OUTPUT": str(tmp_path / "set")})
    assert not (tmp_path / "set").exists()


def test_images_that_are_no_files(provider, scene, tmp_path):
    address = "crs=EPSG:3857&format&type=xyz&url=http://localhost/%7Bz%7D/%7Bx%7D/%7By%7D.png&zmax=3&zmin=0"
    web = QgsRasterLayer(address, "tiles", "wms")
    QgsProject.instance().addMapLayer(web)
    with pytest.raises(QgsProcessingException, match="web map service"):
        run({"LABELS": labels(), "SCENES": [scene, web], "OUTPUT": str(tmp_path / "set")})


def test_cancelled_it_goes_on_later(provider, scene, tmp_path):
    class Impatient(QgsProcessingFeedback):
        def __init__(self):
            super().__init__(False)
            self.progressChanged.connect(self.stop)

        def stop(self, percent):
            if percent > 10:
                self.cancel()

    given = {"LABELS": labels(), "SCENES": [scene], "TILE": 128, "OVERLAP": 0.5, "EMPTY_RATE": 1.0}
    heard = Impatient()
    assert not run({**given, "OUTPUT": str(tmp_path / "set")}, heard)
    assert heard.isCanceled()
    assert not (tmp_path / "set" / "annotations" / "train.json").exists()
    result = run({**given, "OUTPUT": str(tmp_path / "set")})
    assert result["TILES"] > 100
    annotations(tmp_path / "set")
