"""Processes on this machine that work on scenes. One that dies takes nothing with it but what it was doing."""

from __future__ import annotations

import _thread
import contextlib
import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from geodetect.engines import usable_cores
from geodetect.networks.graphs import expected_shapes
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

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._context = multiprocessing.get_context("spawn")
        self._free: list[_Slot] = [_Slot(self._context) for _ in range(slots)]
        self._busy: dict[Future, _Slot] = {}

    def submit(self, work: Callable[..., Any], *words: Any) -> Future:
        """Start work; there must be a free slot. The result raises `Lost` where the worker died."""
        slot, told = self._free.pop(), Future()  # type: ignore[var-annotated]
        try:
            running = slot.executor.submit(_do, work, *words)
        except BrokenProcessPool:  # it died while it had nothing to do
            slot.stop()
            slot = _Slot(self._context)
            running = slot.executor.submit(_do, work, *words)
        self._busy[told] = slot
        running.add_done_callback(lambda ended: self._ended(told, ended))
        return told

    def _ended(self, told: Future, ended: Future) -> None:
        """Free the slot, with a new process where the old one died; called from an executor's thread."""
        slot = self._busy.pop(told)
        error = ended.exception() if not ended.cancelled() else Lost()
        if isinstance(error, BrokenProcessPool):
            slot.stop()
            slot = _Slot(self._context)
        self._free.append(slot)
        if error is None:
            told.set_result(ended.result())
        elif isinstance(error, Exception) and not isinstance(error, BrokenProcessPool):
            told.set_exception(error)
        else:
            told.set_exception(Lost("its process was killed, perhaps because the machine had no memory left"))

    def close(self) -> None:
        """Stop all processes, within a few seconds where they are at work."""
        for slot in (*self._free, *self._busy.values()):
            slot.stop()


class _Slot:
    """One worker process and the line that keeps it alive."""

    def __init__(self, context: multiprocessing.context.SpawnContext) -> None:
        theirs, self._line = context.Pipe(duplex=False)
        self.executor = ProcessPoolExecutor(1, context, _begin, (theirs,))

    def stop(self) -> None:
        self._line.close()
        self.executor.shutdown(wait=False, cancel_futures=True)


def local_slots(package: ModelPackage, scenes: int) -> int:
    """Return how many workers this machine has cores and free memory for, at least one."""
    import psutil

    free = psutil.virtual_memory().available
    with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit: "max"
        free = min(free, int((_CGROUP / "memory.max").read_text()) - int((_CGROUP / "memory.current").read_text()))
    shapes = expected_shapes(package.card.network.family, len(package.card.classes))
    each = _WORKER + _COPIES * 4 * sum(math.prod(shape) for shape in shapes.values())
    return max(1, min(usable_cores(), free // each, scenes))


def _begin(line: Connection) -> None:
    """Make a fresh process a worker: Ctrl-C is its parent's affair, and it ends when its line is cut."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_watch, args=(line,), daemon=True).start()


def _do(work: Callable[..., Any], *words: Any) -> Any:
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
    raise KeyboardInterrupt
