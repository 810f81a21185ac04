"""Stopping between two steps: a Ctrl-C within one would leave weights that belong to no step."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether the user asked to stop."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, *_: Any) -> None:
        """Receive a signal; the second one ends the run where it is."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        # not through any stream of Python's, whose lock the interrupted code may hold
        os.write(2, b"\nStopping after this step; once more stops at once.\n")

    def listen(self) -> None:
        """Take the signals; to be called again where a library may have taken them."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                signal.signal(number, self)


@contextlib.contextmanager
def stopping() -> Iterator[Stop]:
    """Yield a value that tells, while the block runs, whether Ctrl-C or a request to terminate has come."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    stop.listen()
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
