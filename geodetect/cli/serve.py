"""`geodetect serve`: one command, run for another program such as the QGIS plugin, JSON lines both ways."""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

import click

from geodetect import __version__
from geodetect.errors import Cancelled, ConfigError

PROTOCOL = 1
GRACE = 3.0  # s that a stopped command has to clean up after itself, when nobody is left who would kill it


@click.command(short_help="Run a command for another program, JSON lines both ways.")
def serve() -> None:
    """Run one command that another program sends, and tell it in JSON lines how it goes.

    \b
    stdin   {"type": "run", "protocol": 1, "words": ["detect", "scene.tif"]}
            {"type": "cancel"}
    stdout  {"type": "hello", "protocol": 1, "geodetect": "…", "python": "…", "pid": …}
            what the command prints with --progress json
            {"type": "error", "code": 3, "message": "…"} or {"type": "cancelled"}
            {"type": "end", "code": 0, "text": "…"}: exit code, and whatever was no JSON line

    The command also stops, children included, when stdin is closed: so it never outlives the program it works for.
    """
    with _messages() as messages:
        messages.send({"type": "hello", "protocol": PROTOCOL, "geodetect": __version__}
                      | {"python": platform.python_version(), "pid": os.getpid()})  # fmt: skip
        code = _run(messages)
        messages.send({"type": "end", "code": code, "text": messages.text})
    _leave(code)  # a normal exit would wait for an engine amid a batch, and for the thread that reads stdin


class _Messages(io.TextIOBase):
    """Stands for stdout: JSON objects with a type go out at once, line by line; other text is kept."""

    def __init__(self, out: io.TextIOBase) -> None:
        self._out = out
        self._line = ""
        self._lock = threading.Lock()
        self._kept: list[str] = []

    @property
    def text(self) -> str:
        """All that was printed and is no message."""
        return "".join([*self._kept, self._line])

    def writable(self) -> bool:
        """Return True, as streams for writing do."""
        return True

    def write(self, text: str) -> int:
        """Send the messages among the lines that are whole now."""
        with self._lock:
            *lines, self._line = (self._line + text).split("\n")
            for line in lines:
                if not self._is_message(line):
                    self._kept.append(line + "\n")
                else:
                    self._put(line)
        return len(text)

    def send(self, message: dict[str, Any]) -> None:
        """Send one message."""
        with self._lock:
            self._put(json.dumps(message))

    def _put(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # whoever listened has gone; the end of stdin tells so too
            self._out.write(line + "\n")
            self._out.flush()

    @staticmethod
    def _is_message(line: str) -> bool:
        if not line.startswith("{"):
            return False
        try:
            message = json.loads(line)
        except ValueError:
            return False
        return isinstance(message, dict) and isinstance(message.get("type"), str)


@contextlib.contextmanager
def _messages() -> Iterator[_Messages]:
    """Yield the way out. What libraries print to the file behind stdout goes to stderr, where it disturbs nobody."""
    before = sys.stdout
    before.flush()
    way_out = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(way_out, "w", encoding="utf-8", newline="\n") as out:
        sys.stdout = messages = _Messages(out)
        try:
            yield messages
        finally:
            sys.stdout = before


def _run(messages: _Messages) -> int:
    """Run the command that is asked for and return its exit code."""
    from geodetect.cli.main import cli

    asked = sys.stdin.buffer.readline()
    if not asked:
        return 0
    try:
        words = _words(asked)
    except ConfigError as error:
        messages.send({"type": "error", "code": error.exit_code, "message": str(error)})
        return error.exit_code
    threading.Thread(target=_listen, name="stdin", daemon=True).start()
    try:
        cli.main(words, told="json")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:  # a second one, while the first was told
        return Cancelled.exit_code


def _words(line: bytes) -> list[str]:
    try:
        request = json.loads(line)
        protocol, words = request["protocol"], request["words"]
    except (ValueError, KeyError, TypeError) as error:
        example = json.dumps({"type": "run", "protocol": PROTOCOL, "words": ["detect", "scene.tif"]})
        raise ConfigError(f"{line[:200]!r} is no request; send such as {example}") from error
    if protocol != PROTOCOL:
        said = f"protocol {protocol} is asked for, geodetect {__version__} speaks {PROTOCOL}"
        raise ConfigError(f"{said}; update the older of the two")
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise ConfigError(f"words is {words!r}; give a list of texts, the command first")
    return words


def _listen() -> None:
    """Interrupt the command when it is cancelled; end the process where that does not help and nobody listens."""
    for line in sys.stdin.buffer:
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            if json.loads(line).get("type") == "cancel":
                _interrupt()
    _interrupt()
    threading.Event().wait(GRACE)
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # workers that we started are in our group
    _leave(Cancelled.exit_code)


def _interrupt() -> None:
    """Raise KeyboardInterrupt in the main thread, even where it waits for something."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:  # Windows
        signal.raise_signal(signal.SIGINT)


def _leave(code: int) -> NoReturn:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)
