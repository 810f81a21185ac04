"""What the algorithms share: the engine's process, its progress, its errors, their help."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingUtils,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QIcon

from ..about import help_url, icon_path
from ..core.engine_process import Answer, EngineCancelled, EngineError, run_engine
from ..engine import engine_python, known_state
from ..styling import Dressing
from .progress import Listener
from .results import LayerResult
from .sinks import write_result

_OPTION = re.compile(r"--([a-z][a-z-]*[a-z])")


class EngineAlgorithm(QgsProcessingAlgorithm):
    """An algorithm that runs a command of the engine; a subclass gives `describe`, `check` and `work`."""

    def __init__(self) -> None:
        super().__init__()
        self._refusal = ""  # why it cannot be done, found out in the main thread
        self._result: LayerResult | None = None  # the layer that was made
        self._names: dict[str, str] = {}  # path that the engine was given: what the user calls it

    def tr(self, text: str) -> str:
        """Return a text in the user's language."""
        return QCoreApplication.translate(type(self).__name__, text)

    def describe(self) -> None:
        """Add the parameters and outputs."""
        raise NotImplementedError

    def introduction(self) -> str:
        """Return what the algorithm does, in a few sentences; HTML."""
        raise NotImplementedError

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> None:
        """Read layers and refuse what cannot be done; in the main thread, where layers are safe to touch."""

    def work(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
        folder: str,
    ) -> dict[str, Any]:
        """Do it, in any thread, and return the results.

        Args:
            parameters, context, feedback: as Processing gives them.
            folder: for files of the run alone; it is removed afterwards.
        """
        raise NotImplementedError

    def createInstance(self) -> EngineAlgorithm:  # noqa: N802
        """Return a new one."""
        return type(self)()

    def initAlgorithm(self, configuration: Mapping[str, Any] | None = None) -> None:  # noqa: N802
        """Add the parameters and outputs."""
        self.describe()

    def icon(self) -> QIcon:
        """Return the algorithm's icon."""
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:  # noqa: N802
        """Return the icon's file."""
        return icon_path(self.name())

    def helpUrl(self) -> str:  # noqa: N802
        """Return the address of the plugin's pages."""
        return help_url()

    def shortHelpString(self) -> str:  # noqa: N802
        """Return the introduction and what each parameter means."""
        told = [self.introduction()]
        for parameter in self.parameterDefinitions():
            if parameter.help():
                told.append(f"<h3>{parameter.description()}</h3><p>{parameter.help()}</p>")
        return "\n".join(told)

    def canExecute(self) -> tuple[bool, str]:  # noqa: N802
        """Return whether the engine can be used, as far as it is known without asking it, and why not."""
        state = known_state(engine_python())
        if state is None or state.kind == "ready":
            return True, ""
        return False, f"{state.message} {state.hint}".strip()

    def prepareAlgorithm(  # noqa: N802
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Check the engine, which qgis_process and scripts do not, and the layers.

        What is refused is told in `processAlgorithm`: to scripts, Processing does not hand on what is raised here.
        """
        usable, why = self.canExecute()
        try:
            if not usable:
                raise QgsProcessingException(why)
            self.check(parameters, context, feedback)
        except QgsProcessingException as refusal:
            self._refusal = str(refusal)
        return True

    def processAlgorithm(  # noqa: N802
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Do the work; a run that was cancelled leaves neither process nor temporary file, and gives no results."""
        if self._refusal:
            raise QgsProcessingException(self._refusal)
        with _private_folder() as folder:
            try:
                return self.work(parameters, context, feedback, folder)
            except EngineCancelled:
                feedback.pushInfo(self.tr("Cancelled."))
                return {}
            except EngineError as error:
                glue = " " if str(error).endswith(".") else "; "
                told = self.in_plain_words(glue.join(filter(None, (str(error), error.hint))))
            except QgsProcessingException as error:
                told = str(error)
            except Exception as error:
                feedback.pushDebugInfo(traceback.format_exc())
                told = self.tr("Unexpected {kind}: {reason}").format(kind=type(error).__name__, reason=error)
        # Raised here, not above: QGIS never lets go of what it is given, nor of the layers, sinks and files that the
        # frames of its traceback hold. They were closed when Python ended, by a GDAL that was gone: QGIS crashed.
        raise QgsProcessingException(told)

    def postProcessAlgorithm(  # noqa: N802
        self, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Let style, licence and settings go with the layer that was made, if one was; in the main thread."""
        if self._result is not None:
            self._result.finish(context, feedback)
        return {}

    def deliver(
        self,
        name: str,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
        found: QgsVectorLayer,
        crs: QgsCoordinateReferenceSystem,
        dressing: Dressing,
    ) -> str:
        """Copy the engine's layer into a sink and see to its style; returns the destination, "" where none is wanted.

        Raises:
            QgsProcessingException, EngineCancelled: see `sinks.write_result`.
        """
        destination = write_result(self, name, parameters, context, feedback, found, crs)
        if destination:
            self._result = LayerResult(destination, dressing)
            self._result.announce(context)
        return destination

    def run_engine(self, words: Sequence[str], feedback: QgsProcessingFeedback) -> Answer:
        """Run one command of the engine and return its answer; its progress, notes and log go to the feedback.

        Raises:
            EngineCancelled, EngineError: see `core.engine_process.run_engine`.
        """
        return run_engine(engine_python(), words, Listener(feedback, self.in_plain_words), feedback.isCanceled)

    def call(self, path: str, name: str) -> str:
        """Let messages say the layer's name instead of the path that the engine is given; returns the path."""
        self._names[path] = f"“{name}”"
        return path

    def in_plain_words(self, text: str) -> str:
        """Return what the engine says with layers' names for its files, and parameters for its options."""
        for path, name in self._names.items():
            text = text.replace(path, name).replace(os.path.basename(path), name)
        return " ".join(_OPTION.sub(self._title, text).split())

    def _title(self, option: re.Match[str]) -> str:
        parameter = self.parameterDefinition(option[1].replace("-", "_").upper())
        return option[0] if parameter is None else f"“{parameter.description()}”"

    def add(self, parameter: QgsProcessingParameterDefinition, help_text: str, advanced: bool = False) -> None:
        """Add a parameter with its help."""
        parameter.setHelp(help_text)
        if advanced:
            parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
        self.addParameter(parameter)

    def number(self, parameters: dict[str, Any], name: str, context: QgsProcessingContext) -> float | None:
        """Return a number, None where it is not set and has no default."""
        return self.parameterAsDouble(parameters, name, context) if self._has(parameters, name) else None

    def whole_number(self, parameters: dict[str, Any], name: str, context: QgsProcessingContext) -> int | None:
        """Return a whole number, None where it is not set and has no default."""
        return self.parameterAsInt(parameters, name, context) if self._has(parameters, name) else None

    def _has(self, parameters: dict[str, Any], name: str) -> bool:
        unset = (None, "", NULL)
        return parameters.get(name) not in unset or self.parameterDefinition(name).defaultValue() not in unset


@contextlib.contextmanager
def _private_folder() -> Iterator[str]:
    """Yield a new folder that is removed in the end, whatever happens; what Windows still holds goes with QGIS."""
    folder = tempfile.mkdtemp(prefix="geodetect-", dir=QgsProcessingUtils.tempFolder())
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
