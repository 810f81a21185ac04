"""One command of geodetect, run in a process of its own.

The process is `geodetect serve` in the Python that the engine is installed in. It is told by JSON lines on stdin what
to do and answers by JSON lines on stdout; stdin is its lifeline: it ends when QGIS does, however QGIS ends. Nothing of
geodetect is imported here, so that no library of the engine ever meets QGIS's own.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess  # nosec B404
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Callable

from .process import POLL, STRAGGLERS, Cancelled, kill_group, start
from .texts import translate

PROTOCOL = 1
STARTUP = 120.0  # s until the engine says hello: a cold disk and a virus scanner may take most of it
GRACE = 0.4  # s that a cancelled engine has before it is killed
LOG_LINES = 400  # of stderr that an error carries


class EngineCancelled(Cancelled):
    """The user stopped the command; no process of it is left."""


class EngineError(Exception):
    """The command did not do what it should.

    Attributes:
        kind: "missing" no such Python; "broken" it does not start; "protocol" its version does not fit; "failed" the
            command says why; "died" it ended without a word.
        hint: what the user can do, or "".
        log: the last lines of the engine's stderr.
    """

    def __init__(self, kind: str, message: str, hint: str = "", log: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.hint = hint
        self.log = log


@dataclass(frozen=True)
class Answer:
    """What a command gave: its `result` message, {} where it has none, and what it printed besides."""

    result: dict[str, Any]
    text: str
    hello: dict[str, Any]


@dataclass
class _Heard:
    """What the engine has said so far."""

    hello: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)
    log: deque[str] = field(default_factory=lambda: deque(maxlen=LOG_LINES))

    @property
    def tail(self) -> str:
        """The end of the log as one text."""
        return "\n".join(self.log)


def engine_command(python: str) -> list[str]:
    """Return how the engine in a Python is started: apart from the user's own packages, in UTF-8, unbuffered."""
    return [python, "-I", "-u", "-X", "utf8", "-m", "geodetect", "serve"]


def run_engine(
    python: str,
    words: Sequence[str],
    listen: Callable[[dict[str, Any]], None] = lambda message: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Answer:
    """Run one command of geodetect and return its answer.

    Args:
        python: that geodetect is installed in.
        words: of the command line, such as ["detect", "scene.tif", "--output", "found.gpkg", "--progress", "json"].
        listen: gets every message as it comes, in the calling thread: progress, note, result ...; and
            {"type": "log", "message": ...} for what the engine prints to stderr.
        is_cancelled: asked twenty times a second.

    Raises:
        EngineCancelled: `is_cancelled` said so.
        EngineError: see there.
    """
    return _Run(python, list(words), listen, is_cancelled).run()


class _Run:
    """One process, from start to end."""

    def __init__(
        self,
        python: str,
        words: list[str],
        listen: Callable[[dict[str, Any]], None],
        is_cancelled: Callable[[], bool],
    ) -> None:
        self._python = python
        self._words = words
        self._listen = listen
        self._is_cancelled = is_cancelled
        self._heard = _Heard()
        self._lines: queue.Queue[tuple[str, str | None]] = queue.Queue()

    def run(self) -> Answer:
        """Start, follow to the end, and leave nothing behind, whatever happens."""
        process = self._start()
        try:
            for stream, name in ((process.stdout, "out"), (process.stderr, "err")):
                threading.Thread(target=self._pump, args=(stream, name), name="geodetect-" + name, daemon=True).start()
            _send(process, {"type": "run", "protocol": PROTOCOL, "words": self._words})
            self._follow(process)
        finally:
            _end(process)
        return self._answer(process.returncode)

    def _start(self) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        try:
            return start(engine_command(self._python), stdin=pipe, stdout=pipe, stderr=pipe)
        except OSError as error:
            raise EngineError(
                "missing",
                _tr("{python} cannot be started ({why}).").format(python=self._python, why=error.strerror or error),
                _tr("Install the engine, or choose another Python, in the settings."),
            ) from error

    def _pump(self, stream: Any, name: str) -> None:
        with stream:
            for line in stream:
                self._lines.put((name, line.decode("utf-8", "replace").rstrip("\r\n")))
        self._lines.put((name, None))

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        """Hand on what the engine says until its pipes are closed."""
        open_streams = {"out", "err"}
        started, ended = time.monotonic(), None
        while open_streams:
            if self._is_cancelled():
                raise EngineCancelled
            if not self._heard.hello and time.monotonic() - started > STARTUP:
                return
            try:
                name, line = self._lines.get(timeout=POLL)
            except queue.Empty:
                if process.poll() is not None:
                    ended = ended or time.monotonic()
                    if time.monotonic() - ended > STRAGGLERS:
                        return
                continue
            if line is None:
                open_streams.discard(name)
            elif name == "err":
                self._log(line)
            else:
                self._take(line)
        process.wait()

    def _take(self, line: str) -> None:
        try:
            message = json.loads(line)
            kind = message["type"]
        except (ValueError, KeyError, TypeError):
            return self._log(line)
        if kind in ("hello", "result", "error", "end"):
            setattr(self._heard, kind, message)
        self._listen(message)
        return self._greet(message) if kind == "hello" else None

    def _greet(self, message: dict[str, Any]) -> None:
        spoken = message.get("protocol")
        if spoken != PROTOCOL:
            older = isinstance(spoken, int) and spoken < PROTOCOL
            told = _tr("The engine is geodetect {version} and speaks protocol {spoken}, this plugin speaks {own}.")
            raise EngineError(
                "protocol",
                told.format(version=message.get("geodetect"), spoken=spoken, own=PROTOCOL),
                _tr("Update the engine in the settings.") if older else _tr("Update the plugin."),
            )

    def _log(self, line: str) -> None:
        self._heard.log.append(line)
        self._listen({"type": "log", "message": line})

    def _answer(self, code: int | None) -> Answer:
        heard = self._heard
        if not heard.hello:
            said = next((line for line in reversed(heard.log) if line.strip()), _tr("it says nothing"))
            raise EngineError(
                "broken",
                _tr("geodetect does not start in {python} ({said}).").format(python=self._python, said=said),
                _tr("Repair the engine, or choose another Python, in the settings."),
                heard.tail,
            )
        if heard.error:
            message, _, hint = str(heard.error.get("message", "")).rpartition("; ")
            raise EngineError("failed", message or hint, hint if message else "", heard.tail)
        if heard.end.get("code") != 0:
            how = _tr("exit code {code}") if code is None or code >= 0 else _tr("signal {code}")
            told = _tr("The engine ended unexpectedly ({how}).")
            raise EngineError(
                "died",
                told.format(how=how.format(code=abs(code) if code is not None else code)),
                _tr("If memory was short, choose smaller tiles or fewer threads."),
                heard.tail,
            )
        return Answer(heard.result, str(heard.end.get("text", "")), heard.hello)


def _send(process: subprocess.Popen[bytes], message: dict[str, Any]) -> None:
    """Send a message; that the engine has gone is told by its pipes."""
    try:
        process.stdin.write(json.dumps(message).encode("utf-8") + b"\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
    except (OSError, ValueError):
        return


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave neither process nor pipe: ask, wait a little, kill; children too."""
    if process.poll() is None:
        _send(process, {"type": "cancel"})
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    kill_group(process)
    try:
        process.stdin.close()  # type: ignore[union-attr]
    except OSError:
        return  # a message that nobody took was in its buffer


def _tr(text: str) -> str:
    return translate("EngineProcess", text)
