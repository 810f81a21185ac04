"""The engine's state, where it is not ready to work."""

from __future__ import annotations

from typing import Callable

from qgis.PyQt.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QStyle, QVBoxLayout

from ..engine import EngineState, engine_python
from .labels import sentence


class EngineBanner(QFrame):
    """One sentence and one button, seen only while the engine cannot be used."""

    def __init__(self, install: Callable[[], None]) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.icon = QLabel()
        self.text = sentence()
        self.install = QPushButton(self.tr("&Install the engine…"))
        self.install.setToolTip(self.tr("Nothing is installed before you say so"))
        self.install.clicked.connect(lambda: install())
        row = QHBoxLayout()
        row.addWidget(self.icon)
        row.addWidget(self.text, 1)
        box = QVBoxLayout(self)
        box.addLayout(row)
        box.addWidget(self.install)
        self.hide()

    def show_state(self, state: EngineState | None) -> None:
        """Show a state; None is not known yet, and nothing to speak of."""
        self.setVisible(state is not None and not state.ready)
        if state is None or state.ready:
            return
        size, new = self.fontMetrics().height() * 2, not engine_python()  # whether there never was one
        signs = QStyle.StandardPixmap
        icon = self.style().standardIcon(signs.SP_MessageBoxInformation if new else signs.SP_MessageBoxWarning)
        self.icon.setPixmap(icon.pixmap(size, size))
        missing = self.tr("GeoDetect looks for objects with an engine that is not installed yet.")
        self.text.setText(missing if new else f"{state.message} {state.hint}".strip())
        self.text.setToolTip(f"{state.message}\n{state.hint}".strip())
        label = self.tr("&Install the engine…") if state.kind == "missing" else self.tr("Repa&ir the engine…")
        self.install.setText(label)
