"""A layer that an algorithm made: what is done to it once it is written."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..styling import Dressing, DressUp
from .sinks import place_of


@dataclass(frozen=True)
class LayerResult:
    """A result that lies where the user wants it.

    Attributes:
        destination: as the sink names it.
        dressing: its style and origin.
    """

    destination: str
    dressing: Dressing

    def announce(self, context: QgsProcessingContext) -> None:
        """Let the layer be styled when the project gets it."""
        if context.willLoadLayerOnCompletion(self.destination):
            context.layerToLoadOnCompletionDetails(self.destination).setPostProcessor(DressUp(self.dressing))

    def finish(self, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> None:
        """Let style and origin go with the result; in the main thread."""
        layer = context.temporaryLayerStore().mapLayer(self.destination)
        if layer is not None:
            self.dressing.put_on(layer)
            return
        path, table = place_of(self.destination)
        stem = os.path.splitext(os.path.basename(path))[0]
        if not os.path.isfile(path):
            told = _tr("Style and licence are not stored in the database.")
            feedback.pushWarning(told)
        elif not path.lower().endswith(".gpkg"):
            written = QgsVectorLayer(self.destination, stem, "ogr")
            self.dressing.save_beside(written, path)
        else:
            try:
                self.dressing.store(path, table or stem)
            except sqlite3.Error as error:  # the objects are there, which matters most
                told = _tr("Style and licence could not be stored in {path}: {reason}")
                feedback.pushWarning(told.format(path=path, reason=error))


def _tr(text: str) -> str:
    return QCoreApplication.translate("LayerResult", text)
