"""The engine's state and its models, asked for in the background."""

from __future__ import annotations

from typing import Callable

from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..core.engine_process import EngineCancelled, EngineError
from ..engine import EngineState, engine_python, engine_state, forget_state, known_state
from ..models import ModelInfo, cached_models, known_models, outdated
from .background import Background


class EngineWatch(QObject):
    """Knows whether the engine can be used and which models it has.

    Attributes:
        changed: state or models are known anew.
    """

    changed = pyqtSignal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.state: EngineState | None = None  # None: not known yet
        self.models: list[ModelInfo] = []
        self._asked_for = ""
        self._background = Background()
        self._background.answered.connect(self._take)

    @property
    def ready(self) -> bool:
        """Whether the engine can be used."""
        return self.state is not None and self.state.ready

    def refresh(self, anew: bool = False) -> None:
        """Look again, at once where nothing has changed; `anew` asks the engine even then.

        What was known is shown until the engine has answered, unless it is of another engine.
        """
        if anew:
            forget_state()
        python = engine_python()
        state, models = known_state(python), cached_models(python)
        known = state is not None and (not state.ready or models is not None)
        asked = self._background.busy and python == self._asked_for and not anew
        if known:
            self._take((state, models or []))
        elif python != self._asked_for:
            self._take((None, self.models))
        self._asked_for = python
        if known and not (state.ready and outdated(python)):
            self._background.stop()
        elif not asked:
            self._background.start(lambda is_cancelled: _ask(python, is_cancelled))

    def shutdown(self) -> None:
        """Ask nothing more."""
        self._background.stop(1.0)

    def _take(self, answer: object) -> None:
        if isinstance(answer, Exception):
            answer = (EngineState("broken", str(answer) or type(answer).__name__), [])
        if answer != (self.state, self.models):
            self.state, self.models = answer  # type: ignore[misc]
            self.changed.emit()


def _ask(python: str, is_cancelled: Callable[[], bool]) -> tuple[EngineState, list[ModelInfo]]:
    """Return state and models; called in a thread."""
    try:
        state = engine_state(python, is_cancelled)
        return state, known_models(python, is_cancelled) if state.ready else []
    except EngineError as error:
        return EngineState("broken", str(error), error.hint), []
    except EngineCancelled:  # nobody waits for this answer
        return EngineState("missing"), []
