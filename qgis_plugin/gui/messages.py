"""What the dock tells the user: in QGIS's message bar, never in a window of its own."""

from __future__ import annotations

import html
from typing import Any, Callable

from qgis.core import Qgis, QgsMessageLog
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtWidgets import QPushButton

TITLE = "GeoDetect"
LONGEST = 300  # characters of a message in the bar; the whole of it is in the log
SECONDS = 8  # that good news stay

Button = tuple[str, Callable[[], object]]


class Messages:
    """Messages with buttons, and the log behind them."""

    def __init__(self, iface: Any) -> None:
        self._iface = iface

    def good(self, text: str, *buttons: Button) -> None:
        """Tell that something was done."""
        self._push(text, Qgis.MessageLevel.Success, SECONDS, buttons)

    def warn(self, text: str, *buttons: Button) -> None:
        """Tell something that the user should know; it stays."""
        self._push(text, Qgis.MessageLevel.Warning, 0, buttons)

    def fail(self, text: str, log: str = "", *buttons: Button) -> None:
        """Tell that something went wrong, with the whole story one click away."""
        QgsMessageLog.logMessage("\n".join(filter(None, (text, log))), TITLE, Qgis.MessageLevel.Critical, False)
        self._push(text, Qgis.MessageLevel.Critical, 0, (*buttons, (_tr("Open log"), self._iface.openMessageLog)))

    def _push(self, text: str, level: Qgis.MessageLevel, seconds: int, buttons: tuple[Button, ...]) -> None:
        bar = self._iface.messageBar()
        short = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
        item = bar.createMessage(TITLE, html.escape(short, quote=False).replace("\n", "<br>"))  # it reads HTML
        for label, act in buttons:
            button = QPushButton(label, item)
            button.clicked.connect(lambda *_, act=act: act())
            item.layout().addWidget(button)
        bar.pushWidget(item, level, seconds)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Messages", text)
