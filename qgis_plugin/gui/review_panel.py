"""Going through detections: accept, reject, another class, on to the next."""

from __future__ import annotations

from typing import Any, Callable

from qgis.core import QgsCoordinateTransform, QgsCsException, QgsFeature, QgsProject, QgsRectangle, QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeySequence, QPalette
from qgis.PyQt.QtWidgets import (
    QAction,
    QCheckBox,
    QComboBox,
    QGridLayout,
    QGroupBox,
    QPushButton,
    QVBoxLayout,
)

from ..settings import recall, remember
from .filtering import ACCEPTED, CLASS, REJECTED, REVIEW, SCORE
from .labels import sentence
from .listening import listen
from .pace import grouped
from .review import Floor, ReviewError, mark, next_open, relabel

SURROUNDINGS = 8  # the map shows a detection with so many times its size around it
SEEN_THROUGH = 70  # of 255: how solid the colour of a selected detection is, for the object below must be seen
NEAREST, FARTHEST = 3, 20  # where it is between so many times its size across, it keeps its scale


class ReviewPanel(QGroupBox):
    """Reviews the selected detections of a layer.

    Attributes:
        refused: an edit could not be made; why.
        export: the layer shall become training data.
    """

    refused = pyqtSignal(str)
    export = pyqtSignal()

    def __init__(self, iface: Any, floor: Floor) -> None:
        super().__init__()
        self._iface = iface
        self._floor = floor
        self._layer: QgsVectorLayer | None = None
        self._colour: QColor | None = None  # of what is selected, before we made it pale
        self.setTitle(self.tr("Review"))
        self._build()
        self._lay_out()
        self._show()

    def set_layer(self, layer: QgsVectorLayer | None) -> None:
        """Review another layer."""
        if layer is self._layer:
            return
        if self._layer is not None:
            self._connect(False)
        self._layer = layer
        self._see_through_selection(False)
        if layer is not None:
            self._connect(True)
        self._show()

    def set_classes(self, names: list[str]) -> None:
        """Offer these classes; others can be typed."""
        if names == [self.classes.itemText(row) for row in range(self.classes.count())]:
            return  # somebody may be typing
        typed = self.classes.currentText()
        self.classes.clear()
        self.classes.addItems(names)
        self.classes.setCurrentText(typed if typed else names[0] if names else "")

    def go_on(self) -> None:
        """Select the next detection without review and bring it into the map."""
        layer = self._layer
        if layer is None:
            return
        selected = layer.selectedFeatures() if layer.selectedFeatureCount() == 1 else []
        found = next_open(layer, selected[0] if selected else None, self._floor)
        if found is None:
            layer.removeSelection()
            self.state.setText(self.tr("Every detection that is shown is reviewed."))
            return
        self._iface.setActiveLayer(layer)
        self._see_through_selection(True)
        layer.selectByIds([found.id()])
        self._look_at(found)

    # -- widgets ----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.state = sentence()
        self.accept = self._button(
            self.tr("Accept"), "A", self.tr("The selected detections are right"), lambda: self._mark(ACCEPTED)
        )
        self.reject = self._button(
            self.tr("Reject"), "R", self.tr("The selected detections are wrong"), lambda: self._mark(REJECTED)
        )
        self.next = self._button(
            self.tr("Next"), "N", self.tr("Go to the next detection without review, highest score first"), self.go_on
        )
        self.classes = QComboBox()
        self.classes.setEditable(True)
        self.classes.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.classes.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.classes.setMinimumContentsLength(8)
        self.classes.setToolTip(self.tr("The right class of the selected detections"))
        self.classes.setAccessibleName(self.tr("Class"))
        self.relabel = QPushButton(self.tr("Set class"))
        self.relabel.setToolTip(self.tr("Give the selected detections this class"))
        self.relabel.clicked.connect(self._relabel)
        self.onward = QCheckBox(self.tr("Go to the next after each"))
        self.onward.setToolTip(self.tr("After accepting or rejecting, go to the next detection without review"))
        self.onward.setChecked(recall("dock/review/onward", True))
        self.onward.toggled.connect(lambda on: remember("dock/review/onward", on))
        self.save = QPushButton(self.tr("Save edits"))
        self.save.setToolTip(self.tr("Write the edits and end editing; until then Ctrl+Z takes them back"))
        self.save.clicked.connect(self.save_edits)
        self.training = QPushButton(self.tr("E&xport as training data…"))
        self.training.setToolTip(self.tr("Cut the image into labelled tiles, without rejected or hidden detections"))
        self.training.clicked.connect(self.export)

    def _lay_out(self) -> None:
        grid = QGridLayout()
        for column, button in enumerate((self.accept, self.reject, self.next)):
            grid.addWidget(button, 0, column)
            grid.setColumnStretch(column, 1)
        grid.addWidget(self.classes, 1, 0, 1, 2)
        grid.addWidget(self.relabel, 1, 2)
        box = QVBoxLayout(self)
        box.addWidget(self.state)
        box.addLayout(grid)
        for widget in (self.onward, self.save, self.training):
            box.addWidget(widget)

    def _button(self, text: str, key: str, told: str, act: Callable[[], None]) -> QPushButton:
        """Return a button that a single key presses too, while the focus is in this box but not in a text."""
        button = QPushButton(text)
        button.setToolTip(f"{told} ({key})")
        action = QAction(text, self)
        action.setShortcut(QKeySequence(key))
        action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        action.triggered.connect(button.click)
        self.addAction(action)
        button.clicked.connect(lambda *_: act())
        return button

    def _connect(self, on: bool) -> None:
        layer = self._layer
        pairs = ((layer.selectionChanged, self._show), (layer.editingStarted, self._show),
                 (layer.editingStopped, self._show), (layer.layerModified, self._show))  # fmt: skip
        listen(pairs, on)

    def _show(self, *_: object) -> None:
        layer = self._layer
        self.setEnabled(layer is not None)
        if layer is None:
            return
        selected = layer.selectedFeatureCount()
        for button in (self.accept, self.reject, self.relabel):
            button.setEnabled(selected > 0)
        self.save.setEnabled(layer.isEditable())
        if selected == 1:
            text = _described(next(layer.getSelectedFeatures()))
        elif selected:
            text = self.tr("{number} detections are selected.").format(number=grouped(selected))
        else:
            text = self.tr("Select detections on the map, or click Next.")
        self.state.setText(text)

    # -- what happens -----------------------------------------------------------------------------------------------

    def save_edits(self) -> None:
        """Write the edits and end editing; where that fails they stay, and the reason is told."""
        layer = self._layer
        if layer is not None and layer.isEditable() and not layer.commitChanges():
            self.refused.emit("\n".join([self.tr("The edits could not be saved."), *layer.commitErrors()]))
        self._show()

    def _mark(self, review: str) -> None:
        self._edit(lambda layer: mark(layer, layer.selectedFeatureIds(), review))

    def _relabel(self) -> None:
        name = self.classes.currentText().strip()
        if name:
            self._edit(lambda layer: relabel(layer, layer.selectedFeatureIds(), name), onward=False)

    def _edit(self, change: Callable[[QgsVectorLayer], None], onward: bool = True) -> None:
        layer = self._layer
        if layer is None or not layer.selectedFeatureCount():
            return
        self._iface.setActiveLayer(layer)  # Ctrl+Z is for the active layer
        try:
            change(layer)
        except ReviewError as error:
            self.refused.emit(str(error))
            return
        layer.triggerRepaint()
        if onward and self.onward.isChecked():
            self.go_on()

    def _look_at(self, feature: QgsFeature) -> None:
        canvas = self._iface.mapCanvas()
        crs = canvas.mapSettings().destinationCrs()
        change = QgsCoordinateTransform(self._layer.crs(), crs, QgsProject.instance())
        try:
            box: QgsRectangle = change.transformBoundingBox(feature.geometry().boundingBox())
        except QgsCsException:
            return
        size = max(box.width(), box.height()) or canvas.mapUnitsPerPixel()
        across = min(canvas.extent().width(), canvas.extent().height())
        if NEAREST * size <= across <= FARTHEST * size:
            canvas.setCenter(box.center())
        else:
            canvas.setExtent(QgsRectangle.fromCenterAndSize(box.center(), SURROUNDINGS * size, SURROUNDINGS * size))
        canvas.refresh()
        colour = QColor(self.palette().color(QPalette.ColorRole.Highlight))
        colour.setAlpha(SEEN_THROUGH)
        canvas.flashFeatureIds(self._layer, [feature.id()], colour, QColor(0, 0, 0, 0), 2)

    def _see_through_selection(self, on: bool) -> None:
        """Let objects be seen through the colour of what is selected, or give the map its own colour back."""
        canvas = self._iface.mapCanvas()
        if on and self._colour is None and canvas.selectionColor().alpha() > SEEN_THROUGH:
            self._colour = canvas.selectionColor()
            pale = QColor(self._colour)
            pale.setAlpha(SEEN_THROUGH)
            canvas.setSelectionColor(pale)
        elif not on and self._colour is not None:
            canvas.setSelectionColor(self._colour)
            self._colour = None


def _described(feature: QgsFeature) -> str:
    """Return such as "plane, 0.93, accepted"."""
    score = feature[SCORE]
    parts = [str(feature[CLASS] or "?"), f"{score:.2f}" if isinstance(score, float) else ""]
    if feature.fields().indexOf(REVIEW) >= 0:
        translate = QCoreApplication.translate
        said = {ACCEPTED: translate("ReviewPanel", "accepted"), REJECTED: translate("ReviewPanel", "rejected")}
        parts.append(said.get(feature[REVIEW], ""))
    return ", ".join(part for part in parts if part)
