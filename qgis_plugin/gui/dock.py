"""The panel of GeoDetect: detect objects, look at results, correct them."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingFeatureSourceDefinition, QgsProject, QgsVectorLayer
from qgis.gui import QgsDockWidget, QgsScrollArea
from qgis.PyQt import sip
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QKeySequence, QShowEvent
from qgis.PyQt.QtWidgets import QAction, QFrame, QTabWidget, QVBoxLayout, QWidget

from ..models import forget_models
from .engine_banner import EngineBanner
from .engine_jobs import engine_jobs
from .engine_watch import EngineWatch
from .filtering import CLASS, apply_filter
from .messages import Messages
from .model_box import ABSENT
from .pace import grouped
from .result_panel import ResultPanel
from .results import add_result, scene_of
from .review import keep_ids
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
        self._dialogs: list[Any] = []
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

        self._dialog = InstallDialog(self._iface.mainWindow())
        self._dialog.show()

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
        self.footer.shutdown(PATIENCE)
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
            text = self.tr("{total} objects found in “{scene}”, {shown} are shown at the model's scores.")
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

        Rejected detections are left out by selecting the others; hidden ones by the layer's filter, which Processing
        respects. Unsaved edits count.
        """
        if layer is None:
            return
        try:
            import processing
        except ImportError:  # the user has switched QGIS's Processing off
            self.messages.warn(self.tr("Training data is made by QGIS's plugin Processing: switch it on first."))
            return
        kept = keep_ids(layer)
        if kept is not None:
            layer.selectByIds(kept)
        labels = QgsProcessingFeatureSourceDefinition(layer.id(), kept is not None)
        scene = scene_of(layer) or self.run.raster.layer()
        parameters = {"LABELS": labels, "CLASS_FIELD": CLASS, "SCENES": [scene.id()] if scene is not None else []}
        dialog = processing.createAlgorithmDialog(TRAINING, parameters)
        if dialog is None:
            self.messages.warn(self.tr("The algorithm {name} is not there.").format(name=TRAINING))
            return
        # QGIS keeps the window but not its Python half, without which its buttons do nothing.
        self._dialogs = [other for other in self._dialogs if not sip.isdeleted(other)] + [dialog]
        dialog.show()
        dialog.raise_()
