"""How far a run is, in words, and how long it will still take."""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Callable

from qgis.PyQt.QtCore import QCoreApplication, QLocale

WINDOW = 20.0  # s that the speed is measured over: long enough for batches, short enough to follow a slower machine
LEAST = 1.5  # s of measuring before a time is told: an engine's first batch takes longer than the others
MEGABYTE = 1e6


class Pace:
    """The speed of a run, from its progress messages."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()  # (when, tiles done)
        self._total = 0

    def hear(self, message: dict[str, Any]) -> None:
        """Take note of a message of type progress."""
        if message["stage"] != "detect":
            self._seen.clear()
            return
        now, done = self._clock(), int(message["done"])
        self._total = int(message["total"])
        if not done:
            self._seen.clear()
        elif not self._seen or done > self._seen[-1][1]:
            self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > WINDOW:
            self._seen.popleft()

    def seconds_left(self) -> float | None:
        """Return how long the tiles that are left will take; None where it cannot be told yet, or none are left."""
        if len(self._seen) < 2 or self._seen[-1][1] >= self._total:
            return None
        (begun, first), (last, done) = self._seen[0], self._seen[-1]
        if last - begun < LEAST:
            return None
        left = (self._total - done) * (last - begun) / (done - first)
        return max(1.0, left - (self._clock() - last))


def progress_text(message: dict[str, Any], seconds_left: float | None) -> str:
    """Return one line such as "37 of 120 tiles, 214 found, 0:42 left"."""
    stage, done, total = message["stage"], int(message["done"]), int(message["total"])
    if stage == "detect":
        text = _tr("{done} of {total} tiles, {found} found").format(
            done=grouped(done), total=grouped(total), found=grouped(int(message.get("found", 0)))
        )
        return text if seconds_left is None else _tr("{text}, {time} left").format(text=text, time=span(seconds_left))
    if stage == "download":
        megabytes = [grouped(round(size / MEGABYTE)) for size in (done, total)]
        return _tr("Downloading the model, {done} of {total} MB").format(done=megabytes[0], total=megabytes[1])
    return {"merge": _tr("Merging…"), "write": _tr("Writing…")}.get(stage, _tr("Working…"))


def percent(message: dict[str, Any]) -> int:
    """Return how much of its stage is done, 0 to 100; -1 where the stage does not say."""
    if message["stage"] not in ("detect", "download") or not message["total"]:
        return -1
    return int(100 * message["done"] / message["total"])


def span(seconds: float) -> str:
    """Return seconds as 0:42, 12:05 or 1:02:05; rounded up to whole ones, for it is not over before."""
    whole = int(-(-seconds // 1))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def grouped(number: int) -> str:
    """Return a number as the user's language writes it."""
    return str(QLocale().toString(number))


def _tr(text: str) -> str:
    return QCoreApplication.translate("Pace", text)
