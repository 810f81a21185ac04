"""What the engine's job does, as it does it: progress, Cancel, log."""

from __future__ import annotations

from qgis.core import QgsApplication
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QFontDatabase
from qgis.PyQt.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ..core.installer import STEPS
from .engine_jobs import EngineJobs
from .state_line import StateLine

LONGEST = 5000  # lines of the log that are shown


class JobView(QWidget):
    """Shows a job while it runs and how it ended. Nothing is seen of it before the first."""

    def __init__(self, jobs: EngineJobs) -> None:
        super().__init__()
        self._jobs = jobs
        self.doing = QLabel()
        self.line = QLabel()
        self.bar = QProgressBar()
        self.cancel = QPushButton(self.tr("&Cancel"))
        self.outcome = StateLine()
        self.log = QPlainTextEdit()
        self.copy = QPushButton(self.tr("C&opy log"))
        self.folded = QgsCollapsibleGroupBox(self.tr("Log"))
        self._build()
        self.cancel.clicked.connect(self._cancel)
        self.copy.clicked.connect(self.copy_log)
        jobs.changed.connect(self._update)
        jobs.said.connect(self._say)
        self._reload()
        self._update()

    def copy_log(self) -> None:
        """Put the log on the clipboard."""
        QgsApplication.clipboard().setText("\n".join(self._jobs.log) + "\n")

    def _build(self) -> None:
        self.line.setEnabled(False)
        self.line.setTextFormat(Qt.TextFormat.PlainText)
        self.line.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.bar.setTextVisible(False)
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(LONGEST)
        self.log.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.log.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.log.setMinimumHeight(self.fontMetrics().height() * 8)
        self.copy.setToolTip(self.tr("Copy all of the log, to show it to somebody who can help"))
        self.folded.setSaveCollapsedState(False)
        self.folded.setCollapsed(True)
        progress = QHBoxLayout()
        progress.addWidget(self.bar, 1)
        progress.addWidget(self.cancel)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(self.copy)
        inside = QVBoxLayout(self.folded)
        inside.addWidget(self.log)
        inside.addLayout(buttons)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self.doing)
        box.addLayout(progress)
        box.addWidget(self.line)
        box.addWidget(self.outcome)
        box.addWidget(self.folded, 1)
        box.addStretch()

    def _reload(self) -> None:
        """Show a job that began before this did."""
        self.log.setPlainText("\n".join(self._jobs.log))
        self.line.setText("")

    def _update(self) -> None:
        jobs = self._jobs
        if jobs.busy and not jobs.log:
            self._reload()
            self.cancel.setEnabled(True)
        for widget in (self.doing, self.bar, self.cancel, self.line):
            widget.setVisible(bool(jobs.busy))
        self.folded.setVisible(bool(jobs.busy or jobs.log))
        self.doing.setText(self._doing())
        steps = jobs.step in STEPS
        self.bar.setRange(0, len(STEPS) if steps and jobs.step != "packages" else 0)
        self.bar.setValue(STEPS.index(jobs.step) if steps else 0)
        outcome = jobs.outcome
        self.outcome.setVisible(outcome is not None and bool(outcome.message))
        if outcome is not None:
            mood = {"failed": "bad", "cancelled": "note"}.get(outcome.kind, "good")
            self.outcome.say(mood, outcome.message, outcome.hint)

    def _doing(self) -> str:
        if self._jobs.busy == "remove":
            return self.tr("Removing…")
        if self._jobs.busy == "test":
            return self.tr("Testing: the engine looks for objects in a small image…")
        words = {
            "python": self.tr("looking for a Python"),
            "environment": self.tr("making the environment"),
            "packages": self.tr("fetching and installing packages, which may take some minutes"),
            "check": self.tr("trying it out"),
        }
        if self._jobs.step not in words:
            return self.tr("Installing…")
        message = self.tr("Step {number} of {count}: {doing}…")
        number = STEPS.index(self._jobs.step) + 1
        return message.format(number=number, count=len(STEPS), doing=words[self._jobs.step])

    def _say(self, line: str) -> None:
        self.log.appendPlainText(line)
        if not line.startswith("$ "):  # a command is for the log alone
            self.line.setText(line.strip())

    def _cancel(self) -> None:
        self.cancel.setEnabled(False)
        self.doing.setText(self.tr("Cancelling…"))
        self._jobs.cancel()
