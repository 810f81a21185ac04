"""A table of classes: a tick and a least score each, and how many detections that shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from qgis.PyQt.QtCore import QEvent, QObject, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QIcon, QPainter, QPalette, QPixmap
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QDoubleSpinBox,
    QHBoxLayout,
    QHeaderView,
    QSizePolicy,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from .pace import grouped

MOST_ROWS = 8  # that are seen without scrolling
MANY = 4  # classes from which on "all" and "none" are worth their place
NAME, SCORE, COUNT = range(3)


class ClassTable(QWidget):
    """Ticks and least scores of classes.

    Attributes:
        changed: the user has changed a tick or a score.
    """

    changed = pyqtSignal()

    def __init__(self, counts: bool = False) -> None:
        super().__init__()
        self._items: dict[str, QTreeWidgetItem] = {}
        self._spins: dict[str, QDoubleSpinBox] = {}
        self._silent = False
        self._wheel = _WheelGuard(self)
        self.tree = QTreeWidget()
        self.tree.setColumnCount(3 if counts else 2)
        headers = [self.tr("Class"), self.tr("Score from"), self.tr("Shown / all")]
        self.tree.setHeaderLabels(headers[: self.tree.columnCount()])
        self.tree.setRootIsDecorated(False)
        self.tree.setUniformRowHeights(True)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.tree.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.tree.itemChanged.connect(self._edited)
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setSectionsMovable(False)
        for column in range(self.tree.columnCount()):
            whole = QHeaderView.ResizeMode.Stretch if column == NAME else QHeaderView.ResizeMode.ResizeToContents
            header.setSectionResizeMode(column, whole)
        self._lay_out()

    def set_classes(self, colours: Mapping[str, str], scores: Mapping[str, float], ticked: Iterable[str]) -> None:
        """Show other classes.

        Args:
            colours: "#rrggbb" or "" by class, in the order to be shown.
            scores: the least score by class.
            ticked: the classes with a tick.
        """
        self._silent = True
        if list(colours) != self.names():  # else somebody may be in the midst of typing a score
            self._make_rows(colours)
        on = set(ticked)
        for name, item in self._items.items():
            item.setCheckState(NAME, Qt.CheckState.Checked if name in on else Qt.CheckState.Unchecked)
            item.setIcon(NAME, _swatch(colours[name], self.palette()))
            score = round(scores.get(name, 0.0), 2)
            if self._spins[name].value() != score:
                self._spins[name].setValue(score)
        self._silent = False

    def _make_rows(self, names: Iterable[str]) -> None:
        self.tree.clear()
        self._items, self._spins = {}, {}
        for name in names:
            item = QTreeWidgetItem(self.tree, [name])
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            item.setToolTip(NAME, name)
            item.setTextAlignment(COUNT, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self._items[name] = item
            self._spins[name] = self._spin(name)
            self.tree.setItemWidget(item, SCORE, self._spins[name])
        row: list[QWidget] = [self.tree, *self._spins.values(), self.all, self.none]
        for before, after in zip(row, row[1:]):  # they are newer than what comes below
            self.setTabOrder(before, after)
        self._buttons.setVisible(len(self._items) >= MANY)
        self._fit()

    def names(self) -> list[str]:
        """Return all classes."""
        return list(self._items)

    def ticked(self) -> list[str]:
        """Return the classes with a tick."""
        return [name for name, item in self._items.items() if item.checkState(NAME) == Qt.CheckState.Checked]

    def scores(self) -> dict[str, float]:
        """Return the least score by class, of those without a tick too."""
        return {name: round(spin.value(), 2) for name, spin in self._spins.items()}

    def set_scores(self, scores: Mapping[str, float]) -> None:
        """Set least scores, without telling so."""
        self._silent = True
        for name, score in scores.items():
            self._spins[name].setValue(score)
        self._silent = False

    def set_counts(self, counts: Mapping[str, tuple[int, int]]) -> None:
        """Show (shown, all) by class."""
        self._silent = True
        for name, item in self._items.items():
            shown, total = counts.get(name, (0, 0))
            item.setText(COUNT, f"{grouped(shown)} / {grouped(total)}")
        self._silent = False

    def set_ticked(self, names: Iterable[str]) -> None:
        """Tick these classes and no others, as if the user had."""
        on = set(names)
        self._silent = True
        for name, item in self._items.items():
            item.setCheckState(NAME, Qt.CheckState.Checked if name in on else Qt.CheckState.Unchecked)
        self._silent = False
        self.changed.emit()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Keep the height that shows whole rows when the font changes."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()

    def _lay_out(self) -> None:
        self._buttons = QWidget()
        self._buttons.hide()
        row = QHBoxLayout(self._buttons)
        row.setContentsMargins(0, 0, 0, 0)
        self.all, self.none = QToolButton(), QToolButton()
        self.all.setText(self.tr("All"))
        self.all.setToolTip(self.tr("Tick all classes"))
        self.all.clicked.connect(lambda: self.set_ticked(self._items))
        self.none.setText(self.tr("None"))
        self.none.setToolTip(self.tr("Tick no class"))
        self.none.clicked.connect(lambda: self.set_ticked(()))
        row.addWidget(self.all)
        row.addWidget(self.none)
        row.addStretch()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self.tree)
        box.addWidget(self._buttons)
        self.setFocusProxy(self.tree)
        self._fit()

    def _spin(self, name: str) -> QDoubleSpinBox:
        spin = QDoubleSpinBox()
        spin.setRange(0.0, 1.0)
        spin.setSingleStep(0.05)
        spin.setDecimals(2)
        spin.setFrame(False)
        spin.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        spin.installEventFilter(self._wheel)
        spin.setToolTip(self.tr("Least score of {name}, 0 to 1").format(name=name))
        spin.setAccessibleName(spin.toolTip())
        spin.valueChanged.connect(self._edited)
        return spin

    def _edited(self, *_: object) -> None:
        if not self._silent:
            self.changed.emit()

    def _fit(self) -> None:
        """Be as high as the rows are, up to a limit."""
        rows = max(1, min(MOST_ROWS, len(self._items)))
        height = self.tree.sizeHintForRow(0) if self._items else self.fontMetrics().height() + 6
        self.tree.setFixedHeight(self.tree.header().sizeHint().height() + rows * height + 2 * self.tree.frameWidth())


class _WheelGuard(QObject):
    """Keeps the wheel, which scrolls the panel, from changing the numbers that pass under it."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Leave the wheel to the panel unless the number has the focus."""
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False


def _swatch(colour: str, palette: QPalette) -> QIcon:
    if not colour:
        return QIcon()
    pixmap = QPixmap(QSize(12, 12))
    pixmap.fill(QColor(colour))
    painter = QPainter(pixmap)
    painter.setPen(palette.color(QPalette.ColorRole.Mid))
    painter.drawRect(0, 0, 11, 11)
    painter.end()
    return QIcon(pixmap)
