"""How a model is chosen in Processing's dialogs: its name from a list, or any folder; its licence stands below."""

from __future__ import annotations

import os
from typing import Any

from processing.gui.wrappers import DIALOG_STANDARD, WidgetWrapper
from qgis.gui import QgsGui
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from ..models import DEFAULT, licences


class ModelWidget(WidgetWrapper):
    """An editable list of models; in the model designer QGIS's own widget, which can take values from elsewhere."""

    def __new__(cls, parameter: Any, dialog: Any, *places: Any, **options: Any) -> Any:
        """Return a widget that suits the dialog."""
        if type(dialog).__name__ != "ModelerParametersDialog":
            return super().__new__(cls, parameter, dialog, *places, **options)
        registry = QgsGui.processingGuiRegistry()
        wrapper = registry.createModelerParameterWidget(dialog.model, dialog.childId, parameter, dialog.context)
        wrapper.setDialog(dialog)
        return wrapper

    def createWidget(self) -> QWidget:  # noqa: N802
        """Return the list, in a dialog of one run with a button and the licence."""
        self._combo = QComboBox()
        self._combo.setEditable(True)
        self._combo.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self._combo.addItems(list(licences()))
        self._licence = QLabel()
        self._licence.setWordWrap(True)
        self._combo.editTextChanged.connect(self._changed)
        if self.dialogType != DIALOG_STANDARD:
            return self._combo
        browse = QToolButton()
        browse.setText("…")
        browse.setToolTip(_tr("Choose a model's folder"))
        browse.clicked.connect(self._browse)
        whole, row = QWidget(), QHBoxLayout()
        row.addWidget(self._combo, 1)
        row.addWidget(browse)
        box = QVBoxLayout(whole)
        box.setContentsMargins(0, 0, 0, 0)
        box.addLayout(row)
        box.addWidget(self._licence)
        self._changed()
        return whole

    def setValue(self, value: Any) -> None:  # noqa: N802
        """Show a value."""
        self._combo.setEditText(str(value or DEFAULT))

    def value(self) -> str:
        """Return the name or folder."""
        return self._combo.currentText().strip() or DEFAULT

    def _changed(self, *_: Any) -> None:
        licence = licences().get(self.value(), "")
        self._licence.setText(_tr("Licence: {licence}").format(licence=licence))
        self._licence.setVisible(bool(licence))
        self.widgetValueHasChanged.emit(self)

    def _browse(self) -> None:
        before = self.value()
        start = before if os.path.isdir(before) else os.path.expanduser("~")
        folder = QFileDialog.getExistingDirectory(self._combo, _tr("A model's folder"), start)
        if folder:
            self.setValue(folder)


def _tr(text: str) -> str:
    return QCoreApplication.translate("ModelWidget", text)
