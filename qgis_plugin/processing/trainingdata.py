"""`geodetect:trainingdata`: tiles for training from a layer of labels and the images below it."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsRasterLayer,
    QgsWkbTypes,
)

from ..core.engine_process import EngineError
from .base import EngineAlgorithm
from .rasters import plain_file
from .vectors import write_source

LABELS, CLASS_FIELD, SCENES, OUTPUT = "LABELS", "CLASS_FIELD", "SCENES", "OUTPUT"
TILE, OVERLAP, POINT_SIZE = "TILE", "OVERLAP", "POINT_SIZE"
EMPTY_RATE, VAL_SHARE, DOUBLES, OVERWRITE = "EMPTY_RATE", "VAL_SHARE", "DOUBLES", "OVERWRITE"
TILES, OBJECTS = "TILES", "OBJECTS"
COPY = ".labels.gpkg"  # in the data set: by its name the engine knows a run that goes on; hidden, it is none of the set
Number = QgsProcessingParameterNumber


class TrainingDataAlgorithm(EngineAlgorithm):
    """A folder that `geodetect train` takes."""

    def __init__(self) -> None:
        super().__init__()
        self._scenes: list[str] = []

    def name(self) -> str:
        """Return the name within the provider."""
        return "trainingdata"

    def displayName(self) -> str:  # noqa: N802
        """Return what the toolbox shows."""
        return self.tr("Make training data")

    def group(self) -> str:
        """Return the group's title."""
        return self.tr("Training")

    def groupId(self) -> str:  # noqa: N802
        """Return the group."""
        return "training"

    def tags(self) -> list[str]:
        """Return words by which it is found."""
        return self.tr("labels,annotations,COCO,tiles,chips,training,data set,machine learning").split(",")

    def shortDescription(self) -> str:  # noqa: N802
        """Return one line on it."""
        return self.tr("Cuts labelled images into tiles with COCO annotations.")

    def introduction(self) -> str:
        """Return what it does."""
        return self.tr(
            "<p>Cuts images into tiles and writes the objects of a layer as COCO annotations beside them: a folder "
            "that <i>geodetect train</i> and most other programs take. A report and a contact sheet lie in it too.</p>"
            "<p>Detections that you have corrected are good labels; those that you rejected are left out. Selected "
            "features, filters and unsaved edits count as they are. Objects with a field <i>difficult</i> that is 1 "
            "are neither object nor background. Label every object in the images: one without a label is taught as "
            "background.</p>"
        )

    def describe(self) -> None:
        """Add the parameters and outputs."""
        polygons, points = QgsProcessing.SourceType.TypeVectorPolygon, QgsProcessing.SourceType.TypeVectorPoint
        self.add(
            QgsProcessingParameterFeatureSource(LABELS, self.tr("Labels"), [polygons, points]),
            self.tr("Polygons or points with their class, in any CRS."),
        )
        self.add(
            QgsProcessingParameterField(CLASS_FIELD, self.tr("Field of the class"), None, LABELS, optional=True),
            self.tr("Not set: <i>class</i>, <i>label</i>, <i>type</i> or the like."),
        )
        self.add(
            QgsProcessingParameterMultipleLayers(SCENES, self.tr("Images"), QgsProcessing.SourceType.TypeRaster),
            self.tr("The raster layers that the labels lie over, from files."),
        )
        self._describe_tiles()
        self.add(
            QgsProcessingParameterFolderDestination(OUTPUT, self.tr("Training data")),
            self.tr("A new folder. A run that was stopped goes on when it is given again."),
        )
        self.addOutput(QgsProcessingOutputNumber(TILES, self.tr("Number of tiles")))
        self.addOutput(QgsProcessingOutputNumber(OBJECTS, self.tr("Number of objects")))

    def _describe_tiles(self) -> None:
        """Add what the tiles shall be like."""
        self.add(
            Number(TILE, self.tr("Tile size (pixels)"), Number.Type.Integer, 600, False, 32, 8192),
            self.tr("Side of a tile; as large as the network's input, or a little less."),
        )
        self.add(
            Number(OVERLAP, self.tr("Overlap of tiles"), Number.Type.Double, 0.2, False, 0.0, 0.9),
            self.tr("Share of the side; the longest object should fit into it."),
        )
        self.add(
            Number(
                POINT_SIZE, self.tr("Size of objects marked by points (metres)"), Number.Type.Double, None, True, 0.01
            ),
            self.tr("Side of the box around each point; needed where the labels are points."),
        )
        self.add(
            Number(EMPTY_RATE, self.tr("Share of empty tiles"), Number.Type.Double, 0.1, False, 0.0, 1.0),
            self.tr("How many of the tiles without an object are kept: they teach the model what to leave alone."),
            advanced=True,
        )
        self.add(
            Number(VAL_SHARE, self.tr("Share for validation"), Number.Type.Double, 0.1, False, 0.0, 0.9),
            self.tr("Share of the images that are kept to measure the model with; of a single image, a part of it."),
            advanced=True,
        )
        doubles = QgsProcessingParameterEnum(
            DOUBLES, self.tr("Objects labelled twice"), ["keep", "drop"], False, "keep", False, True
        )
        self.add(doubles, self.tr("<i>drop</i> counts them once."), advanced=True)
        self.add(
            QgsProcessingParameterBoolean(OVERWRITE, self.tr("Replace training data made with other settings"), False),
            self.tr("Where the folder holds some already."),
            advanced=True,
        )

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> None:
        """Read the images' files."""
        layers = self.parameterAsLayerList(parameters, SCENES, context)
        rasters = [layer for layer in layers if isinstance(layer, QgsRasterLayer)]
        if not rasters:
            raise QgsProcessingException(self.tr("Choose at least one image."))
        self._scenes = list(dict.fromkeys(plain_file(layer, feedback) for layer in rasters))

    def work(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
        folder: str,
    ) -> dict[str, Any]:
        """Hand over the labels and run the engine."""
        source = self.parameterAsSource(parameters, LABELS, context)
        if source is None:
            raise QgsProcessingException(self.invalidSourceError(parameters, LABELS))
        size = self.number(parameters, POINT_SIZE, context)
        if size is None and QgsWkbTypes.geometryType(source.wkbType()) == QgsWkbTypes.GeometryType.PointGeometry:
            raise QgsProcessingException(self.tr("The labels are points: give the size of their objects in metres."))
        out = os.path.abspath(self.parameterAsFileOutput(parameters, OUTPUT, context))  # the engine is elsewhere
        words = ["prepare", f"--out={out}", "--kind=layer", "--progress=json", *self._settings(parameters, context)]
        labels = os.path.join(folder, COPY)
        if not write_source(source, labels, context, feedback, rejected=False):
            told = self.tr("No label is left: “{name}” has none, or all were rejected, filtered out or not selected.")
            raise QgsProcessingException(told.format(name=source.sourceName()))
        with _labels_in(out, labels) as copy:
            self.call(copy, source.sourceName())
            answer = self.run_engine([*words, f"--labels={copy}", "--", *self._scenes], feedback)
        report = answer.result["report"]
        tiles = sum(split["tiles"] for split in report["splits"].values())
        objects = sum(report["objects"].values())
        found = ", ".join(f"{count} {name}" for name, count in report["objects"].items())
        told = self.tr("{tiles} tiles with {objects} objects ({found}) in {folder}.")
        feedback.pushInfo(told.format(tiles=tiles, objects=objects, found=found, folder=out))
        return {OUTPUT: out, TILES: tiles, OBJECTS: objects}

    def _settings(self, parameters: dict[str, Any], context: QgsProcessingContext) -> list[str]:
        chosen = {
            "class-field": self.parameterAsString(parameters, CLASS_FIELD, context),
            "tile": self.whole_number(parameters, TILE, context),
            "overlap": self.number(parameters, OVERLAP, context),
            "point-size": self.number(parameters, POINT_SIZE, context),
            "empty-rate": self.number(parameters, EMPTY_RATE, context),
            "val-share": self.number(parameters, VAL_SHARE, context),
            "doubles": self.parameterAsEnumString(parameters, DOUBLES, context),
        }
        words = [f"--{name}={value}" for name, value in chosen.items() if value not in (None, "")]
        return [*words, "--overwrite"] if self.parameterAsBoolean(parameters, OVERWRITE, context) else words


@contextlib.contextmanager
def _labels_in(out: str, labels: str) -> Iterator[str]:
    """Lay the labels into the folder of the data set and yield their path; a run that fails changes nothing there."""
    target, before = os.path.join(out, COPY), labels + ".before"
    try:
        os.makedirs(out, exist_ok=True)
        if os.path.exists(target):
            shutil.copyfile(target, before)
        shutil.copyfile(labels, target)
    except OSError as error:
        raise QgsProcessingException(f"{error.filename or out}: {error.strerror}") from error
    try:
        yield target
    except EngineError:
        with contextlib.suppress(OSError):
            if os.path.exists(before):
                shutil.copyfile(before, target)
            else:
                os.remove(target)
                os.rmdir(out)  # does nothing where the folder holds anything else
        raise
