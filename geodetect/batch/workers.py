"""Processes on this machine that work on scenes. One that dies takes nothing with it but what it was doing."""

from __future__ import annotations

import _thread
import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any

from geodetect.engines import usable_cores
from geodetect.networks.graphs import shapes_of
from geodetect.package import ModelPackage

_GRACE = 2.0  # s in which a worker that is stopped may clear up what it was writing
_WORKER = 600 << 20  # bytes of memory that a worker takes besides its network: a process of some size of scene
_CGROUP = Path("/sys/fs/cgroup")
_COPIES = 3  # of the network's parameters, float32, while it is made ready
_amid = threading.Event()  # in a worker: it is at work


class Lost(Exception):  # noqa: N818 - an event of a worker, not an error of geodetect's
    """The worker died amid its work."""


class LocalWorkers:
    """A process a slot, each with an executor of its own, so that it is known what died with which. Close it.

    The processes live as long as this one: when it is killed they end.

    Attributes:
        slots: how many jobs can be worked on at once.
    """

    patience = 0.0  # s; workers of an earlier run end with it

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._starter = ThreadPoolExecutor(1, "starter")
        self._free: list[_Slot] = []
        self._busy: dict[Future, _Slot] = {}

    def threads(self, tasks: int) -> int:
        """Return how many cores each of so many tasks may take."""
        return max(1, usable_cores() // min(self.slots, tasks))

    def submit(self, work: Callable[..., Any], *words: Any) -> Future:
        """Start work, in a new process where none is free. The result raises `Lost` where the worker died."""
        told: Future = Future()
        self._starter.submit(self._start, told, work, *words).result()
        return told

    def _start(self, told: Future, work: Callable[..., Any], *words: Any) -> None:
        """Give a worker its work; in a thread of its own, so that a Ctrl-C leaves no process half started."""
        slot = self._busy[told] = self._spare()
        _turn_deaf()
        try:
            running = slot.executor.submit(_do, work, *words)
        except (OSError, RuntimeError, MemoryError) as error:  # of a machine at its limits
            self._busy.pop(told).end()
            told.set_exception(Lost(f"no process could be started ({error})"))
        else:
            running.add_done_callback(lambda ended: self._ended(told, ended))

    def _spare(self) -> _Slot:
        """Return a worker that has nothing to do, and did not die meanwhile; a new one where there is none."""
        while self._free:
            slot = self._free.pop()
            if slot.lives:
                return slot
            slot.end()
        return _Slot()

    def _ended(self, told: Future, ended: Future) -> None:
        """Free the worker, or forget it where it died; called from an executor's thread."""
        slot = self._busy[told]
        error = ended.exception() if not ended.cancelled() else Lost()
        if isinstance(error, BrokenProcessPool):
            slot.end()
        else:
            self._free.append(slot)
        del self._busy[told]  # at last: `close` looks for it there or there
        if error is None:
            told.set_result(ended.result())
        elif isinstance(error, Exception) and not isinstance(error, BrokenProcessPool):
            told.set_exception(error)
        else:
            told.set_exception(Lost("its process was killed, perhaps because the machine had no memory left"))

    def close(self) -> None:
        """Stop all processes, and wait for their end: a few seconds where they are at work."""
        self._starter.shutdown()
        slots = {*self._busy.values(), *self._free}
        for slot in slots:
            slot.end()
        for slot in slots:
            slot.executor.shutdown(cancel_futures=True)


class _Slot:
    """One worker process and the line that keeps it alive."""

    def __init__(self) -> None:
        self._context = _Context()
        theirs, self._line = self._context.Pipe(duplex=False)
        self.executor = ProcessPoolExecutor(1, self._context, _begin, (theirs,))

    @property
    def lives(self) -> bool:
        """Whether its process, which is started with its first work, has not ended."""
        process = self._context.process
        return process is not None and process.is_alive()

    def end(self) -> None:
        """Have the process end, at once where it is not at work."""
        process = self._context.process
        if process is not None and process.pid is not None and os.name == "posix":  # elsewhere it could not clear up
            process.terminate()
        self._line.close()


class _Context(SpawnContext):
    """Keeps the process that an executor starts: it does not watch its line while it starts."""

    process: SpawnProcess | None = None

    def Process(self, *words: Any, **named: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        self.process = SpawnProcess(*words, **named)
        return self.process


def local_slots(package: ModelPackage) -> int:
    """Return how many workers this machine has cores and free memory for, at least one."""
    shapes = shapes_of(package.card)
    each = _WORKER + _COPIES * 4 * sum(math.prod(shape) for shape in shapes.values())
    return max(1, min(usable_cores(), _free_memory() // each))


def _free_memory() -> int:
    """Return the bytes that the machine has left, or the container: what that keeps of files it has left, too."""
    import psutil

    machine = free = psutil.virtual_memory().available
    with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit: "max"
        limit, used = (int((_CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        free = min(machine, limit - used)
        kept = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        free = min(machine, limit - used + int(kept.get("inactive_file", 0)))
    return free


def _turn_deaf() -> None:
    """Keep Ctrl-C from this thread and from the processes that it starts, which inherit that: it is our affair alone.

    Python's own `multiprocessing` makes a thread hear again when it begins, so this is said before each start.
    """
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _begin(line: Connection) -> None:
    """Make a fresh process a worker: Ctrl-C is its parent's affair, and it ends when its line is cut."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_watch, args=(line,), daemon=True).start()


def _do(work: Callable[..., Any], *words: Any) -> Any:
    signal.signal(signal.SIGTERM, _stop)
    _amid.set()
    try:
        return work(*words)
    finally:
        _amid.clear()


def _watch(line: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        line.recv()
    if _amid.is_set():
        _thread.interrupt_main(signal.SIGTERM)
        time.sleep(_GRACE)
    os._exit(1)


def _stop(*_: Any) -> None:
    if not _amid.is_set():
        os._exit(1)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: what clears up is not to be stopped
    raise KeyboardInterrupt
