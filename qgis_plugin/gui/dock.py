"""The panel of GeoDetect: detect objects, look at results, correct them."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication, QgsProject, QgsVectorLayer
from qgis.gui import QgsDockWidget, QgsScrollArea
from qgis.PyQt import sip
from qgis.PyQt.QtCore import Qt, QTimer, QUrl
from qgis.PyQt.QtGui import QDesktopServices, QKeySequence, QShowEvent
from qgis.PyQt.QtWidgets import QAction, QFrame, QTabWidget, QToolButton, QVBoxLayout, QWidget

from ..about import help_url
from ..models import forget_models
from .engine_banner import EngineBanner
from .engine_jobs import engine_jobs
from .engine_watch import EngineWatch
from .filtering import CLASS, apply_filter
from .messages import Messages
from .model_box import ABSENT
from .pace import grouped
from .result_panel import ResultPanel
from .results import add_result, covers_part, drop_empty_groups, scene_of
from .run import Outcome
from .run_footer import RunFooter
from .run_panel import Request, RunPanel

PATIENCE = 3.0  # s that a run has to end when the plugin is unloaded: it needs half a second
TRAINING = "geodetect:trainingdata"


class GeoDetectDock(QgsDockWidget):
    """The dock; `shutdown` before it is deleted."""

    def __init__(self, iface: Any) -> None:
        super().__init__(iface.mainWindow())
        self._iface = iface
        self._down = False
        self._install: Any = None
        self._dialogs: list[Any] = []
        self._tidy = QTimer(self)  # not while the project drops layers: all of it may go
        self._tidy.setSingleShot(True)
        self._tidy.timeout.connect(drop_empty_groups)
        self.setObjectName("GeoDetectDock")  # QGIS remembers its place by this name
        self.setWindowTitle("GeoDetect")
        self.messages = Messages(iface)
        self.watch = EngineWatch(self)
        self.banner = EngineBanner(self.install_engine)
        self.run = RunPanel(iface, self.watch)
        self.footer = RunFooter(self.run)
        self.results = ResultPanel(iface)
        self._lay_out()
        self._listen()
        self._show_results(self.results.layer is not None)

    def install_engine(self) -> None:
        """Open the dialog that installs the engine; nothing is installed before the user says so there."""
        from .install_dialog import InstallDialog

        if self._install is None or sip.isdeleted(self._install):
            self._install = InstallDialog(self._iface.mainWindow())
        self._install.show()
        self._install.raise_()
        self._install.activateWindow()

    def open_help(self) -> None:
        """Show the plugin's pages in the browser."""
        QDesktopServices.openUrl(QUrl(help_url()))

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Look after the engine when the panel comes into view: it may have been installed or removed."""
        super().showEvent(event)
        if not self._down:
            self.watch.refresh()

    def shutdown(self) -> None:
        """Stop what runs, leave nothing on the map and no process behind."""
        if self._down:
            return
        self._down = True
        engine_jobs().engine_changed.disconnect(self._engine_changed)
        QgsProject.instance().layersRemoved.disconnect(self._layers_removed)
        self._tidy.stop()
        self.footer.shutdown(PATIENCE)
        if self._install is not None and not sip.isdeleted(self._install):
            self._install.close()
        self.watch.shutdown()
        self.run.shutdown()
        self.results.shutdown()

    # -- widgets ----------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        for panel, title in ((self.run, self.tr("Detect")), (self.results, self.tr("Results"))):
            area = QgsScrollArea()  # unlike Qt's, it keeps the wheel from changing what it scrolls over
            area.setWidgetResizable(True)
            area.setFrameShape(QFrame.Shape.NoFrame)
            area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
            area.setWidget(panel)
            self.tabs.addTab(area, title)
        self.help = QToolButton()
        self.help.setIcon(QgsApplication.getThemeIcon("mActionHelpContents.svg"))
        self.help.setToolTip(self.tr("Open the help in the browser"))
        self.help.setAccessibleName(self.tr("Help"))
        self.help.setAutoRaise(True)
        self.help.clicked.connect(self.open_help)
        self.tabs.setCornerWidget(self.help)
        whole = QWidget()
        box = QVBoxLayout(whole)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self.banner)
        box.addWidget(self.tabs, 1)
        box.addWidget(self.footer)
        self.setWidget(whole)
        start = QAction(self)
        start.setShortcut(QKeySequence("Ctrl+Return"))
        start.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        start.triggered.connect(self.footer.detect.click)
        whole.addAction(start)

    def _listen(self) -> None:
        engine_jobs().engine_changed.connect(self._engine_changed)
        QgsProject.instance().layersRemoved.connect(self._layers_removed)
        self.watch.changed.connect(lambda: self.banner.show_state(self.watch.state))
        self.run.refused.connect(self.messages.warn)
        self.results.refused.connect(self.messages.warn)
        self.results.available.connect(self._show_results)
        self.results.export.connect(self.export_training)
        self.footer.ended.connect(self._ended)
        self.footer.running_changed.connect(self._show_footer)
        self.tabs.currentChanged.connect(self._show_footer)

    def _show_results(self, there: bool) -> None:
        self.tabs.setTabEnabled(1, there)
        self.tabs.setTabToolTip(1, "" if there else self.tr("The project has no layer of detections yet"))

    def _show_footer(self, *_: object) -> None:
        """Detect belongs to the first page; how far a run is, to both."""
        self.footer.setVisible(self.footer.running or self.tabs.currentIndex() == 0)

    # -- what happens -----------------------------------------------------------------------------------------------

    def _engine_changed(self) -> None:
        self.watch.refresh(anew=True)

    def _layers_removed(self, *_: object) -> None:
        self._tidy.start(0)

    def _ended(self, outcome: Outcome, request: Request) -> None:
        if outcome.kind == "failed":
            self.messages.fail(outcome.message, outcome.log)
            self.watch.refresh(anew=True)  # it may be the engine that is amiss
        elif outcome.kind == "done" and outcome.layer is not None:
            self._add(outcome, request)
            if any(model.name == request.model and model.state == ABSENT for model in self.watch.models):
                forget_models()  # it has been downloaded
                self.watch.refresh()
        self.run.advanced.show_output()

    def _add(self, outcome: Outcome, request: Request) -> None:
        layer = outcome.layer
        apply_filter(layer, request.start)
        shown = layer.featureCount()
        elsewhere = QgsProject.instance().mapLayer(request.layer_id) is None
        add_result(layer, request.scene, request.source, request.layer_id, request.model)
        self.results.combo.setLayer(layer)
        found = {"total": grouped(outcome.count), "shown": grouped(shown), "scene": request.scene}
        if elsewhere:
            text = self.tr("{total} objects found in “{scene}”, which this project does not have any more.")
        elif outcome.count:
            text = self.tr("{total} objects found in “{scene}”, {shown} are shown at the chosen scores.")
        else:
            text = self.tr("Nothing was found in “{scene}”.")
        warnings = list(outcome.warnings)
        if layer.isTemporary():
            warnings.append(self.tr("The layer is temporary: save it to keep it."))
        text = " ".join([text.format(**found), *warnings])
        if warnings:
            self.messages.warn(text)
        else:
            self.messages.good(text)
        if self.isUserVisible():
            self.tabs.setCurrentIndex(1)

    def export_training(self, layer: QgsVectorLayer | None) -> None:
        """Open the dialog that makes training data, with the layer and its image filled in.

        The algorithm leaves out the rejected ones, and Processing those that the layer's filter hides. Unsaved edits
        count.
        """
        if layer is None:
            return
        try:
            import processing
        except ImportError:  # the user has switched QGIS's Processing off
            self.messages.warn(self.tr("Training data is made by QGIS's plugin Processing: switch it on first."))
            return
        scene = scene_of(layer) or self.run.raster.layer()
        parameters = {"LABELS": layer.id(), "CLASS_FIELD": CLASS, "SCENES": [scene.id()] if scene is not None else []}
        dialog = processing.createAlgorithmDialog(TRAINING, parameters)
        if dialog is None:
            self.messages.warn(self.tr("The algorithm {name} is not there.").format(name=TRAINING))
            return
        if covers_part(layer):
            text = self.tr(
                "“{layer}” was found in a part of its image only. Objects elsewhere have no label, and a model learns "
                "from that to overlook them: clip the image to this part first, or label the rest too."
            )
            self.messages.warn(text.format(layer=layer.name()))
        # QGIS keeps the window but not its Python half, without which its buttons do nothing.
        self._dialogs = [other for other in self._dialogs if not sip.isdeleted(other)] + [dialog]
        dialog.show()
        dialog.raise_()
