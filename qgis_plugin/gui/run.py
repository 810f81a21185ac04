"""One run of the algorithm in a task of its own, from the dock's request to the layer that it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qgis.core import (
    QgsApplication,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingUtils,
    QgsProject,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..processing.sinks import discard
from .waiting import wait_until

ALGORITHM = "geodetect:detect"


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        kind: "done", "cancelled" or "failed".
        layer: the result, in no project yet; None unless done.
        count: of what was found.
        message: what went wrong, "" unless failed.
        log: all that the run said.
        warnings: what the user should know of the result.
    """

    kind: str
    layer: QgsVectorLayer | None = None
    count: int = 0
    message: str = ""
    log: str = ""
    warnings: tuple[str, ...] = ()


class LiveFeedback(QgsProcessingFeedback):
    """Feedback that also hands on the engine's messages as they are.

    Attributes:
        heard: a message of the engine; the signal brings it to the receiver's thread.
    """

    heard = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__(True)
        self.errors: list[str] = []
        self.warnings: list[str] = []

    def hear(self, message: dict[str, Any]) -> None:
        """Take a message; called by the algorithm, in its thread."""
        if message["type"] == "progress":
            self.heard.emit(message)

    def reportError(self, error: str, fatalError: bool = False) -> None:  # noqa: N802, N803
        """Keep an error for the outcome."""
        self.errors.append(error)
        super().reportError(error, fatalError)

    def pushWarning(self, warning: str) -> None:  # noqa: N802
        """Keep a warning for the outcome."""
        self.warnings.append(warning)
        super().pushWarning(warning)


class DetectRun(QObject):
    """A run of `geodetect:detect`.

    Attributes:
        heard: a progress message of the engine.
        ended: an `Outcome`; the last thing that is heard of the run.
    """

    heard = pyqtSignal(object)
    ended = pyqtSignal(object)
    _unfinished: set[DetectRun] = set()  # noqa: RUF012 - QGIS calls back; what it calls must live until then

    def __init__(self, parameters: dict[str, Any]) -> None:
        super().__init__()
        self._parameters = dict(parameters)
        self._context = QgsProcessingContext()
        self._feedback = LiveFeedback()
        self._feedback.heard.connect(self.heard)
        self._task: QgsProcessingAlgRunnerTask | None = None

    def start(self) -> None:
        """Check the parameters, in this thread, and begin. `ended` tells of refusals too."""
        algorithm = QgsApplication.processingRegistry().createAlgorithmById(ALGORITHM)
        if algorithm is None:
            self.ended.emit(
                Outcome("failed", message=self.tr("The algorithm {name} is not there.").format(name=ALGORITHM))
            )
            return
        project = QgsProject.instance()
        self._context.setProject(project)
        self._context.setFeedback(self._feedback)
        sink = self._parameters["OUTPUT"]
        self._parameters["OUTPUT"] = QgsProcessingOutputLayerDefinition(sink, project)
        fits, why = algorithm.checkParameterValues(self._parameters, self._context)
        if not fits:
            self.ended.emit(Outcome("failed", message=why))
            return
        self._algorithm = algorithm
        self._task = QgsProcessingAlgRunnerTask(algorithm, self._parameters, self._context, self._feedback)
        if self._task.isCanceled():  # its check refused; a task that is cancelled so early would never end
            self.ended.emit(self._failure())
            return
        self._unfinished.add(self)
        self._task.executed.connect(self._executed)
        QgsApplication.taskManager().addTask(self._task)

    def cancel(self) -> None:
        """Stop; `ended` follows."""
        if self._task is not None:
            self._task.cancel()

    def wait(self, seconds: float) -> bool:
        """Wait in this thread for the run to end; returns whether it did."""
        return wait_until(lambda: self._task is None, seconds)

    def _executed(self, successful: bool, results: dict[str, Any]) -> None:
        self._task = None
        self._unfinished.discard(self)
        if self._feedback.isCanceled():
            discard(str(results.get("OUTPUT") or ""))  # cancelled when all was written but not styled
            self.ended.emit(Outcome("cancelled", log=self._feedback.textLog()))
        elif not successful:
            self.ended.emit(self._failure())
        else:
            self.ended.emit(self._success(str(results.get("OUTPUT", "")), int(results.get("COUNT", 0))))

    def _failure(self) -> Outcome:
        said = self._feedback.errors[0] if self._feedback.errors else self.tr("The run failed; the log tells more.")
        return Outcome("failed", message=said.strip(), log=self._feedback.textLog())

    def _success(self, destination: str, count: int) -> Outcome:
        layer = QgsProcessingUtils.mapLayerFromString(destination, self._context)
        taken = self._context.takeResultLayer(layer.id()) if layer is not None else None
        if not isinstance(taken, QgsVectorLayer):
            message = self.tr("The result {name} cannot be opened.").format(name=destination)
            return Outcome("failed", message=message, log=self._feedback.textLog())
        details = self._context.layersToLoadOnCompletion().get(destination)
        dresser = details.postProcessor() if details is not None else None
        if dresser is not None:
            dresser.postProcessLayer(taken, self._context, self._feedback)
        return Outcome("done", taken, count, log=self._feedback.textLog(), warnings=tuple(self._feedback.warnings))
