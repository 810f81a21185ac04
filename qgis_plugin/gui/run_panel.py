"""What is to be looked at, and with what: the choices of a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from qgis.PyQt.QtCore import QEvent, pyqtSignal
from qgis.PyQt.QtWidgets import QFormLayout, QLabel, QVBoxLayout, QWidget

from ..models import ModelInfo
from ..settings import recall, remember
from .advanced import AdvancedBox
from .area import AreaBox
from .classes import ClassTable
from .engine_watch import EngineWatch
from .filtering import Filter
from .model_box import ModelBox
from .raster_choice import RasterChoice

LEAST = 0.05  # the score that is asked of the engine: the layer can be filtered down to it without running again


@dataclass(frozen=True)
class Request:
    """A run that the user asks for.

    Attributes:
        parameters: of the algorithm.
        start: what is shown of the result at first.
        scene, source, layer_id: the raster layer's name, source and id; the layer may be gone when the run ends.
        model: the model's name.
    """

    parameters: dict[str, Any]
    start: Filter
    scene: str
    source: str
    layer_id: str
    model: str


class RunPanel(QWidget):
    """The choices of a run.

    Attributes:
        changed: a choice is another now.
        refused: something that was chosen is not taken; why.
    """

    changed = pyqtSignal()
    refused = pyqtSignal(str)

    def __init__(self, iface: Any, watch: EngineWatch) -> None:
        super().__init__()
        self._watch = watch
        self._model_shown: ModelInfo | None = None
        self.raster = RasterChoice(iface)
        self.model = ModelBox()
        self.area = AreaBox(iface.mapCanvas())
        self.classes = ClassTable()
        self.advanced = AdvancedBox()
        self._lay_out()
        self.model.refused.connect(self.refused)
        self.model.changed.connect(self._model_changed)
        self.classes.changed.connect(self._keep_classes)
        self.raster.changed.connect(self._raster_changed)
        for part in (self.raster, self.model, self.area, self.classes, self.advanced):
            part.changed.connect(self.changed)
        watch.changed.connect(self._engine_changed)
        self._raster_changed()

    def problem(self) -> str:
        """Return why a run cannot begin, in one sentence; "" where it can."""
        raster = self.raster.layer()
        if self._watch.state is None:
            return self.tr("Looking for the engine…")
        if not self._watch.ready:
            return self._watch.state.message
        if raster is None or self.raster.problem():
            return self.raster.problem()
        if self.model.model is None:
            return self.tr("Choose a model first.")
        if not self.classes.ticked():
            return self.tr("Tick a class to look for.")
        return self.area.problem(raster) or self.advanced.problem()

    def hint(self) -> str:
        """Return the problem, unless it is told already where it arises: above, or beside the image."""
        told = (self._watch.state is not None and not self._watch.ready) or (
            self.raster.layer() is not None and self.raster.problem()
        )
        return "" if told else self.problem()

    def request(self) -> Request:
        """Return the run that the choices make up; only where there is no `problem`."""
        raster, model = self.raster.layer(), self.model.model
        if raster is None or model is None:
            raise ValueError(self.problem())
        ticked, scores = self.classes.ticked(), self.classes.scores()
        parameters = {
            "INPUT": raster.id(),
            "MODEL": self.model.value,
            "CLASSES": "" if len(ticked) == len(model.classes) else ",".join(ticked),
            "SCORE": min([LEAST, *(scores[name] for name in ticked)]),
            "OUTPUT": self.advanced.output(),
            **self.area.parameters(),
            **self.advanced.parameters(),
        }
        start = Filter({name: scores[name] for name in ticked})
        return Request(parameters, start, raster.name(), raster.source(), raster.id(), model.name)

    def shutdown(self) -> None:
        """Leave nothing behind."""
        self.raster.shutdown()
        self.model.shutdown()
        self.area.shutdown()

    def event(self, event: QEvent) -> bool:
        """Look again where the output goes when the panel comes into view: files come and go."""
        if event.type() == QEvent.Type.Show:
            self.advanced.show_output()
        return super().event(event)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for text, widget in (
            (self.tr("Ima&ge"), self.raster),
            (self.tr("Model"), self.model),
            (self.tr("&Area"), self.area),
            (self.tr("Classes"), self.classes),
        ):
            label = QLabel(text)
            label.setBuddy(widget)
            form.addRow(label, widget)
        box = QVBoxLayout(self)
        box.addLayout(form)
        box.addWidget(self.advanced)
        box.addStretch()

    def _engine_changed(self) -> None:
        if self._watch.state is not None:
            self.model.set_models(self._watch.models)
        self.changed.emit()

    def _raster_changed(self) -> None:
        self.advanced.set_raster(self.raster.layer())

    def _model_changed(self) -> None:
        """Show the model's classes, with what was last chosen for them."""
        model = self.model.model
        if model is self._model_shown:
            return
        self._model_shown = model
        if model is None:
            self.classes.set_classes({}, {}, ())
            return
        kept = _recall_classes(self.model.value)
        scores = {**model.scores, **{name: kept["scores"][name] for name in model.classes if name in kept["scores"]}}
        colours = dict(zip(model.classes, (*model.colours, *[""] * len(model.classes))))
        self.classes.set_classes(colours, scores, set(model.classes) - set(kept["off"]))

    def _keep_classes(self) -> None:
        """Remember what differs from the model's own, so that a newer model's own come through."""
        model = self.model.model
        if model is None:
            return
        scores = {name: score for name, score in self.classes.scores().items() if score != model.scores.get(name)}
        off = sorted(set(self.classes.names()) - set(self.classes.ticked()))
        remember(_key(self.model.value), json.dumps({"scores": scores, "off": off}))


def _recall_classes(model: str) -> dict[str, Any]:
    try:
        kept = json.loads(recall(_key(model), "") or "{}")
        return {"scores": {str(name): float(score) for name, score in kept["scores"].items()}, "off": list(kept["off"])}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {"scores": {}, "off": []}


def _key(model: str) -> str:
    return "dock/classes/" + quote(model, safe="")  # a folder's separators would part the key
