"""`geodetect:evaluate`: how well detections meet the truth."""

from __future__ import annotations

import json
import os
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFeatureSink,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
)

from ..styling import Dressing
from .base import EngineAlgorithm
from .report import page
from .vectors import check_output, open_found, write_source

DETECTIONS, TRUTH, CLASS_FIELD, IOU, SCORE = "DETECTIONS", "TRUTH", "CLASS_FIELD", "IOU", "SCORE"
ERRORS, REPORT = "ERRORS", "REPORT"
LAYER = "errors"  # in the engine's GeoPackage
FIGURES = ("f1", "precision", "recall", "ap50", "hits", "misses", "false_alarms", "duplicates")  # become outputs
Number = QgsProcessingParameterNumber


class EvaluateAlgorithm(EngineAlgorithm):
    """Precision, recall, F1 and average precision, and a layer of hits, misses and false alarms."""

    def name(self) -> str:
        """Return the name within the provider."""
        return "evaluate"

    def displayName(self) -> str:  # noqa: N802
        """Return what the toolbox shows."""
        return self.tr("Compare detections with the truth")

    def group(self) -> str:
        """Return the group's title."""
        return self.tr("Evaluation")

    def groupId(self) -> str:  # noqa: N802
        """Return the group."""
        return "evaluation"

    def tags(self) -> list[str]:
        """Return words by which it is found."""
        return self.tr("accuracy,precision,recall,F1,average precision,AP,ground truth,validation,errors").split(",")

    def shortDescription(self) -> str:  # noqa: N802
        """Return one line on it."""
        return self.tr("Tells how many objects were found, missed or invented, and shows which.")

    def introduction(self) -> str:
        """Return what it does."""
        return self.tr(
            "<p>Compares a layer of detections with a layer of true objects, class by class: precision, recall, F1 and "
            "average precision as COCO defines it. The layer of errors shows hits, misses, false alarms and duplicates "
            "in colours.</p>"
            "<p>Selected features, filters and unsaved edits of both layers count as they are. True objects with a "
            "field <i>difficult</i> that is 1 count neither when found nor when missed.</p>"
        )

    def describe(self) -> None:
        """Add the parameters and outputs."""
        polygons, points = QgsProcessing.SourceType.TypeVectorPolygon, QgsProcessing.SourceType.TypeVectorPoint
        self.add(
            QgsProcessingParameterFeatureSource(DETECTIONS, self.tr("Detections"), [polygons]),
            self.tr("Polygons with fields <i>class</i> and <i>score</i>, as “Detect objects” makes them."),
        )
        self.add(
            QgsProcessingParameterFeatureSource(TRUTH, self.tr("True objects"), [polygons, points]),
            self.tr("Polygons or points with their class, in any CRS. A point is found by a polygon that holds it."),
        )
        self.add(
            QgsProcessingParameterField(CLASS_FIELD, self.tr("Field of the true class"), None, TRUTH, optional=True),
            self.tr("Not set: <i>class</i>, <i>label</i>, <i>type</i> or the like."),
        )
        self.add(
            Number(IOU, self.tr("Least overlap of a hit (IoU)"), Number.Type.Double, 0.5, False, 0.01, 1.0),
            self.tr("Area that both share over the area that they cover together. 0.5 is usual."),
        )
        self.add(
            Number(SCORE, self.tr("Least score"), Number.Type.Double, None, True, 0.0, 1.0),
            self.tr("Leave out detections below it. Not set: all count."),
        )
        self.add(
            QgsProcessingParameterFeatureSink(ERRORS, self.tr("Hits and errors"), polygons, None, True),
            self.tr("A layer with the outcome of each detection and each missed object."),
        )
        self.add(
            QgsProcessingParameterFileDestination(REPORT, self.tr("Report"), "HTML (*.html)", None, True),
            self.tr("A page with the figures of each class."),
        )
        titles = (
            self.tr("F1"),
            self.tr("Precision"),
            self.tr("Recall"),
            self.tr("Average precision at IoU 0.5 (AP50)"),
            self.tr("Hits"),
            self.tr("Misses"),
            self.tr("False alarms"),
            self.tr("Duplicates"),
        )
        for name, title in zip(FIGURES, titles):
            self.addOutput(QgsProcessingOutputNumber(name.upper(), title))

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> None:
        """Look whether the layer of errors can be written."""
        check_output(parameters.get(ERRORS), context)

    def work(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
        folder: str,
    ) -> dict[str, Any]:
        """Hand over both layers, run the engine, return layer, page and figures."""
        found, true = (self._handed(parameters, name, context, feedback, folder) for name in (DETECTIONS, TRUTH))
        errors = os.path.join(folder, LAYER + ".gpkg")
        words = ["evaluate", "--json=-", f"--errors={errors}", f"--iou={self.number(parameters, IOU, context)}"]
        score, field = self.number(parameters, SCORE, context), self.parameterAsString(parameters, CLASS_FIELD, context)
        words += [] if score is None else [f"--score={score}"]
        words += [f"--class-field={field}"] if field else []
        figures = json.loads(self.run_engine([*words, "--", found, true], feedback).text)
        for note in figures["notes"]:
            feedback.pushWarning(self.in_plain_words(note))
        results: dict[str, Any] = {name.upper(): figures["all"].get(name) for name in FIGURES}
        results.update(self._layer(parameters, errors, context, feedback))
        report = self.parameterAsFileOutput(parameters, REPORT, context)
        if report:
            names = [self.parameterAsSource(parameters, name, context).sourceName() for name in (DETECTIONS, TRUTH)]
            _write(report, page(figures, *names))
            results[REPORT] = report
        told = self.tr(
            "F1 {f1}, precision {precision}, recall {recall}: {hits} hits, {misses} misses, {false} false alarms."
        )
        whole = figures["all"]
        shares = {name: _share(whole[name]) for name in ("f1", "precision", "recall")}
        feedback.pushInfo(
            told.format(hits=whole["hits"], misses=whole["misses"], false=whole["false_alarms"], **shares)
        )
        return results

    def _handed(
        self,
        parameters: dict[str, Any],
        name: str,
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
        folder: str,
    ) -> str:
        """Return a GeoPackage with what a source holds."""
        source = self.parameterAsSource(parameters, name, context)
        if source is None:
            raise QgsProcessingException(self.invalidSourceError(parameters, name))
        path = self.call(os.path.join(folder, name.lower() + ".gpkg"), source.sourceName())
        write_source(source, path, context, feedback)
        return path

    def _layer(
        self, parameters: dict[str, Any], errors: str, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Fill the sink of errors, where one is wanted."""
        found = open_found(errors, LAYER)
        crs = self.parameterAsSource(parameters, DETECTIONS, context).sourceCrs()
        if not crs.isValid():
            crs = self.parameterAsSource(parameters, TRUTH, context).sourceCrs()
        dressing = Dressing.of(errors, LAYER, crs.isValid())
        destination = self.deliver(ERRORS, parameters, context, feedback, found, crs, dressing)
        return {ERRORS: destination} if destination else {}


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise QgsProcessingException(f"{path}: {error.strerror}") from error
