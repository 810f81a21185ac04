"""`geodetect:detect` in real QGIS with the real engine: results, settings, tasks, models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from desk import Gaps, until
from detecting import ALGORITHM, FIELDS, HALF, Listening, in_qgis_process, rows, run, values
from qgis.core import (
    QgsApplication,
    QgsCategorizedSymbolRenderer,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterRasterLayer,
    QgsProject,
    QgsVectorLayer,
    QgsWkbTypes,
)

EXTENT = "500000,500320,4999360,5000000 [EPSG:32631]"  # the western half


def test_a_styled_geopackage_with_licence_and_settings(provider, scene, tmp_path, left):
    path, heard = tmp_path / "funde ü.gpkg", Listening()
    result = run({"INPUT": scene, "OUTPUT": str(path)}, heard)
    layer = QgsVectorLayer(result["OUTPUT"], "r")
    assert layer.featureCount() == result["COUNT"] > 5
    assert layer.crs().authid() == "EPSG:32631"
    assert QgsWkbTypes.displayString(layer.wkbType()) == "Polygon"
    assert [field.name() for field in layer.fields()] == ["fid", *FIELDS]
    types = {field.name(): field.typeName() for field in layer.fields()}
    assert types["id"] == "Integer64"
    assert types["class_id"] == "Integer"
    assert types["score"] == types["length_m"] == "Real"
    assert {f["class"] for f in layer.getFeatures()} == {"plane", "ship"}
    assert all(0.5 <= f["score"] <= 1 for f in layer.getFeatures())
    # Style and origin lie in the file, for a QGIS without the plugin too
    assert isinstance(layer.renderer(), QgsCategorizedSymbolRenderer)
    assert layer.labelsEnabled()
    (told,) = rows(path, "geodetect_runs")
    assert told["model"] == "planes-ships-yolov3-tiny"
    assert "non-commercial" in told["licence"]
    assert told["run_id"] == next(layer.getFeatures())["run_id"]
    assert json.loads(told["scores"]) == {"plane": 0.5, "ship": 0.65}
    tables = {row["table_name"]: row["data_type"] for row in rows(path, "gpkg_contents")}
    assert tables == {path.stem: "features", "layer_styles": "attributes", "geodetect_runs": "attributes"}
    # What the user is told
    assert any("plane" in text and "ship" in text for text in heard.infos)
    assert any("non-commercial" in text for text in heard.infos)
    assert heard.texts[-1].startswith("Tile 9 of 9, ")
    assert 2 <= len(heard.texts) <= 12
    assert len(set(heard.texts)) == len(heard.texts)
    assert not heard.warnings


def test_a_temporary_layer_is_styled_and_knows_its_licence(provider, scene, left):
    layer = run({"INPUT": scene, "OUTPUT": "TEMPORARY_OUTPUT"})["OUTPUT"]
    assert [field.name() for field in layer.fields()] == FIELDS
    assert isinstance(layer.renderer(), QgsCategorizedSymbolRenderer)
    assert [category.value() for category in layer.renderer().categories()] == ["plane", "ship"]
    metadata = layer.metadata()
    assert "non-commercial" in metadata.licenses()[0]
    assert "Airbus" in metadata.rights()[0]
    assert "planes-ships-yolov3-tiny" in metadata.abstract()
    assert any(line.startswith("model_sha256: ") for line in metadata.history())


@pytest.mark.parametrize("ending", ["geojson", "fgb", "shp"])
def test_other_formats_have_style_and_licence_beside_them(provider, scene, tmp_path, ending):
    result = run({"INPUT": scene, "EXTENT": HALF, "OUTPUT": str(tmp_path / f"o.{ending}")})
    layer = QgsVectorLayer(result["OUTPUT"], "r")
    assert layer.featureCount() == result["COUNT"] > 0
    assert [name for name in layer.fields().names() if name not in ("fid",)] == FIELDS
    assert isinstance(layer.renderer(), QgsCategorizedSymbolRenderer)
    layer.loadDefaultMetadata()  # as the desktop does
    assert "non-commercial" in layer.metadata().licenses()[0]


def test_the_toolbox_gets_a_styled_layer(provider, scene, tmp_path):
    import processing

    for output in ("TEMPORARY_OUTPUT", str(tmp_path / "o.gpkg")):
        result = processing.runAndLoadResults(ALGORITHM, {"INPUT": scene, "EXTENT": HALF, "OUTPUT": output})
        loaded = [x for x in QgsProject.instance().mapLayers().values() if isinstance(x, QgsVectorLayer)]
        assert len(loaded) == 1, result
        assert isinstance(loaded[0].renderer(), QgsCategorizedSymbolRenderer)
        assert "non-commercial" in loaded[0].metadata().licenses()[0]
        QgsProject.instance().removeMapLayers([loaded[0].id()])


def test_a_second_layer_in_one_geopackage(provider, scene, tmp_path):
    path = str(tmp_path / "all.gpkg")
    for table, classes in (("planes", "plane"), ("ships", "ship"), ("ships", "ship")):
        target = f"ogr:dbname='{path}' table=\"{table}\" (geom)"
        run({"INPUT": scene, "CLASSES": classes, "OUTPUT": target})
    assert {row["f_table_name"] for row in rows(path, "layer_styles")} == {"planes", "ships"}
    assert len(rows(path, "layer_styles")) == 2
    assert len(rows(path, "geodetect_runs")) == 3
    for table, kind in (("planes", "plane"), ("ships", "ship")):
        layer = QgsVectorLayer(f"{path}|layername={table}", table)
        assert {f["class"] for f in layer.getFeatures()} == {kind}
        assert isinstance(layer.renderer(), QgsCategorizedSymbolRenderer)


def test_classes_and_scores(provider, scene, all_found):
    low = {"INPUT": scene, "SCORE": 0.2, "OUTPUT": "TEMPORARY_OUTPUT"}
    ships = run({**low, "CLASSES": " ship, "})["OUTPUT"]
    assert values(ships, "class", "score") == sorted((k, s) for _, k, s in all_found if k == "ship")
    each = run({**low, "SCORES": "plane=0.7,ship=0.6"})["OUTPUT"]
    least = {"plane": 0.7, "ship": 0.6}
    assert values(each, "class", "score") == sorted((k, s) for _, k, s in all_found if s >= least[k])
    assert 0 < each.featureCount() < len(all_found)


def test_the_engines_settings_arrive(provider, scene, tmp_path):
    path = tmp_path / "o.gpkg"
    given = {"TILE_SIZE": 320, "OVERLAP": 0.5, "ENGINE": "openvino", "DEVICE": "cpu", "PRECISION": "float32"}
    run({"INPUT": scene, "EXTENT": HALF, "THREADS": 1, "OUTPUT": str(path), **given})
    (told,) = rows(path, "geodetect_runs")
    assert (json.loads(told["tile"])[0], json.loads(told["overlap"])[0]) == (320, 160)
    assert (told["engine"], told["device"], told["precision"]) == ("openvino", "CPU, 1 thread", "float32")


def test_in_a_task_while_the_window_lives(provider, scene):
    context, heard, ended = QgsProcessingContext(), QgsProcessingFeedback(), []
    context.setProject(QgsProject.instance())
    algorithm = QgsApplication.processingRegistry().createAlgorithmById(ALGORITHM)
    task = QgsProcessingAlgRunnerTask(
        algorithm, {"INPUT": scene.id(), "EXTENT": HALF, "OUTPUT": "TEMPORARY_OUTPUT"}, context, heard
    )
    task.executed.connect(lambda successful, results: ended.append((successful, results)))
    gaps = Gaps()
    QgsApplication.taskManager().addTask(task)
    assert until(lambda: ended)
    ((successful, results),) = ended
    assert successful, heard.textLog()
    assert gaps.worst < 0.2
    layer = context.takeResultLayer(results["OUTPUT"])
    assert layer.featureCount() == results["COUNT"] > 0
    assert isinstance(layer.renderer(), QgsCategorizedSymbolRenderer)
    assert layer.metadata().licenses()


def test_in_a_model(provider, scene, tmp_path):
    model = QgsProcessingModelAlgorithm("places of ships", "tests")
    model.addModelParameter(QgsProcessingParameterRasterLayer("image", "image"), QgsProcessingModelParameter("image"))
    detect = QgsProcessingModelChildAlgorithm(ALGORITHM)
    detect.setChildId("detect")
    source = QgsProcessingModelChildParameterSource
    detect.addParameterSources("INPUT", [source.fromModelParameter("image")])
    detect.addParameterSources("CLASSES", [source.fromStaticValue("ship")])
    model.addChildAlgorithm(detect)
    places = QgsProcessingModelChildAlgorithm("native:centroids")
    places.setChildId("places")
    places.addParameterSources("INPUT", [source.fromChildOutput("detect", "OUTPUT")])
    final = QgsProcessingModelOutput("places", "places")
    final.setChildOutputName("OUTPUT")
    final.setChildId("places")
    places.setModelOutputs({"places": final})
    model.addChildAlgorithm(places)
    context, heard = QgsProcessingContext(), QgsProcessingFeedback()
    context.setProject(QgsProject.instance())
    path = str(tmp_path / "p.gpkg")
    _, successful = model.run({"image": scene.id(), "places:places": path}, context, heard)
    assert successful, heard.textLog()
    layer = QgsVectorLayer(path)
    assert layer.geometryType() == QgsWkbTypes.GeometryType.PointGeometry
    assert {f["class"] for f in layer.getFeatures()} == {"ship"}


def test_dialogs_take_any_model_and_show_its_licence(provider, scene):
    from processing.gui.wrappers import WidgetWrapperFactory
    from qgis.PyQt.QtWidgets import QComboBox, QDialog, QLabel

    class AlgorithmDialog(QDialog):
        """By this name Processing knows the dialog of one run."""

    algorithm = QgsApplication.processingRegistry().createAlgorithmById(ALGORITHM)
    dialog = AlgorithmDialog()
    chooser = WidgetWrapperFactory.create_wrapper(algorithm.parameterDefinition("MODEL"), dialog)
    licence = chooser.widget.findChild(QLabel)
    assert chooser.value() == "planes-ships-yolov3-tiny"
    assert "non-commercial" in licence.text()
    assert licence.isVisibleTo(chooser.widget)
    assert chooser.widget.findChild(QComboBox).isEditable()
    chooser.setWidgetValue("/models/mine", QgsProcessingContext())
    assert chooser.parameterValue() == "/models/mine"
    assert not licence.isVisibleTo(chooser.widget)
    chooser.setWidgetValue("", QgsProcessingContext())
    assert chooser.parameterValue() == "planes-ships-yolov3-tiny"


def test_qgis_process(provider, scene, tmp_path):
    path = tmp_path / "o.gpkg"
    done = in_qgis_process(
        tmp_path,
        ["run", ALGORITHM, "--", f"INPUT={scene.source()}", "CLASSES=plane", "SCORE=0.3", "ENGINE=openvino",
         f"EXTENT={EXTENT}", f"OUTPUT={path}"],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "COUNT" in done.stdout
    layer = QgsVectorLayer(str(path), "o")
    assert layer.featureCount() > 0
    assert {f["class"] for f in layer.getFeatures()} == {"plane"}
    assert isinstance(layer.renderer(), QgsCategorizedSymbolRenderer)
    assert rows(path, "geodetect_runs")
    told = in_qgis_process(tmp_path, ["help", ALGORITHM])
    assert "TILE_SIZE" in told.stdout
    assert "non-commercial" in told.stdout


def test_qgis_process_with_paths_from_where_it_is_started(provider, image, tmp_path):
    name = Path(image.source()).name
    done = in_qgis_process(tmp_path, ["run", ALGORITHM, "--", f"INPUT={name}", f"EXTENT={EXTENT}", "OUTPUT=o.gpkg"])
    assert done.returncode == 0, done.stderr
    assert QgsVectorLayer(str(tmp_path / "o.gpkg"), "o").featureCount() > 0
