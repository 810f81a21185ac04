"""The first thing that a new user sees of the engine: what it is, how large, and one button."""

from __future__ import annotations

import os

import qgis.utils
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtGui import QIcon, QShowEvent
from qgis.PyQt.QtWidgets import QDialog, QDialogButtonBox, QFormLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ..about import icon_path
from ..core.folders import free_space
from ..core.installer import installed
from ..core.requirements import DOWNLOADS, SERIES
from ..settings import PYTHON, data_folder
from .engine_jobs import engine_jobs
from .install_choice import InstallChoice
from .job_view import JobView
from .options import PAGE
from .state_line import StateLine

WIDTH = 70  # letters of its text a line


class InstallDialog(QDialog):
    """Installs the private environment, or leads to the options where an existing Python is chosen.

    Show it by `show()`: it holds nothing up, and installing goes on when it is closed.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._jobs = engine_jobs()
        self.setWindowTitle(self.tr("Install GeoDetect's engine"))
        self.setWindowIcon(QIcon(icon_path("geodetect")))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.text = QLabel(
            self.tr(
                "GeoDetect finds objects with an engine, geodetect, which is a program of its own. It is installed "
                "into a private environment; QGIS's own Python is not touched."
            )
        )
        self.facts = QFormLayout()
        self.what, self.where, self.room, self.licence = QLabel(), QLabel(), QLabel(), QLabel()
        self.choice = InstallChoice()
        self.folded = QgsCollapsibleGroupBox(self.tr("Options"))
        self.why = StateLine()
        self.jobs = JobView(self._jobs)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.install = QPushButton()
        self.existing = QPushButton(self.tr("&Use an existing Python…"))
        self._build()
        self._connect()
        self._update()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Come up as high as the text is at this width, which is known once all has its place."""
        super().showEvent(event)
        QTimer.singleShot(0, self._fit)

    def _fit(self) -> None:
        self.resize(self.width(), self.layout().heightForWidth(self.width()))

    def _build(self) -> None:
        for label in (self.text, self.what, self.where, self.room, self.licence):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setMinimumWidth(self.fontMetrics().averageCharWidth() * WIDTH)
        self.where.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.what.setText(
            self.tr("geodetect {version}, OpenVINO, GDAL, and the model planes-ships-yolov3-tiny").format(
                version=SERIES
            )
        )
        self.licence.setText(
            self.tr(
                "geodetect is free software (MIT). The model that comes with it is for research and other "
                "non-commercial use only, with attribution."
            )
        )
        self.facts.addRow(self.tr("What"), self.what)
        self.facts.addRow(self.tr("Where"), self.where)
        self.facts.addRow(self.tr("Size"), self.room)
        self.facts.addRow(self.tr("Licence"), self.licence)
        self.facts.labelForField(self.licence).setAlignment(Qt.AlignmentFlag.AlignTop)  # it has two lines
        self.folded.setSaveCollapsedState(False)
        QVBoxLayout(self.folded).addWidget(self.choice)
        self.folded.setCollapsed(self.choice.source.currentIndex() == 0 and self.choice.extra.currentIndex() == 0)
        self.buttons.addButton(self.install, QDialogButtonBox.ButtonRole.ActionRole)
        self.buttons.addButton(self.existing, QDialogButtonBox.ButtonRole.ResetRole)
        box = QVBoxLayout(self)
        box.addWidget(self.text)
        box.addLayout(self.facts)
        box.addWidget(self.folded)
        box.addWidget(self.why)
        box.addWidget(self.jobs, 1)
        box.addWidget(self.buttons)

    def _connect(self) -> None:
        self.install.clicked.connect(lambda: self._jobs.install(self.choice.order()))
        self.existing.clicked.connect(self._open_options)
        self.buttons.rejected.connect(self.close)
        self.choice.changed.connect(self._update)
        self._jobs.changed.connect(self._update)

    def _update(self) -> None:
        idle, found, folder = not self._jobs.busy, installed(data_folder()), data_folder()
        self.where.setText(os.path.normpath(folder))
        size = self.choice.size()
        message = self.tr("about {size} MB, of which {download} MB are downloaded; {free} GB are free")
        free = f"{free_space(folder) / 1e9:.1f}"
        self.room.setText(message.format(size=size, download=round(size * DOWNLOADS), free=free))
        self.choice.setEnabled(idle)
        self.existing.setEnabled(idle)
        problem = self._problem()
        self.install.setEnabled(idle and not problem)
        self.install.setText(self.tr("&Repair or update") if found else self.tr("&Install"))
        self.install.setToolTip(problem)
        self.why.say("note", problem)
        self.why.setVisible(bool(problem))
        self.install.setDefault(found is None)
        self.buttons.button(QDialogButtonBox.StandardButton.Close).setDefault(found is not None)

    def _problem(self) -> str:
        """Return why nothing can be installed, "" where something can."""
        if not os.environ.get(PYTHON):
            return self.choice.problem()
        told = self.tr(
            "Nothing can be installed here: the environment variable {name} names the Python that is used, {python}."
        )
        return told.format(name=PYTHON, python=os.environ[PYTHON])

    def _open_options(self) -> None:
        iface = qgis.utils.iface
        self.close()
        if iface is not None:  # as in qgis_process and in tests
            iface.showOptionsDialog(iface.mainWindow(), PAGE)
