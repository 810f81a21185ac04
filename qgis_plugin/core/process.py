"""Processes of our own: started in a group, ended with all their children, followed line by line."""

from __future__ import annotations

import os
import queue
import signal
import subprocess  # nosec B404
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Callable

from .environment import clean_environment

POLL = 0.05  # s between looks at whether the user has cancelled
STRAGGLERS = 1.0  # s that pipes may stay open after a process's end, held by one that it left behind
DYING = 0.3  # s that killed children may take to be gone, so that none still writes into a folder that is deleted


class Cancelled(Exception):  # noqa: N818 - it is no error
    """The user stopped it; no process of it is left."""


def start(command: Sequence[str], **pipes: Any) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, in an environment without QGIS's libraries.

    Args:
        command: program and arguments; no shell reads them.
        pipes: stdin, stdout, stderr, env of `subprocess.Popen`.

    Raises:
        OSError: it cannot be started.
    """
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    home = os.path.expanduser("~")  # not where QGIS happens to be, which may be a folder that is to be removed
    settings = {"env": clean_environment(), "cwd": home if os.path.isdir(home) else None, **apart, **pipes}
    return subprocess.Popen(list(command), **settings)  # nosec B603


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the process, where it lives, and the children that it has or left; wait for its end."""
    if sys.platform == "win32":
        if process.poll() is None:  # pragma: no cover
            system = os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe")
            subprocess.run(  # nosec B603
                [system, "/T", "/F", "/PID", str(process.pid)],
                capture_output=True,
                check=False,
                creationflags=subprocess.CREATE_NO_WINDOW,
            )
    else:
        _signal_group(process.pid, signal.SIGKILL)
    process.wait()
    end = time.monotonic() + DYING  # the children are nobody's now who could wait for them
    while time.monotonic() < end and _signal_group(process.pid, 0):
        time.sleep(0.005)


def _signal_group(leader: int, number: int) -> bool:
    """Send a signal, 0 for none, to a group; return whether there is one. Windows has neither."""
    if sys.platform == "win32":
        return False
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        return False
    return True


def follow(
    command: Sequence[str],
    listen: Callable[[str], None] = lambda line: None,
    is_cancelled: Callable[[], bool] = lambda: False,
    environment: Mapping[str, str] | None = None,
    limit: float = float("inf"),
) -> int:
    """Run a program to its end and return its exit code; its stdin stays open until then.

    Args:
        command: program and arguments.
        listen: gets each line that it prints to stdout or stderr, in the calling thread.
        is_cancelled: asked twenty times a second.
        environment: variables in place of `clean_environment()`.
        limit: s that it may take; then it is killed.

    Raises:
        Cancelled: `is_cancelled` said so.
        OSError: it cannot be started.
    """
    variables = dict(clean_environment() if environment is None else environment)
    pipe = subprocess.PIPE
    process = start(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, env=variables)
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_pump, args=(process.stdout, lines), name="geodetect-lines", daemon=True).start()
    try:
        for line in _taken(lines, process, is_cancelled, time.monotonic() + limit):
            listen(line)
    finally:
        kill_group(process)
        process.stdin.close()  # type: ignore[union-attr]
    return process.returncode


def _pump(stream: Any, lines: queue.Queue[str | None]) -> None:
    with stream:
        for line in stream:
            lines.put(line.decode("utf-8", "replace").rstrip("\r\n"))
    lines.put(None)


def _taken(
    lines: queue.Queue[str | None], process: subprocess.Popen[bytes], is_cancelled: Callable[[], bool], until: float
) -> Iterator[str]:
    """Yield lines until the process has ended and its pipe is closed, or its time is over."""
    closed, ended = False, float("inf")
    while time.monotonic() < min(until, ended + STRAGGLERS):
        if is_cancelled():
            raise Cancelled
        try:
            line = lines.get(timeout=POLL)
        except queue.Empty:
            line = ""
            if process.poll() is not None:
                ended = min(ended, time.monotonic())
        else:
            if line is not None:
                yield line
        closed = closed or line is None
        if closed and process.poll() is not None:
            return
