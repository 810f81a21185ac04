"""Functions of many arguments in several processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from typing import Any

from geodetect.errors import TrainingError


class Workers(AbstractContextManager):
    """Processes that call a function, or this process where one is enough."""

    def __init__(self, count: int) -> None:
        self._count = count
        # a fresh process everywhere: a fork of one that has GDAL or MindSpore at work may hang
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(count, context, _start) if count > 1 else None

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def each(self, function: Callable, arguments: Sequence[tuple]) -> Iterator[tuple[int, Any]]:
        """Yield (index, result) of function(*arguments[index]) as they come.

        An error of the function is raised here.

        Raises:
            TrainingError: a process died.
        """
        if self._pool is None:
            for i, values in enumerate(arguments):
                yield i, function(*values)
            return
        waiting: dict[Any, int] = {}
        following = iter(enumerate(arguments))
        try:
            while True:
                while len(waiting) < 4 * self._count:  # few at once: a million jobs need not lie in a queue
                    job = next(following, None)
                    if job is None:
                        break
                    waiting[self._pool.submit(function, *job[1])] = job[0]
                if not waiting:
                    return
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), future.result()
        except BrokenProcessPool as error:
            raise TrainingError(
                "a worker process died, perhaps for want of memory; run the same command again to go on, "
                "with fewer --workers"
            ) from error


def _start() -> None:
    """Leave Ctrl-C to the parent, and end with it: a worker would wait for its queue for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
