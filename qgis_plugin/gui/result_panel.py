"""Looking at a result: which of its detections are shown, without running again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qgis.core import QgsMapLayer, QgsMapLayerProxyModel, QgsProject, QgsVectorLayer
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QLabel, QSlider, QVBoxLayout, QWidget

from .census import Census, CensusTaker
from .classes import ClassTable
from .filtering import ACCEPTED, REVIEW, Filter, apply_filter, stored_filter
from .labels import sentence
from .listening import listen
from .pace import grouped
from .results import class_colours, is_result
from .review_panel import ReviewPanel

WAIT = 150  # ms of rest before a moved slider filters the layer
PERCENT = 100


class ResultPanel(QWidget):
    """Filters and reviews one of the project's results.

    Attributes:
        available: whether the project has a result at all.
        refused: something was not done; why.
        export: the shown result shall become training data.
    """

    available = pyqtSignal(bool)
    refused = pyqtSignal(str)
    export = pyqtSignal(object)

    def __init__(self, iface: Any) -> None:
        super().__init__()
        self._iface = iface
        self._layer_id = ""
        self._filter = Filter()
        self._census: Census | None = None
        self._own = False  # whether a change of the layer's filter is ours
        self._overtaken = False  # whether the layer came to be edited before it was filtered
        self._taker = CensusTaker(iface.mapCanvas().isDrawing)
        self._taker.taken.connect(self._counted)
        self._debounce = QTimer(self)
        self._debounce.setSingleShot(True)
        self._debounce.setInterval(WAIT)
        self._debounce.timeout.connect(self.apply)
        self._build()
        self._listen()
        self._offer_results()
        self.follow(iface.activeLayer())

    @property
    def layer(self) -> QgsVectorLayer | None:
        """The result that is looked at; None where the project has none."""
        found = QgsProject.instance().mapLayer(self._layer_id) if self._layer_id else None
        return found if isinstance(found, QgsVectorLayer) else None

    def follow(self, layer: QgsMapLayer | None) -> None:
        """Look at a layer that has become active, if it is a result."""
        if is_result(layer):
            self.combo.setLayer(layer)

    def apply(self) -> None:
        """Filter the layer as the widgets say, now."""
        self._debounce.stop()
        layer = self.layer
        if layer is None:
            return
        if layer.isEditable():
            self._overtaken = True
            return
        self._own = True
        taken = apply_filter(layer, self._filter)
        self._own = False
        if not taken:
            self.refused.emit(self.tr("“{layer}” cannot be filtered.").format(layer=layer.name()))

    def shutdown(self) -> None:
        """Listen no more; a filter that waits is applied."""
        if self._debounce.isActive():
            self.apply()
        self._taker.stop()
        self._iface.currentLayerChanged.disconnect(self.follow)
        project = QgsProject.instance()
        project.layersAdded.disconnect(self._offer_results)
        project.layersRemoved.disconnect(self._offer_results)
        self.combo.layerChanged.disconnect(self._chosen)
        self._listen_to(self.layer, False)
        self.review.set_layer(None)

    # -- widgets ----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.combo = QgsMapLayerComboBox()
        self.combo.setFilters(QgsMapLayerProxyModel.Filter.VectorLayer)
        self.combo.setMinimumContentsLength(8)
        self.combo.setToolTip(self.tr("The result to look at: any layer with the fields class and score"))
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, PERCENT)
        self.slider.setPageStep(5)
        self.slider.setToolTip(self.tr("Lowest score shown, for all classes: fewer but surer detections to the right"))
        self.slider.setAccessibleName(self.tr("Least score"))
        self.value = QLabel()
        self.value.setMinimumWidth(self.fontMetrics().horizontalAdvance("0.00–0.00"))
        self.classes = ClassTable(counts=True)
        self.reviewed = QComboBox()
        for text, value in ((self.tr("All"), "all"), (self.tr("Not reviewed"), "open"),
                            (self.tr("Accepted"), ACCEPTED), (self.tr("All but rejected"), "kept")):  # fmt: skip
            self.reviewed.addItem(text, value)
        self.reviewed.setToolTip(self.tr("Which detections are shown, by their review"))
        self.note, self.total = sentence(), sentence()
        self.review = ReviewPanel(self._iface, self._floor)
        self._lay_out()

    def _lay_out(self) -> None:
        score = QHBoxLayout()
        score.addWidget(self.slider, 1)
        score.addWidget(self.value)
        self._form = QFormLayout()
        self._form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.addRow(self.tr("Result"), self.combo)
        self._filters = QWidget()
        form = QFormLayout(self._filters)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(self.tr("Score from"), score)
        form.addRow(self.classes)
        self._review_label = QLabel(self.tr("Show"))
        form.addRow(self._review_label, self.reviewed)
        box = QVBoxLayout(self)
        box.addLayout(self._form)
        box.addWidget(self._filters)
        box.addWidget(self.total)
        box.addWidget(self.note)
        box.addWidget(self.review)
        box.addStretch()

    def _listen(self) -> None:
        self.combo.layerChanged.connect(self._chosen)
        self.slider.valueChanged.connect(self._slider_moved)
        self.classes.changed.connect(self._table_changed)
        self.reviewed.currentIndexChanged.connect(self._table_changed)
        self.review.refused.connect(self.refused)
        self.review.export.connect(lambda: self.export.emit(self.layer))
        self._iface.currentLayerChanged.connect(self.follow)
        QgsProject.instance().layersAdded.connect(self._offer_results)
        QgsProject.instance().layersRemoved.connect(self._offer_results)

    # -- which layer ------------------------------------------------------------------------------------------------

    def _offer_results(self, *_: object) -> None:
        """Leave the layers out that are no results."""
        layers = QgsProject.instance().mapLayers().values()
        self.combo.setExceptedLayerList([layer for layer in layers if not is_result(layer)])
        self._chosen(self.combo.currentLayer())
        self.available.emit(self.combo.currentLayer() is not None)

    def _chosen(self, layer: QgsMapLayer | None) -> None:
        """Look at another layer, with the filter that was kept with it."""
        layer = layer if is_result(layer) else None
        if (layer.id() if layer is not None else "") == self._layer_id:
            return
        if self._debounce.isActive():
            self.apply()
        self._listen_to(self.layer, False)
        self._layer_id = layer.id() if layer is not None else ""
        self._listen_to(layer, True)
        self._census, self._overtaken = None, False
        self.review.set_layer(layer)
        self._take_over()

    def _listen_to(self, layer: QgsVectorLayer | None, on: bool) -> None:
        if layer is None:
            return
        pairs = ((layer.editingStarted, self._show_editing), (layer.editingStopped, self._edits_ended),
                 (layer.afterCommitChanges, self._count), (layer.subsetStringChanged, self._filtered),
                 (layer.rendererChanged, self._show_filter))  # fmt: skip
        listen(pairs, on)

    def _take_over(self) -> None:
        """Show the layer as it is filtered now and count it."""
        layer = self.layer
        if layer is not None:
            chosen = stored_filter(layer) or Filter(base=layer.subsetString())
            if chosen.base != self._filter.base:
                self._census = None  # of other features
            self._filter = chosen
        self._show_filter()
        self._show_editing()
        self._count()

    def _count(self) -> None:
        layer = self.layer
        if layer is None:
            self._taker.stop()
        else:
            self._taker.start(layer, self._filter.base)

    def _counted(self, census: Census) -> None:
        if self.layer is not None:
            self._census = census
            self._show_filter()

    def _floor(self, highest: float, number: int) -> float:
        """Return where to begin looking for unreviewed detections, see `Census.floor`."""
        return self._census.floor(self._filter, highest, number) if self._census is not None else float("-inf")

    def _edits_ended(self) -> None:
        if self._overtaken:
            self._overtaken = False
            self.apply()
        self._take_over()

    def _filtered(self) -> None:
        """Take over what somebody else has set as the layer's filter."""
        if not self._own:
            self._take_over()

    # -- what it shows ----------------------------------------------------------------------------------------------

    def _show_filter(self) -> None:
        """Bring the widgets in line with the filter, without applying it."""
        layer = self.layer
        if layer is None:
            self.review.set_classes([])
            return
        colours = class_colours(layer)
        found = self._census.classes if self._census is not None else []
        names = [*colours, *(name for name in (*found, *self._filter.scores) if name not in colours)]
        names = list(dict.fromkeys(name for name in names if name))
        scores = {name: self._filter.scores.get(name, 0.0) for name in names}
        self._filter = replace(self._filter, scores=scores)
        self.classes.set_classes(
            {name: colours.get(name, "") for name in names},
            scores,
            [name for name in names if self._filter.passes(name)],
        )
        self.review.set_classes(names)
        has_review = layer.fields().indexOf(REVIEW) >= 0
        self._review_label.setVisible(has_review)
        self.reviewed.setVisible(has_review)
        self.reviewed.blockSignals(True)
        self.reviewed.setCurrentIndex(max(0, self.reviewed.findData(self._filter.review)))
        self.reviewed.blockSignals(False)
        self._show_score()
        self._show_counts()
        self._show_editing()

    def _show_score(self) -> None:
        scores = self._filter.scores.values()
        least, most = min(scores, default=0.0), max(scores, default=0.0)
        self.slider.blockSignals(True)
        self.slider.setValue(round(least * PERCENT))
        self.slider.blockSignals(False)
        self.value.setText(f"{least:.2f}" if least == most else f"{least:.2f}–{most:.2f}")

    def _show_counts(self) -> None:
        if self._census is None:
            self.total.setText(self.tr("Counting…"))
            return
        counts = self._census.counts(self._filter)
        self.classes.set_counts(counts)
        shown, total = (sum(pair[place] for pair in counts.values()) for place in (0, 1))
        text = self.tr("{shown} of {total} detections are shown.")
        if self._census.reviewed:
            text = self.tr("{shown} of {total} detections are shown; reviewed: {reviewed}.")
        numbers = {"shown": shown, "total": total, "reviewed": self._census.reviewed}
        self.total.setText(text.format(**{name: grouped(number) for name, number in numbers.items()}))

    def _show_editing(self) -> None:
        layer = self.layer
        editing = layer is not None and layer.isEditable()
        self._filters.setEnabled(not editing and bool(self._filter.scores))  # no class is known before the first count
        self.note.setText(self.tr("The layer is being edited: save the edits to filter it again.") if editing else "")
        self.note.setVisible(editing)

    # -- what the user does -----------------------------------------------------------------------------------------

    def _slider_moved(self, value: int) -> None:
        self._change(replace(self._filter, scores=dict.fromkeys(self._filter.scores, value / PERCENT)))
        self.classes.set_scores(self._filter.scores)

    def _table_changed(self, *_: object) -> None:
        hidden = frozenset(self.classes.names()) - frozenset(self.classes.ticked())
        review = str(self.reviewed.currentData())
        self._change(replace(self._filter, scores=self.classes.scores(), hidden=hidden, review=review))

    def _change(self, chosen: Filter) -> None:
        self._filter = chosen
        self._show_score()
        self._show_counts()
        self._debounce.start()
