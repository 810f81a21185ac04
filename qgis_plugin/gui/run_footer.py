"""The run itself: Detect, how far it is, Cancel."""

from __future__ import annotations

import time
from typing import Any

from qgis.PyQt.QtCore import QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from .labels import sentence
from .pace import Pace, percent, progress_text, span
from .run import DetectRun, Outcome
from .run_panel import Request, RunPanel

TICK = 500  # ms between looks at the time left, which falls while no tile is done


class RunFooter(QWidget):
    """Starts, shows and stops runs, one at a time.

    Attributes:
        ended: an `Outcome` and the `Request` that led to it.
        running_changed: a run has begun or ended.
    """

    ended = pyqtSignal(object, object)
    running_changed = pyqtSignal()

    def __init__(self, panel: RunPanel) -> None:
        super().__init__()
        self._panel = panel
        self._run: DetectRun | None = None
        self._request: Request | None = None
        self._pace = Pace()
        self._last: dict[str, Any] = {}
        self._begun = 0.0
        self._cancelling = False
        self._said = ""  # of the last run, until the choices change
        self._tick = QTimer(self)
        self._tick.setInterval(TICK)
        self._tick.timeout.connect(self._show_progress)
        self._build()
        panel.changed.connect(self._choices_changed)
        self._show()

    @property
    def running(self) -> bool:
        """Whether a run goes on."""
        return self._run is not None

    def start(self) -> None:
        """Begin a run with the panel's choices, unless one goes on or something is amiss."""
        if self.running or self._panel.problem():
            self._show()
            return
        self._request = self._panel.request()
        self._pace, self._last, self._cancelling = Pace(), {}, False
        self._begun = time.monotonic()
        self._run = DetectRun(self._request.parameters)
        self._run.heard.connect(self._heard)
        self._run.ended.connect(self._ended)
        self._tick.start()
        self._show()
        self.running_changed.emit()
        self._run.start()

    def cancel(self) -> None:
        """Stop the run, if there is one."""
        if self._run is not None and not self._cancelling:
            self._cancelling = True
            self._show()
            self._run.cancel()

    def shutdown(self, seconds: float) -> None:
        """Stop the run and wait so long for its end; nothing is heard of it afterwards."""
        self._tick.stop()
        self._panel.changed.disconnect(self._choices_changed)
        run, self._run = self._run, None
        if run is not None:
            run.heard.disconnect(self._heard)
            run.ended.disconnect(self._ended)
            run.cancel()
            run.wait(seconds)

    # -- widgets ----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)  # macOS draws none; the line below tells more
        self.status = sentence()
        self.detect = QPushButton(self.tr("Detec&t"))
        self.detect.setDefault(True)
        self.detect.clicked.connect(self.start)
        self.stop = QPushButton(self.tr("Ca&ncel"))
        self.stop.setToolTip(self.tr("Stop at once; nothing is kept of the run"))
        self.stop.clicked.connect(self.cancel)
        row = QHBoxLayout()
        row.addStretch()
        row.addWidget(self.detect)
        row.addWidget(self.stop)
        box = QVBoxLayout(self)
        for part in (self.bar, self.status):
            box.addWidget(part)
        box.addLayout(row)

    def _show(self) -> None:
        """Bring buttons and texts in line with what goes on."""
        problem = "" if self.running else self._panel.problem()
        self.bar.setVisible(self.running)
        self.detect.setEnabled(not self.running and not problem)
        self.stop.setEnabled(self.running and not self._cancelling)
        self.stop.setVisible(self.running)
        if self.running:
            self._show_progress()
        else:
            self.status.setText(self._said or self._panel.hint())
        self.detect.setToolTip(problem or self.tr("Look for objects in the image (Ctrl+Return)"))
        self.status.setVisible(bool(self.status.text()))

    def _show_progress(self) -> None:
        part = percent(self._last) if self._last else -1
        self.bar.setRange(0, 100 if part >= 0 else 0)
        self.bar.setValue(max(0, part))
        if self._cancelling:
            text = self.tr("Cancelling…")
        elif not self._last:
            text = self.tr("Starting the engine…")
        else:
            text = progress_text(self._last, self._pace.seconds_left())
        self.status.setText(text)

    # -- what happens -----------------------------------------------------------------------------------------------

    def _choices_changed(self) -> None:
        self._said = ""
        if not self.running:
            self._show()

    def _heard(self, message: dict[str, Any]) -> None:
        self._last = message
        self._pace.hear(message)
        if self.running:
            self._show_progress()

    def _ended(self, outcome: Outcome) -> None:
        self._tick.stop()
        request, self._run, self._request = self._request, None, None
        self._said = {"cancelled": self.tr("Cancelled; nothing was kept."), "failed": outcome.message}.get(
            outcome.kind, self.tr("Done in {time}.").format(time=span(time.monotonic() - self._begun))
        )
        self._show()
        self.running_changed.emit()
        self.ended.emit(outcome, request)
