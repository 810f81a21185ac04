"""The provider: GeoDetect's algorithms in the toolbox, in models, in batch and in qgis_process."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from ..about import icon_path, version
from .detect import DetectAlgorithm
from .evaluate import EvaluateAlgorithm
from .trainingdata import TrainingDataAlgorithm


class GeoDetectProvider(QgsProcessingProvider):
    """Algorithms that run in the engine's process."""

    def id(self) -> str:
        """Return the first part of the algorithms' names."""
        return "geodetect"

    def name(self) -> str:
        """Return what the toolbox shows."""
        return "GeoDetect"

    def longName(self) -> str:  # noqa: N802
        """Return the name with what it is about."""
        return self.tr("GeoDetect: objects in satellite and aerial images")

    def icon(self) -> QIcon:
        """Return the icon."""
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:  # noqa: N802
        """Return the icon's file."""
        return icon_path("geodetect")

    def versionInfo(self) -> str:  # noqa: N802
        """Return the plugin's version."""
        return version()

    def loadAlgorithms(self) -> None:  # noqa: N802
        """Add the algorithms."""
        for algorithm in (DetectAlgorithm, EvaluateAlgorithm, TrainingDataAlgorithm):
            self.addAlgorithm(algorithm())
