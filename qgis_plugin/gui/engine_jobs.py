"""What is done to the engine: installing, removing, testing. One thing at a time, in the background.

It goes on when the page or dialog that began it is closed, and is seen again when one is opened.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable

from qgis.core import QgsApplication, QgsTask
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..core.engine_process import EngineError, run_engine
from ..core.install_errors import InstallError
from ..core.installer import STEPS, Installed, install, remove
from ..core.process import Cancelled
from ..core.requirements import Order
from ..engine import CHOSEN, engine_state, forget_state
from ..models import forget_models
from ..settings import forget
from .advanced import NAMES

Listen = Callable[[str, str], None]
Work = Callable[[Listen, Callable[[], bool]], Any]
PATIENCE = 3000  # ms that QGIS waits for a job to clean up, when the plugin is unloaded


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended.

    Attributes:
        kind: "installed", "removed", "tested"; "cancelled"; "failed".
        message, hint: for the user.
    """

    kind: str
    message: str
    hint: str = ""


class EngineJobs(QObject):
    """Does one job at a time and remembers what it said.

    Attributes:
        busy: "install", "remove", "test"; "" when idle.
        step: of `STEPS`, while installing.
        log: the lines of the last job.
        outcome: of the last job, None before the first and during one.
        changed: a job began, came to another step, or ended.
        said: a line for the log.
        engine_changed: the engine is another now, or may be: look at `engine_python` and `engine_state` again.
    """

    changed = pyqtSignal()
    said = pyqtSignal(str)
    engine_changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.busy = self.step = ""
        self.log: list[str] = []
        self.outcome: JobOutcome | None = None
        self._task: _Task | None = None

    def install(self, order: Order) -> None:
        """Install into the private environment, which from then on is the engine's."""
        self._begin("install", self.tr("Installing GeoDetect's engine"), lambda *ways: install(order, *ways))

    def remove(self, folder: str) -> None:
        """Remove the private environment."""
        self._begin("remove", self.tr("Removing GeoDetect's engine"), lambda listen, is_cancelled: remove(folder))

    def test(self, python: str) -> None:
        """Let an engine examine itself."""
        forget_state()  # it is asked anew
        forget_models()  # perhaps the user has just fetched one
        self._begin("test", self.tr("Testing GeoDetect's engine"), lambda *ways: _examine(python, *ways))

    def cancel(self) -> None:
        """Stop what runs; `changed` tells when it has."""
        if self._task is not None:
            self._task.cancel()

    def shutdown(self) -> None:
        """Stop what runs and wait for its end; for the plugin's own."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            task.waitForFinished(PATIENCE)

    def _begin(self, name: str, title: str, work: Work) -> None:
        if self._task is not None:
            return
        self.busy, self.step, self.log, self.outcome = name, "", [], None
        self._task = _Task(title, work)
        self._task.told.connect(self._hear)
        self._task.ended.connect(self._end)
        QgsApplication.taskManager().addTask(self._task)
        self.changed.emit()

    def _hear(self, kind: str, text: str) -> None:
        if kind == "step":
            self.step = text
            if self._task is not None and text in STEPS:
                self._task.setProgress(100.0 * STEPS.index(text) / len(STEPS))
            self.changed.emit()
        else:
            self.log.append(text)
            self.said.emit(text)

    def _end(self, answer: object) -> None:
        if self._task is None:  # the plugin is being unloaded
            return
        name, self._task, self.busy = self.busy, None, ""
        self.outcome = self._outcome(name, answer)
        for line in filter(None, (self.outcome.message, self.outcome.hint)):
            self._hear("log", line)
        if name != "test":
            forget_state()
            forget_models()
        if isinstance(answer, Installed):
            forget(CHOSEN)
        self.changed.emit()
        self.engine_changed.emit()

    def _outcome(self, name: str, answer: object) -> JobOutcome:
        if isinstance(answer, Cancelled):
            return JobOutcome("cancelled", self.tr("Cancelled; nothing of it is left.") if name == "install" else "")
        if isinstance(answer, (InstallError, EngineError)):
            return JobOutcome("failed", str(answer), answer.hint)
        if isinstance(answer, Exception):
            return JobOutcome("failed", f"{type(answer).__name__}: {answer}")
        if isinstance(answer, Installed):
            message = self.tr("geodetect {version} is installed.")
            return JobOutcome("installed", message.format(version=answer.geodetect))
        if name == "remove":
            return JobOutcome("removed", self.tr("The engine is removed."))
        return JobOutcome("tested", self._verdict(answer))

    def _verdict(self, found: Any) -> str:
        test = found["selftest"]
        message = self.tr("It works: {engine} on {device}, {precision}: {time} ms a tile. Self-test passed.")
        engine = NAMES.get(test["engine"], test["engine"])
        return message.format(time=round(found["milliseconds"]), **{**test, "engine": engine})


class _Task(QgsTask):
    """A job in a thread of QGIS's own, seen in its status bar.

    Attributes:
        told: what the work says.
        ended: what it returned, or the exception that it raised.
    """

    told = pyqtSignal(str, str)
    ended = pyqtSignal(object)

    def __init__(self, title: str, work: Work) -> None:
        super().__init__(title, QgsTask.Flag.CanCancel | QgsTask.Flag.CancelWithoutPrompt)
        self._work = work
        self._answer: object = None

    def run(self) -> bool:
        """Do the work; called in the thread."""
        try:
            self._answer = self._work(self.told.emit, self.isCanceled)
        except Exception as error:  # whatever it is, it belongs to who asked, not to this thread
            self._answer = error
        return not isinstance(self._answer, Exception)

    def finished(self, result: bool) -> None:
        """Hand over the answer; called in the window's thread."""
        self.ended.emit(self._answer)


def _examine(python: str, listen: Listen, is_cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Return what `geodetect doctor` finds, told line by line too."""

    def hear(message: dict[str, Any]) -> None:
        if message["type"] == "log":
            listen("log", str(message["message"]))

    state = engine_state(python, is_cancelled)
    if not state.ready:
        raise EngineError(state.kind, state.message, state.hint)
    found: dict[str, Any] = json.loads(run_engine(python, ["doctor", "--json"], hear, is_cancelled).text)
    listen("log", f"geodetect {found['geodetect']}, Python {found['python']}, {found['platform']}")
    listen("log", found["executable"])
    listen("log", ", ".join(f"{name} {version}" for name, version in found["versions"].items()))
    test = found["selftest"]
    listen("log", f"{found['model']}: off by {test['deviation']:.1e}, {test['tolerance']:.1e} is allowed")
    return found


_jobs: list[EngineJobs] = []


def engine_jobs() -> EngineJobs:
    """Return the one that all pages and dialogs share."""
    if not _jobs:
        _jobs.append(EngineJobs())
    return _jobs[0]


def end_engine_jobs() -> None:
    """Stop what runs, for the plugin's end."""
    while _jobs:
        _jobs.pop().shutdown()
