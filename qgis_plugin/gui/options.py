"""GeoDetect's page in QGIS's options: which engine, and how it is."""

from __future__ import annotations

import os
from typing import Any

from qgis.gui import QgsFileWidget, QgsOptionsPageWidget, QgsOptionsWidgetFactory
from qgis.PyQt.QtCore import QCoreApplication, Qt, QTimer
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QGroupBox, QHBoxLayout, QLabel, QPushButton, QRadioButton, QVBoxLayout, QWidget

from ..about import icon_path
from ..core.installer import Installed, installed
from ..core.pythons import python_in
from ..engine import CHOSEN, EngineState, engine_state, known_state
from ..settings import PYTHON, data_folder, recall, remember
from .background import Background
from .engine_jobs import engine_jobs
from .install_choice import InstallChoice
from .job_view import JobView
from .state_line import StateLine

PAGE = "GeoDetectOptions"  # for `iface.showOptionsDialog(parent, PAGE)`
SURE = 4000  # ms that Remove waits for its second click
TYPING = 500  # ms without a key until a path counts as typed


class OptionsFactory(QgsOptionsWidgetFactory):
    """Makes the page when QGIS's options are opened."""

    def __init__(self) -> None:
        super().__init__(QCoreApplication.translate("OptionsPage", "GeoDetect"), QIcon(icon_path("geodetect")))

    def createWidget(self, parent: QWidget | None) -> OptionsPage:  # noqa: N802
        """Return a new page."""
        return OptionsPage(parent)


