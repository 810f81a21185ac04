"""The plugin as QGIS sees it: a provider for Processing, and on the desktop an action, a dock and a page of options."""

from __future__ import annotations

import os
from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QCoreApplication, QLocale, Qt, QTranslator
from qgis.PyQt.QtGui import QIcon

from .about import FOLDER, icon_path
from .processing.provider import GeoDetectProvider
from .settings import recall, remember

PATIENCE = 3.0  # s that runs have to end: they need half a second
SHOWN = "dock/shown"  # setting: whether the dock was open when QGIS was left


class GeoDetectPlugin:
    """Everything that is added to QGIS, and taken away again.

    Attributes:
        provider: of Processing; None before `initProcessing` and after `unload`.
        action: opens and closes the dock; None without a desktop.
        dock: None until it is opened for the first time.
    """

    def __init__(self, iface: Any) -> None:
        self.iface = iface
        self.provider: GeoDetectProvider | None = None
        self.action: Any = None
        self.dock: Any = None
        self._options: Any = None
        self._translator: QTranslator | None = None
        self._translate()

    def tr(self, text: str) -> str:
        """Return a text in the user's language."""
        return QCoreApplication.translate("GeoDetectPlugin", text)

    def initProcessing(self) -> None:  # noqa: N802
        """Add the algorithms; all that qgis_process asks for."""
        self.provider = GeoDetectProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:  # noqa: N802
        """Add what the desktop shows."""
        from qgis.PyQt.QtWidgets import QAction

        from .gui.options import OptionsFactory

        self.initProcessing()
        self.action = QAction(QIcon(icon_path("geodetect")), self.tr("GeoDetect"), self.iface.mainWindow())
        self.action.setObjectName("GeoDetectAction")
        self.action.setCheckable(True)
        self.action.setToolTip(self.tr("Find planes, ships and other objects in an image"))
        self.action.toggled.connect(self._show_dock)
        self.iface.addToolBarIcon(self.action)
        self.iface.rasterMenu().addAction(self.action)
        self._options = OptionsFactory()
        self.iface.registerOptionsWidgetFactory(self._options)
        if recall(SHOWN, False):
            self.action.setChecked(True)

    def unload(self) -> None:
        """Take away all that was added, and end what runs."""
        self._end_runs()
        if self.dock is not None:
            self.dock.shutdown()
            self.iface.removeDockWidget(self.dock)
            self.dock.deleteLater()
            self.dock = None
        if self._options is not None:
            from .gui.engine_jobs import end_engine_jobs

            end_engine_jobs()
            self.iface.unregisterOptionsWidgetFactory(self._options)
            self._options = None
        if self.action is not None:
            self.iface.rasterMenu().removeAction(self.action)
            self.iface.removeToolBarIcon(self.action)
            self.action.deleteLater()
            self.action = None
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
        if self._translator is not None:
            QCoreApplication.removeTranslator(self._translator)
            self._translator = None

    def _end_runs(self) -> None:
        """End the runs of our algorithms, and close their dialogs: both would outlive the provider that they need."""
        if self.provider is None:
            return
        from .gui.leaving import close_dialogs, end_runs

        algorithms = self.provider.algorithms()
        end_runs([algorithm.displayName() for algorithm in algorithms], PATIENCE)
        close_dialogs([algorithm.id() for algorithm in algorithms])

    def _show_dock(self, shown: bool) -> None:
        """Open or close the dock; it is made when it is needed first, so that QGIS starts as fast as without."""
        remember(SHOWN, shown)
        if self.dock is None:
            if not shown:
                return
            from .gui.dock import GeoDetectDock

            self.dock = GeoDetectDock(self.iface)
            self.iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
            self.dock.closedStateChanged.connect(self._dock_closed)
        self.dock.setUserVisible(shown)

    def _dock_closed(self, closed: bool) -> None:
        if self.action is not None:
            self.action.setChecked(not closed)

    def _translate(self) -> None:
        """Load the texts of the user's language, where there are any."""
        translator = QTranslator()
        if translator.load(QLocale(QgsApplication.locale()), "geodetect", "_", os.path.join(FOLDER, "i18n")):
            QCoreApplication.installTranslator(translator)
            self._translator = translator
