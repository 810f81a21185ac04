"""Labels for sentences, some of them with names that others gave."""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QLabel, QSizePolicy


def sentence(text: str = "") -> QLabel:
    """Return a label that shows text as it is, whatever signs of HTML it has, and wraps rather than widens a panel."""
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label
