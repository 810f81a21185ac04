"""`geodetect:detect`: objects in a raster layer."""

from __future__ import annotations

import os
from typing import Any

from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSink,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from ..models import DEFAULT
from ..styling import Dressing
from .area import Ground, area_of, area_words, bounds, read_polygons
from .base import EngineAlgorithm
from .rasters import raster_source, warn_of_crs
from .vectors import check_output, open_found, result_crs

INPUT, MODEL, CLASSES, SCORE, SCORES = "INPUT", "MODEL", "CLASSES", "SCORE", "SCORES"
EXTENT, AOI, TILE_SIZE, OVERLAP = "EXTENT", "AOI", "TILE_SIZE", "OVERLAP"
ENGINE, DEVICE, PRECISION, THREADS = "ENGINE", "DEVICE", "PRECISION", "THREADS"
OUTPUT, COUNT = "OUTPUT", "COUNT"

ENGINES = ["auto", "openvino", "onnxruntime", "mindspore"]
DEVICES = ["auto", "cpu", "gpu", "ascend"]
PRECISIONS = ["auto", "float32", "bfloat16", "int8"]
LAYER = "detections"  # in the engine's GeoPackage
Number = QgsProcessingParameterNumber


class DetectAlgorithm(EngineAlgorithm):
    """Planes, ships and whatever else a model knows, as polygons with class and score."""

    def __init__(self) -> None:
        super().__init__()
        self._source = ""
        self._ground: Ground  # from `check` on
        self._file_crs = QgsCoordinateReferenceSystem()

    def name(self) -> str:
        """Return the name within the provider."""
        return "detect"

    def displayName(self) -> str:  # noqa: N802
        """Return what the toolbox shows."""
        return self.tr("Detect objects")

    def group(self) -> str:
        """Return the group's title."""
        return self.tr("Detection")

    def groupId(self) -> str:  # noqa: N802
        """Return the group."""
        return "detection"

    def tags(self) -> list[str]:
        """Return words by which it is found."""
        words = self.tr("plane,aircraft,ship,vessel,object detection,deep learning,AI,satellite,aerial,YOLO")
        return words.split(",")

    def shortDescription(self) -> str:  # noqa: N802
        """Return one line on it."""
        return self.tr("Finds planes, ships and other objects in a satellite or aerial image.")

    def introduction(self) -> str:
        """Return what it does."""
        return self.tr(
            "<p>Finds planes, ships and other objects in a satellite or aerial image of any size, and returns a "
            "polygon for each with its class, score, length, width and area.</p>"
            "<p>The layer is styled by class. Licence, model and settings go with the result: a GeoPackage has them in "
            "its table <i>geodetect_runs</i>, other layers in their metadata. <b>The model that comes with GeoDetect "
            "is for research and other non-commercial use only.</b></p>"
        )

    def describe(self) -> None:
        """Add the parameters and outputs."""
        self._describe_task()
        self._describe_details()
        polygons = QgsProcessing.SourceType.TypeVectorPolygon
        sink = QgsProcessingParameterFeatureSink(OUTPUT, self.tr("Detections"), polygons)
        self.add(sink, self.tr("The layer of polygons. Prefer a GeoPackage: it keeps style, licence and settings."))
        self.addOutput(QgsProcessingOutputNumber(COUNT, self.tr("Number of detections")))

    def _describe_task(self) -> None:
        """Add what every user chooses."""
        self.add(
            QgsProcessingParameterRasterLayer(INPUT, self.tr("Image")),
            self.tr(
                "A raster layer from a file, such as a GeoTIFF, VRT or JPEG 2000, with a red, green and blue band."
            ),
        )
        model = QgsProcessingParameterString(MODEL, self.tr("Model"), DEFAULT)
        # By name: qgis_process has no widgets. QGIS's own value hints would allow the names that are known alone.
        model.setMetadata({"widget_wrapper": {"class": f"{__package__}.model_widget.ModelWidget"}})
        self.add(
            model,
            self.tr("A model's name, or a model's folder. One that is not on this computer is downloaded first."),
        )
        self.add(
            QgsProcessingParameterString(CLASSES, self.tr("Classes, with commas between"), optional=True),
            self.tr("Keep only these, such as <i>plane,ship</i>. Empty: all that the model knows."),
        )
        self.add(
            Number(SCORE, self.tr("Least score"), Number.Type.Double, None, True, 0.0, 1.0),
            self.tr("From 0 to 1. Lower finds more and errs more. Not set: the model's own for each class."),
        )
        self.add(
            QgsProcessingParameterExtent(EXTENT, self.tr("Extent"), optional=True),
            self.tr("Look only here. Empty: the whole image."),
        )
        polygons = [QgsProcessing.SourceType.TypeVectorPolygon]
        self.add(
            QgsProcessingParameterFeatureSource(AOI, self.tr("Polygons to look in"), polygons, optional=True),
            self.tr("Look only inside these polygons, in any CRS; with an extent: inside both."),
        )

    def _describe_details(self) -> None:
        """Add what few users change."""
        self.add(
            QgsProcessingParameterString(SCORES, self.tr("Least score by class"), optional=True),
            self.tr("Such as <i>plane=0.4,ship=0.3</i>; wins over the least score for all."),
            advanced=True,
        )
        self.add(
            Number(TILE_SIZE, self.tr("Tile size (pixels)"), Number.Type.Integer, None, True, 32, 8192),
            self.tr("Side of the squares that the image is cut into. Not set: the model's own."),
            advanced=True,
        )
        self.add(
            Number(OVERLAP, self.tr("Overlap of tiles"), Number.Type.Double, None, True, 0.0, 8191.0),
            self.tr(
                "Below 1 a share of the tile, else pixels; should be no less than the longest object. "
                "Not set: the model's own."
            ),
            advanced=True,
        )
        for name, title, values, told in (
            (ENGINE, self.tr("Engine"), ENGINES, self.tr("What runs the network; <i>auto</i>: the fastest here.")),
            (DEVICE, self.tr("Device"), DEVICES, self.tr("Where it runs; <i>auto</i>: the fastest that is there.")),
            (
                PRECISION,
                self.tr("Precision"),
                PRECISIONS,
                self.tr("<i>int8</i> and <i>bfloat16</i> are faster on some processors, and a little less exact."),
            ),
        ):
            choice = QgsProcessingParameterEnum(name, title, values, False, "auto", True, True)
            self.add(choice, told, advanced=True)
        self.add(
            Number(THREADS, self.tr("Processor threads"), Number.Type.Integer, None, True, 1, 1024),
            self.tr("Not set: all cores."),
            advanced=True,
        )

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> None:
        """Read the image's place and source."""
        layer = self.parameterAsRasterLayer(parameters, INPUT, context)
        if layer is None or not layer.isValid():
            raise QgsProcessingException(self.invalidRasterError(parameters, INPUT))
        self._source = raster_source(layer, feedback)
        self._ground = Ground(layer.extent(), QgsCoordinateReferenceSystem(layer.crs()))
        self._file_crs = QgsCoordinateReferenceSystem(layer.dataProvider().crs())
        check_output(parameters.get(OUTPUT), context)
        warn_of_crs(layer, feedback)

    def work(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
        folder: str,
    ) -> dict[str, Any]:
        """Run the engine and fill the sink with what it found."""
        path = os.path.join(folder, LAYER + ".gpkg")
        # nothing is kept of a run that does not end: its folder is removed
        words = ["detect", "--output", path, "--no-resume", "--progress", "json", *self._settings(parameters, context)]
        area, told = self._area(parameters, context, folder)
        answer = self.run_engine([*words, *area, "--", self._source], feedback)
        found = open_found(path, LAYER)
        crs = result_crs(self._ground.crs, self._file_crs, str(answer.result.get("georeference")))
        if self._ground.crs.isValid() and not crs.isValid():
            feedback.pushWarning(
                self.tr(
                    "The engine cannot place the image, its result is in pixels; warp the image to a GeoTIFF first."
                )
            )
        dressing = Dressing.of(path, LAYER, crs.isValid()).with_area(told)
        destination = self.deliver(OUTPUT, parameters, context, feedback, found, crs, dressing)
        self._tell(answer.result, feedback)
        return {OUTPUT: destination, COUNT: int(answer.result["count"])}

    def _settings(self, parameters: dict[str, Any], context: QgsProcessingContext) -> list[str]:
        """Return the engine's options but that of the area."""
        score = self.number(parameters, SCORE, context)
        chosen = {
            "model": _placed(self.parameterAsString(parameters, MODEL, context).strip() or DEFAULT),
            "classes": self.parameterAsString(parameters, CLASSES, context).strip(" ,"),
            "score": self.parameterAsString(parameters, SCORES, context).strip(" ,") or score,
            "tile": self.whole_number(parameters, TILE_SIZE, context),
            "overlap": self.number(parameters, OVERLAP, context),
            "threads": self.whole_number(parameters, THREADS, context),
            "engine": self.parameterAsEnumString(parameters, ENGINE, context),
            "device": self.parameterAsEnumString(parameters, DEVICE, context),
            "precision": self.parameterAsEnumString(parameters, PRECISION, context),
        }
        return [f"--{name}={value}" for name, value in chosen.items() if value not in (None, "", "auto")]

    def _area(self, parameters: dict[str, Any], context: QgsProcessingContext, folder: str) -> tuple[list[str], str]:
        """Return the engine's options for the area, and what the result says of it."""
        extent, polygons, names = None, None, []
        if not self.parameterAsExtent(parameters, EXTENT, context).isNull():
            extent = self.parameterAsExtentGeometry(parameters, EXTENT, context, self._ground.crs)
        if parameters.get(AOI) not in (None, "", NULL):
            source = self.parameterAsSource(parameters, AOI, context)
            if source is None:
                raise QgsProcessingException(self.invalidSourceError(parameters, AOI))
            polygons = read_polygons(source, self._ground, context)
            names.append(source.sourceName())
        if extent is None and polygons is None:
            return [], ""
        area = area_of(self._ground, extent, polygons)
        crs = self._ground.crs.authid()
        told = ", ".join([*names, f"within {bounds(area.boundingBox())}" + (f" [{crs}]" if crs else "")])
        return area_words(area, folder, context), told

    def _tell(self, result: dict[str, Any], feedback: QgsProcessingFeedback) -> None:
        """Say what was found, by class, with which model, and what its licence is."""
        counts = result.get("counts") or {}
        found = ", ".join(f"{count} {name}" for name, count in counts.items()) or self.tr("nothing")
        feedback.pushInfo(self.tr("Found: {found}.").format(found=found))
        told = self.tr("Model: {model} {version} on {engine} ({device}, {precision}), {seconds:.1f} s.")
        feedback.pushInfo(
            told.format(
                version=result.get("model_version", ""),
                seconds=float(result.get("seconds") or 0),
                **{key: result.get(key, "") for key in ("model", "engine", "device", "precision")},
            )
        )
        if result.get("licence"):
            feedback.pushInfo(self.tr("Licence of the model: {licence}.").format(licence=result["licence"]))


def _placed(model: str) -> str:
    """Return a model's name as it is, a path from the root on: the engine has another current folder."""
    return os.path.abspath(model) if os.path.dirname(model) else model