class OptionsPage(QgsOptionsPageWidget):
    """Chooses the engine's Python; installs, tests and removes the private one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(PAGE)
        self._jobs = engine_jobs()
        self._background = Background()
        self._asked = ""  # the Python whose state is awaited
        self._make()
        self._build()
        self._restore()
        self._connect()
        self._update()

    def apply(self) -> None:
        """Keep the choice; called when the options are closed with OK."""
        if self._by_variable:
            return
        before = recall(CHOSEN, "")
        remember(CHOSEN, self._existing() if self.existing.isChecked() else "")
        if recall(CHOSEN, "") != before:
            self._jobs.engine_changed.emit()

    def shown_python(self) -> str:
        """Return the Python of the choice as it stands on the page."""
        if self._by_variable:
            return self._by_variable
        if self.existing.isChecked():
            return self._existing()
        found = installed(data_folder())
        return found.python if found else ""

    def _make(self) -> None:
        self._by_variable = os.environ.get(PYTHON, "")
        self.state = StateLine()
        self.test = QPushButton(self.tr("&Test"))
        self.test.setToolTip(self.tr("Show versions and device, and try the engine on a small image"))
        self.private = QRadioButton(self.tr("Private &environment"))
        self.where = QLabel()
        self.where.setWordWrap(True)
        self.where.setTextFormat(Qt.TextFormat.PlainText)
        self.choice = InstallChoice()
        self.install = QPushButton()
        self.remove = QPushButton()
        self.existing = QRadioButton(self.tr("E&xisting Python"))
        self.path = QgsFileWidget()
        self.path.setDialogTitle(self.tr("Python with geodetect"))
        self.path.lineEdit().setPlaceholderText(self.tr("python of an environment with geodetect in it"))
        self.jobs = JobView(self._jobs)
        self._sure = QTimer(self)
        self._sure.setSingleShot(True)
        self._typed = QTimer(self)
        self._typed.setSingleShot(True)

    def _build(self) -> None:
        state = QHBoxLayout()
        state.addWidget(self.state, 1)
        state.addWidget(self.test)
        buttons = QHBoxLayout()
        for button in (self.install, self.remove):
            buttons.addWidget(button)
        buttons.addStretch()
        below = QVBoxLayout()
        below.setContentsMargins(self.fontMetrics().height() + 6, 0, 0, 6)
        below.addWidget(self.where)
        below.addWidget(self.choice)
        below.addLayout(buttons)
        path = QHBoxLayout()
        path.setContentsMargins(self.fontMetrics().height() + 6, 0, 0, 0)
        path.addWidget(self.path)
        self.group = QGroupBox(self.tr("Engine"))
        inside = QVBoxLayout(self.group)
        inside.addWidget(self.private)
        inside.addLayout(below)
        inside.addWidget(self.existing)
        inside.addLayout(path)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addLayout(state)
        box.addWidget(self.group)
        box.addWidget(self.jobs, 1)
        box.addStretch()

    def _restore(self) -> None:
        chosen = recall(CHOSEN, "")
        self.path.setFilePath(chosen)
        (self.existing if chosen else self.private).setChecked(True)

    def _connect(self) -> None:
        self.private.toggled.connect(self._update)
        self.path.fileChanged.connect(lambda _: self._typed.start(TYPING))
        self._typed.timeout.connect(self._update)
        self.choice.changed.connect(self._update)
        self.test.clicked.connect(lambda: self._jobs.test(self.shown_python()))
        self.install.clicked.connect(lambda: self._jobs.install(self.choice.order()))
        self.remove.clicked.connect(self._remove)
        self._sure.timeout.connect(self._update)
        self._jobs.changed.connect(self._update)
        self._jobs.engine_changed.connect(self._engine_changed)
        self._background.answered.connect(self._show_state)

    def _engine_changed(self) -> None:
        if self._jobs.outcome is not None and self._jobs.outcome.kind == "installed":
            self.private.setChecked(True)  # as the setting is now
        self._update()

    def _existing(self) -> str:
        return python_in(self.path.filePath().strip())

    def _remove(self) -> None:
        """Ask on the button itself whether it is meant."""
        if self._sure.isActive():
            self._sure.stop()
            self._jobs.remove(data_folder())
        else:
            self._sure.start(SURE)
            self.remove.setText(self.tr("Click again to remove"))

    def _update(self, *_: Any) -> None:
        """Show what is there, and offer what can be done."""
        found = installed(data_folder())
        idle, private = not self._jobs.busy, self.private.isChecked()
        self.group.setEnabled(not self._by_variable)
        for widget in (self.private, self.existing):
            widget.setEnabled(idle)
        self.path.setEnabled(idle and not private)
        self.choice.setEnabled(idle and private)
        self.where.setEnabled(private)
        self.where.setText(self._where(found))
        self.install.setText(self.tr("&Repair or update") if found else self.tr("&Install"))
        self.install.setEnabled(idle and private and not self.choice.problem())
        self.install.setToolTip(self.choice.problem() or self.tr("Make the environment again; nothing else is changed"))
        self.remove.setEnabled(idle and private and found is not None)
        if not self._sure.isActive():
            self.remove.setText(self.tr("Re&move"))
        self.test.setEnabled(idle and bool(self.shown_python()))
        if idle:
            self._ask_state()

    def _where(self, found: Installed | None) -> str:
        if found is None:
            message = self.tr("Will be made in {folder} and take about {size} MB. QGIS's own Python is not touched.")
            return message.format(folder=data_folder(), size=self.choice.size())
        message = self.tr("In {folder}, {size} MB, made {day} by {maker}.")
        size, day = round(found.bytes / 1e6), found.made[:10]
        return message.format(folder=data_folder(), size=size, day=day, maker=found.maker)

    def _ask_state(self) -> None:
        """Show the engine's state; where it is not known, ask for it."""
        python = self.shown_python()
        state = known_state(python)
        if state is not None:
            self._background.stop()
            self._show_state(state)
            return
        if self._background.busy and self._asked == python:
            return
        self._asked = python
        self.state.say("note", self.tr("Looking at {python}…").format(python=python))
        self._background.start(lambda is_cancelled: engine_state(python, is_cancelled))

    def _show_state(self, state: object) -> None:
        by = self.tr("Set by the environment variable {name}.").format(name=PYTHON) if self._by_variable else ""
        python = self.shown_python()
        if not isinstance(state, EngineState):  # asking failed in a way that nobody thought of
            self.state.say("bad", str(state), python, by)
        elif state.ready:
            ready = self.tr("Ready: geodetect {version}").format(version=state.version)
            self.state.say("good", ready, python, by)
        elif not python:
            hint = self.tr("Choose its Python below.") if self.existing.isChecked() else self.tr("Install it below.")
            self.state.say("bad", self.tr("There is no engine yet."), hint)
        else:
            self.state.say("bad", state.message, state.hint, by)
