"""Plays a story inside QGIS: a generator that has a turn every few milliseconds, between QGIS's own events.

So a story waits without holding anything up, goes on while a modal dialog is open, and notices when QGIS freezes.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import qgis.utils
from qgis.core import Qgis, QgsApplication
from qgis.PyQt.QtCore import QObject, QRect, QTimer
from qgis.PyQt.QtWidgets import QApplication, QWidget

Story = Generator[None, None, Any]

TURN = 15  # ms
BESIDE = (150, 840)  # of the screen: below the layers, where the pointer covers nothing and brings up no tool tip
SETTLE = 0.15  # s that the screen needs to be painted


class StuckError(Exception):
    """What was waited for did not come."""


class Report:
    """What was seen, in a file from the start, so that it can be read of a QGIS that has crashed too."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begun = time.monotonic()
        self.seen: dict[str, Any] = {"steps": [], "facts": {}, "errors": [], "failure": ""}

    def step(self, text: str) -> None:
        """Note what is done next."""
        self.seen["steps"].append(f"{time.monotonic() - self._begun:.2f} s: {text}")
        self.write()

    def fact(self, name: str, value: Any) -> None:
        """Note what a test asks for."""
        self.seen["facts"][name] = value
        self.write()

    def write(self) -> None:
        """Write it all, at once or not at all."""
        beside = self._path.with_suffix(".part")
        beside.write_text(json.dumps(self.seen, indent=1, ensure_ascii=False), "utf-8")
        beside.replace(self._path)


class Player(QObject):
    """Gives a story its turns.

    Attributes:
        report: what it has seen.
    """

    def __init__(self, story: Callable[[Player], Story]) -> None:
        super().__init__()
        self.report = Report(Path(os.environ["GEODETECT_REPORT"]))
        self._pictures = Path(os.environ["GEODETECT_SCREENSHOTS"])
        self._story = story(self)
        self._inside = False
        self._timer = QTimer(self)
        self._timer.setInterval(TURN)
        self._timer.timeout.connect(self._turn)
        QgsApplication.messageLog().messageReceived[str, str, Qgis.MessageLevel].connect(self._heard)

    def start(self) -> None:
        """Begin, once QGIS has come up."""
        self._timer.start()

    # -- for stories ------------------------------------------------------------------------------------------------

    def until(self, happened: Callable[[], Any], seconds: float, what: str) -> Story:
        """Wait for something and return it; StuckError where it takes longer."""
        end = time.monotonic() + seconds
        while True:
            value = happened()
            if value:
                return value
            if time.monotonic() > end:
                raise StuckError(f"{what}: not within {seconds:g} s")
            yield

    def rest(self, seconds: float) -> Story:
        """Wait."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            yield

    def picture(self, name: str, window: QWidget | None = None) -> Story:
        """Keep what the screen shows, once the map is drawn; what of it a window takes also by itself."""
        canvas = qgis.utils.iface.mapCanvas()
        yield from self.rest(SETTLE)
        yield from self.until(lambda: not canvas.isDrawing(), 30, "the map is drawn")
        yield from self.rest(SETTLE)
        self.shoot(name)
        if window is not None:
            self.shoot(f"{name}-window", window.frameGeometry())

    def shoot(self, name: str, part: QRect | None = None) -> None:
        """Keep what the screen shows, at once."""
        screen = QApplication.primaryScreen().grabWindow(0)
        (screen.copy(part) if part is not None else screen).save(str(self._pictures / f"{name}.png"))

    # -- behind it --------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        if self._inside:  # a step runs an event loop of its own
            return
        self._inside = True
        try:
            next(self._story)
        except StopIteration:
            self._timer.stop()
        except BaseException:  # whatever it is, the test is to be told
            self._give_up(traceback.format_exc())
        finally:
            self._inside = False

    def _give_up(self, why: str) -> None:
        """Leave at once: nobody is there to answer what QGIS might ask."""
        self.report.seen["failure"] = why
        self.report.write()
        self.shoot("failure")
        os._exit(1)

    def _heard(self, text: str, tag: str, level: Qgis.MessageLevel) -> None:
        if level == Qgis.MessageLevel.Critical or "Traceback" in text:
            self.report.seen["errors"].append(f"{tag}: {text}")
            self.report.write()


class Latency(QObject):
    """How long events had to wait for their turn while this was switched on, s."""

    STEP = 10  # ms

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._last = self._begun = 0.0
        self._when = 0.0  # the longest came to its end
        self._timer = QTimer(self)
        self._timer.setInterval(self.STEP)
        self._timer.timeout.connect(self._tick)

    def start(self) -> None:
        """Begin to measure, or go on."""
        self._last = time.monotonic()
        self._begun = self._begun or self._last
        self._timer.start()

    def stop(self) -> None:
        """Do not count what comes now, such as a picture, which the story takes and no analyst."""
        self._timer.stop()

    def figures(self) -> dict[str, float]:
        """Return the longest wait and those that one in two and one in a hundred are longer than."""
        waits = sorted(self.waits) or [float("inf")]
        return {
            "count": len(self.waits),
            "median": round(waits[len(waits) // 2], 4),
            "p99": round(waits[len(waits) * 99 // 100], 4),
            "worst": round(waits[-1], 4),
            "worst at": round(self._when, 1),
        }

    def _tick(self) -> None:
        now = time.monotonic()
        if now - self._last > max(self.waits, default=0.0):
            self._when = now - self._begun
        self.waits.append(now - self._last)
        self._last = now
