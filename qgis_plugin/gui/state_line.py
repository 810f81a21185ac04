"""One sentence on how things are, with a sign."""

from __future__ import annotations

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

_ICONS = {"good": "mIconSuccess.svg", "bad": "mIconWarning.svg", "note": "mIconInfo.svg"}  # of QGIS's theme


class StateLine(QWidget):
    """Says what is good, bad or worth a note; text can be selected and copied."""

    def __init__(self) -> None:
        super().__init__()
        self.mood = ""
        self._icon = QLabel()
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self._text.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._text, 1)

    @property
    def text(self) -> str:
        """What it says."""
        return self._text.text()

    def say(self, mood: str, *sentences: str) -> None:
        """Say sentences, the empty ones left out; mood is "good", "bad" or "note"."""
        self.mood = mood
        size = int(self.fontMetrics().height() * 1.2)
        self._icon.setPixmap(QgsApplication.getThemeIcon(_ICONS[mood]).pixmap(size, size))
        self._text.setText("\n".join(filter(None, sentences)))
