"""Choosing a model, and what it says of itself."""

from __future__ import annotations

import os

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..core.engine_process import EngineCancelled
from ..engine import engine_python
from ..models import DEFAULT, ModelInfo, model_info
from ..settings import recall, remember
from .background import Background
from .labels import sentence

ABSENT = "not downloaded"  # the state of a model that the first run fetches
FEW = 4  # classes that are named one by one
FAMILIES = {"yolov3": "YOLOv3", "yolov3-tiny": "YOLOv3-Tiny", "yolov4": "YOLOv4"}


class ModelBox(QWidget):
    """Chooses one of the engine's models, or a folder with one.

    Attributes:
        changed: another model is chosen, or more is known of it.
        refused: why a folder is not taken.
    """

    changed = pyqtSignal()
    refused = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, ModelInfo] = {}  # by name, or by folder
        self._asking = True  # until the models are told
        self._folder = recall("dock/model_folder", "")
        self._wanted = recall("dock/model", DEFAULT)  # chosen by the user, perhaps not there yet
        self._background = Background()
        self._background.answered.connect(self._take_folder)
        self._build()
        self.combo.currentIndexChanged.connect(lambda *_: self._chosen())
        self.other.clicked.connect(self._choose_folder)

    @property
    def value(self) -> str:
        """The model's name or folder, as the algorithm takes it; "" where none is known."""
        return str(self.combo.currentData() or "")

    @property
    def model(self) -> ModelInfo | None:
        """What is known of the chosen model."""
        return self._known.get(self.value)

    def set_models(self, models: list[ModelInfo]) -> None:
        """Offer these models, and the folder that was chosen before; the choice stays."""
        self._asking = False
        in_folder = self._known.get(self._folder)
        self._known = {model.name: model for model in models}
        self.combo.blockSignals(True)
        self.combo.clear()
        for model in models:
            self._add(model.name, model, model.name)
        self.combo.blockSignals(False)
        self._choose(self._wanted)
        if models and in_folder is not None:
            self._add_folder(self._folder, in_folder)
        elif models and self._folder:
            self._ask_for_folder(self._folder)

    def open_folder(self, folder: str) -> None:
        """Take the model in a folder, once the engine has looked at it."""
        self._folder = self._wanted = folder
        self._ask_for_folder(folder)

    def shutdown(self) -> None:
        """Ask nothing more."""
        self._background.stop(1.0)

    def _build(self) -> None:
        self.combo = QComboBox()
        self.combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.combo.setMinimumContentsLength(8)
        self.combo.setToolTip(self.tr("The model that finds the objects"))
        self.other = QToolButton()
        self.other.setText("…")
        self.other.setToolTip(self.tr("Other…: take a model from a folder, with its model.yaml and weights"))
        self.other.setAccessibleName(self.tr("Other model…"))
        self.about, self.licence = sentence(), sentence()
        for label in (self.about, self.licence):
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        row = QHBoxLayout()
        row.addWidget(self.combo, 1)
        row.addWidget(self.other)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addLayout(row)
        box.addWidget(self.about)
        box.addWidget(self.licence)
        self.setFocusProxy(self.combo)
        self._show()

    def _add(self, text: str, model: ModelInfo, data: str) -> None:
        self.combo.addItem(text, data)
        self.combo.setItemData(self.combo.count() - 1, self._tooltip(model), Qt.ItemDataRole.ToolTipRole)

    def _add_folder(self, folder: str, model: ModelInfo) -> None:
        """Offer the model in a folder too, and choose it where it is wanted."""
        self._known[folder] = model
        if self.combo.findData(folder) < 0:
            place = os.path.basename(os.path.normpath(folder))
            self._add(place if place == model.name else f"{model.name} ({place})", model, folder)
        if self._wanted == folder:
            self._choose(folder)

    def _choose(self, value: str) -> None:
        """Choose a model, or the default in its place, without taking that for the user's choice."""
        row = self.combo.findData(value)
        self.combo.blockSignals(True)
        self.combo.setCurrentIndex(row if row >= 0 else self.combo.findData(DEFAULT))
        self.combo.blockSignals(False)
        self._show()

    def _chosen(self) -> None:
        self._wanted = self.value
        remember("dock/model", self._wanted)
        self._show()

    def _show(self) -> None:
        model = self.model
        self.about.setText(self._about(model) if model else self.tr("Asking the engine…") if self._asking else "")
        self.about.setVisible(bool(self.about.text()))
        self.about.setToolTip(self._tooltip(model) if model else "")
        self.licence.setText(model.licence if model else "")
        self.licence.setToolTip(model.attribution if model else "")
        self.licence.setVisible(bool(model and model.licence))
        self.changed.emit()

    def _about(self, model: ModelInfo) -> str:
        """Return such as "YOLOv3-Tiny · plane, ship · 0.3–3 m/px"."""
        many = self.tr("{number} classes").format(number=len(model.classes))
        told = [FAMILIES.get(model.family, model.family)]
        told.append(", ".join(model.classes) if len(model.classes) <= FEW else many)
        if model.gsd:
            told.append(f"{model.gsd[0]:g}–\N{WORD JOINER}{model.gsd[1]:g}\N{NO-BREAK SPACE}m/\N{WORD JOINER}px")
        if model.state == ABSENT and model.size:
            told.append(self.tr("{size} MB are downloaded first").format(size=round(model.size / 1e6)))
        return " · ".join(part for part in told if part)

    def _tooltip(self, model: ModelInfo) -> str:
        lines = [f"{model.name} {model.version}".strip(), model.summary, ", ".join(model.classes)]
        if model.limitations:
            lines.append(self.tr("Limits: {text}").format(text=model.limitations))
        if model.licence:
            lines.append(self.tr("Licence: {text}").format(text=model.licence))
        return "\n".join(line for line in lines if line)

    def _choose_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self.tr("Folder of a model package"), self._folder)
        if folder:
            self.open_folder(folder)

    def _ask_for_folder(self, folder: str) -> None:
        python = engine_python()
        self._background.start(lambda is_cancelled: (folder, _ask(python, folder, is_cancelled)))

    def _take_folder(self, answer: object) -> None:
        folder, model = answer if isinstance(answer, tuple) else (self._folder, answer)
        if isinstance(model, ModelInfo):
            remember("dock/model_folder", folder)
            self._add_folder(folder, model)
            if self._wanted == folder:
                remember("dock/model", folder)
            return
        self._folder = ""
        remember("dock/model_folder", "")
        if self._wanted == folder:
            self._chosen()  # what was chosen before
        if not isinstance(model, EngineCancelled):
            self.refused.emit(self.tr("{folder} cannot be used as a model: {why}").format(folder=folder, why=model))


def _ask(python: str, folder: str, is_cancelled) -> ModelInfo | Exception:
    try:
        return model_info(python, folder, is_cancelled)
    except Exception as error:  # told to the user as it is; the thread has nobody else to tell
        return error
