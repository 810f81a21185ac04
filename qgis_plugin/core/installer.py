"""The engine's private environment: made, checked, removed. Nothing of it ever enters QGIS's own Python.

    FOLDER/engine-0.1/            the environment; complete where geodetect-environment.json lies in it
    FOLDER/engine-0.1-python/     a Python of its own, where none was found and uv fetched one
    FOLDER/engine-0.1-work/       downloads while it is made; kept where the network failed, for the next attempt
    FOLDER/engine-0.1-gone-…/     what is being deleted
    FOLDER/engine.lock            held while it is made or removed

A virtual environment cannot be moved, so it is made in its place and the marker written last: what has no marker,
because QGIS or the computer was stopped amid it, counts as absent and is made anew.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any, Callable
from urllib.parse import unquote, urlsplit

from .engine_process import EngineError, run_engine
from .folders import claimed, delete, denied, discard, folder_size, free_space, sweep
from .install_errors import NO_SPACE, InstallError, explain
from .makers import Maker, choose_maker, variables
from .process import Cancelled, follow
from .requirements import SERIES, Order
from .texts import translate

MARKER = "geodetect-environment.json"
STEPS = ("python", "environment", "packages", "check")  # that an installation takes, in this order
LOG_LINES = 400  # that an error carries
FULL = 32e6  # bytes free, below which a disk is taken for full where something failed
Listener = Callable[[str, str], None]  # ("step", one of STEPS) or ("log", a line), in the calling thread


@dataclass(frozen=True)
class Installed:
    """An environment that is complete.

    Attributes:
        python: its interpreter.
        geodetect: its version.
        extra, origin: what was ordered, see `Order`.
        maker: "uv" or "pip".
        bytes: on disk, when it was made.
        made: when, ISO 8601.
    """

    python: str
    geodetect: str
    extra: str
    origin: str
    maker: str
    bytes: int
    made: str


def installed(folder: str) -> Installed | None:
    """Return the environment in a folder, None where there is none or it was not completed. Takes no time."""
    home = _home(folder)
    try:
        with open(os.path.join(home, MARKER), encoding="utf-8") as file:
            marker = json.load(file)
        return Installed(python=_python_in(home), **marker)
    except (OSError, ValueError, TypeError):
        return None


def managed_python(folder: str) -> str:
    """Return the Python of the environment in a folder, "" where there is none or it was not completed."""
    found = installed(folder)
    return found.python if found else ""


def install(
    order: Order, listen: Listener = lambda kind, text: None, is_cancelled: Callable[[], bool] = lambda: False
) -> Installed:
    """Make the environment anew, replacing what is there; on any failure nothing of it is left.

    Raises:
        InstallError: see there.
        Cancelled: `is_cancelled` said so; it is asked twenty times a second.
    """
    with claimed(order.folder):
        return _Installation(order, listen, is_cancelled).run()


def remove(folder: str) -> None:
    """Delete the environment, with those of other versions of the plugin and all downloads.

    Raises:
        InstallError: a file in it is in use.
    """
    if not os.path.isdir(folder):
        return
    with claimed(folder):
        delete(os.path.join(_home(folder), MARKER))  # first: half of an environment must not count as one
        sweep(folder)
        for name in os.listdir(folder):
            if name.startswith("engine-"):
                discard(os.path.join(folder, name))


def size(folder: str) -> int:
    """Return the bytes of all that `remove` deletes. Takes seconds on a cold disk."""
    return folder_size(folder)


class _Installation:
    """One installation, from start to end."""

    def __init__(self, order: Order, listen: Listener, is_cancelled: Callable[[], bool]) -> None:
        self._order = order
        self._listen = listen
        self._is_cancelled = is_cancelled
        self._home = _home(order.folder)
        self._work = self._home + "-work"
        self._variables = variables(order, self._work, self._home + "-python")
        self._secrets = _secrets(order.proxy)
        self._lines: deque[str] = deque(maxlen=LOG_LINES)

    def run(self) -> Installed:
        """Make it, and clean up."""
        self._check_order()
        try:
            made = self._make()
        except InstallError as error:
            self._clean(keep_downloads=error.kind == "network")
            raise
        except OSError as error:
            self._clean()
            raise denied(error) from error
        except BaseException:
            self._clean()
            raise
        self._sweep(self._work)
        return made

    def _check_order(self) -> None:
        order = self._order
        for path, there in ((order.wheels, os.path.isdir), (order.source, os.path.exists)):
            if path and not there(path):
                raise InstallError("failed", _tr("{path} does not exist.").format(path=path), _tr("Choose another."))
        free = free_space(order.folder)
        if free < order.needed:
            message = _tr("Too little room in {folder}: {free} MB are free, {needed} MB are needed.")
            numbers = {"free": int(free / 1e6), "needed": int(order.needed / 1e6)}
            raise InstallError(
                "disk", message.format(folder=order.folder, **numbers), _tr("Make room, then try again.")
            )

    def _make(self) -> Installed:
        self._step("python")
        maker = choose_maker(self._order, self._log, self._is_cancelled)
        self._log(maker.name)
        self._step("environment")
        delete(os.path.join(self._home, MARKER))
        discard(self._home)
        sweep(self._order.folder)
        os.makedirs(os.path.join(self._work, "tmp"), exist_ok=True)
        self._run(maker.environment(self._order, self._home))
        self._step("packages")
        python = _python_in(self._home)
        self._run(maker.packages(self._order, python))
        self._step("check")
        version = self._check(python)
        return self._complete(maker, version)

    def _run(self, command: list[str]) -> None:
        """Run a command, whose output goes to the log."""
        self._log("$ " + " ".join(command))
        if follow(command, self._log, self._is_cancelled, self._variables):
            full = free_space(self._order.folder) < FULL  # not all say so
            raise explain([*self._lines, *([NO_SPACE] if full else [])], self._order.wheels)

    def _check(self, python: str) -> str:
        """Ask the new engine for its models; return its version."""
        try:
            answer = run_engine(python, ["models", "list", "--json"], self._hear, self._is_cancelled)
        except EngineError as error:
            self._log(str(error))
            raise InstallError("check", str(error), error.hint, "\n".join(self._lines)) from error
        return str(answer.hello.get("geodetect", ""))

    def _complete(self, maker: Maker, version: str) -> Installed:
        if self._is_cancelled():
            raise Cancelled
        order = self._order
        who, when = "uv" if maker.uv else "pip", time.strftime("%Y-%m-%dT%H:%M:%S%z")
        taken = folder_size(self._home) + folder_size(self._home + "-python")
        made = Installed(_python_in(self._home), version, order.extra, order.origin, who, taken, when)
        marker = {key: value for key, value in asdict(made).items() if key != "python"}
        path = os.path.join(self._home, MARKER)
        with open(path + ".part", "w", encoding="utf-8") as file:
            json.dump(marker, file, indent=2)
        os.replace(path + ".part", path)
        return made

    def _clean(self, keep_downloads: bool = False) -> None:
        """Leave nothing of what did not come to its end."""
        self._sweep(
            self._home, self._home + "-python", os.path.join(self._work, "tmp") if keep_downloads else self._work
        )

    def _sweep(self, *paths: str) -> None:
        """Delete; that something cannot be deleted must not hide how the installation went."""
        for path in paths:
            try:
                discard(path)
            except InstallError as error:
                self._log(str(error))

    def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "log":
            self._log(str(message["message"]))

    def _step(self, name: str) -> None:
        self._listen("step", name)

    def _log(self, line: str) -> None:
        for secret in self._secrets:
            line = line.replace(secret, "***")
        self._lines.append(line)
        self._listen("log", line)


def _home(folder: str) -> str:
    return os.path.join(folder, "engine-" + SERIES)


def _python_in(home: str) -> str:
    return (
        os.path.join(home, "Scripts", "python.exe") if sys.platform == "win32" else os.path.join(home, "bin", "python")
    )


def _secrets(proxy: str) -> tuple[str, ...]:
    """Return what must not stand in a log that the user may show to others."""
    password = urlsplit(proxy).password or ""
    return tuple({password, unquote(password)} - {""})


def _tr(text: str) -> str:
    return translate("Installer", text)
