"""Waiting in the window's thread for what is told by an event."""

from __future__ import annotations

import time
from typing import Callable

from qgis.PyQt.QtCore import QCoreApplication, QEventLoop

STEP = 0.02  # s between looks


def wait_until(happened: Callable[[], object], seconds: float) -> bool:
    """Wait so long for something, the user's clicks and keys aside; returns whether it happened.

    For the end of tasks too, instead of their `waitForFinished()`: that keeps Python's lock, and so a task of ours from
    ending.
    """
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            return False
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
        time.sleep(STEP)
    return True
