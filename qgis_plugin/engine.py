"""The engine that the plugin works with: which Python it lives in, and whether it answers."""

from __future__ import annotations

import glob
import os
import threading
from dataclasses import dataclass
from typing import Callable

from qgis.PyQt.QtCore import QCoreApplication

from .core import texts
from .core.engine_process import EngineError, run_engine
from .core.installer import managed_python
from .settings import PYTHON, data_folder, recall

CHOSEN = "engine/python"  # setting: an existing Python that the user chose; "" for the private environment

texts.use(QCoreApplication.translate)
_states: dict[tuple[object, ...], EngineState] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class EngineState:
    """Whether the engine can be used.

    Attributes:
        kind: "ready"; "missing" no Python is chosen, or it is not there; "broken" geodetect does not start in it;
            "protocol" it is too old or too new for this plugin.
        message: a sentence for the user, "" where ready.
        hint: what the user can do, "" where ready.
        version: of geodetect, "" where unknown.
    """

    kind: str
    message: str = ""
    hint: str = ""
    version: str = ""

    @property
    def ready(self) -> bool:
        """Whether the engine can be used."""
        return self.kind == "ready"


def engine_python() -> str:
    """Return the Python to use, "" where none is chosen and none is installed; it need not exist."""
    return os.environ.get(PYTHON, "") or recall(CHOSEN, "") or managed_python(data_folder())


def engine_state(python: str, is_cancelled: Callable[[], bool] = lambda: False) -> EngineState:
    """Return whether the engine in a Python can be used; asks the engine once, which takes a second or two.

    Callable from any thread. In the main thread look at `known_state` first.

    Raises:
        EngineCancelled: `is_cancelled` said so; it is asked twenty times a second.
    """
    state = known_state(python)
    if state is None:
        state = _ask(python, is_cancelled)
        with _lock:
            _states[fingerprint(python)] = state
    return state


def known_state(python: str) -> EngineState | None:
    """Return the state where it is known without asking the engine, else None. Takes no time."""
    if not python:
        return EngineState("missing", _tr("The engine is not installed."), _tr("Install it in the settings."))
    if not os.path.isfile(python):
        hint = _tr("Install the engine, or choose another Python, in the settings.")
        if os.environ.get(PYTHON):
            hint = _tr("Correct or remove the environment variable {name}, then start QGIS again.").format(name=PYTHON)
        return EngineState("missing", _tr("{python} does not exist.").format(python=python), hint)
    with _lock:
        return _states.get(fingerprint(python))


def forget_state() -> None:
    """Ask the engine again the next time, after something was installed, repaired or removed."""
    with _lock:
        _states.clear()


def _ask(python: str, is_cancelled: Callable[[], bool]) -> EngineState:
    """Run the command that loads most and does least: what it needs to read a scene must be there."""
    versions: list[str] = []
    try:
        answer = run_engine(
            python,
            ["models", "list", "--json"],
            lambda message: versions.append(str(message.get("geodetect", ""))) if message["type"] == "hello" else None,
            is_cancelled,
        )
    except EngineError as error:
        kind = error.kind if error.kind in ("missing", "protocol") else "broken"
        return EngineState(kind, str(error), error.hint, "".join(versions[:1]))
    return EngineState("ready", version=str(answer.hello.get("geodetect", "")))


def fingerprint(python: str) -> tuple[object, ...]:
    """Return what changes when a Python, its virtual environment or the packages in it do."""
    home = os.path.dirname(os.path.dirname(os.path.abspath(python)))
    packages = glob.glob(os.path.join(glob.escape(home), "lib", "python3.*", "site-packages"))
    packages.append(os.path.join(home, "Lib", "site-packages"))
    return (python, *(_changed(path) for path in (python, os.path.join(home, "pyvenv.cfg"), *packages)))


def _changed(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _tr(text: str) -> str:
    return QCoreApplication.translate("Engine", text)
