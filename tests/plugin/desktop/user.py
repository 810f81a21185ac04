"""An analyst at the desktop: finds things on the screen, points, clicks, drags and types."""

from __future__ import annotations

from typing import Any

import qgis.utils
from hand import Hand
from play import BESIDE, Player, Story, StuckError
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QPoint, QRect
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QAction,
    QApplication,
    QCheckBox,
    QDialog,
    QMenu,
    QRadioButton,
    QScrollArea,
    QSlider,
    QStyle,
    QStyleOptionSlider,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

SOON = 10  # s that a window has to come up
TICK = 9  # px from the left of an item to the middle of its tick
DRAG = 12  # steps of a drag


class User:
    """Does with pointer and keyboard what its methods say."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self._hand = Hand()

    def click(self, widget: QWidget, at: QPoint | None = None, times: int = 1) -> Story:
        """Click on a widget that is seen and enabled, and that nothing covers."""
        player, name = self._player, _name(widget)
        yield from player.until(lambda: widget.isVisible() and widget.isEnabled(), SOON, f"{name} can be clicked")
        _bring_into_view(widget)
        yield from player.rest(0.05)
        place = widget.mapToGlobal(_heart(widget) if at is None else at)
        there = QApplication.widgetAt(place)
        if there is None or not (there is widget or widget.isAncestorOf(there)):
            raise StuckError(f"{_name(there)} covers {name} at {place.x()}, {place.y()}")
        self._hand.move(place.x(), place.y())
        yield from player.rest(0.03)
        for _ in range(times):
            self._hand.button(True)
            yield
            self._hand.button(False)
            yield
        yield from player.rest(0.05)

    def aside(self) -> None:
        """Take the pointer to where it covers nothing."""
        self._hand.move(*BESIDE)

    def picture(self, name: str, window: QWidget | None = None) -> Story:
        """Keep what the screen shows, without tool tips, and a window by itself."""
        self.aside()
        yield from self._player.picture(name, window)

    def tool(self, action: QAction) -> Story:
        """Click the tool bar's button of an action."""
        buttons = [button for button in action.associatedWidgets() if isinstance(button, QToolButton)]
        window = qgis.utils.iface.mainWindow()
        buttons += [button for button in window.findChildren(QToolButton) if button.defaultAction() is action]
        seen = [button for button in buttons if button.isVisible()]
        if not seen:
            raise StuckError(f"no tool bar shows {action.text()}")
        yield from self.click(seen[0])

    def menu(self, menu: QMenu, action: QAction) -> Story:
        """Open a menu of the main window and click an entry."""
        bar = qgis.utils.iface.mainWindow().menuBar()
        yield from self.click(bar, bar.actionGeometry(menu.menuAction()).center())
        yield from self._player.until(menu.isVisible, SOON, f"the menu {menu.title()} opens")
        yield from self._player.rest(0.1)
        yield from self.click(menu, menu.actionGeometry(action).center())

    def tick(self, tree: QTreeWidget, item: QTreeWidgetItem) -> Story:
        """Click the tick of an item."""
        row: QRect = tree.visualItemRect(item)
        yield from self.click(tree.viewport(), QPoint(row.left() + TICK, row.center().y()))

    def item(self, view: QAbstractItemView, index: Any, times: int = 1) -> Story:
        """Click an item of a view."""
        view.scrollTo(index)
        yield from self.click(view.viewport(), view.visualRect(index).center(), times)

    def slide(self, slider: QSlider, share: float) -> Story:
        """Drag a slider's handle to a share of its length."""
        option = QStyleOptionSlider()
        slider.initStyleOption(option)
        part = QStyle.SubControl.SC_SliderHandle
        handle = slider.style().subControlRect(QStyle.ComplexControl.CC_Slider, option, part, slider)
        _bring_into_view(slider)
        yield from self._player.rest(0.05)
        begin = slider.mapToGlobal(handle.center())
        end = slider.mapToGlobal(QPoint(round(handle.width() / 2 + share * (slider.width() - handle.width())), 0)).x()
        self._hand.move(begin.x(), begin.y())
        yield
        self._hand.button(True)
        for step in range(1, DRAG + 1):
            yield
            self._hand.move(round(begin.x() + (end - begin.x()) * step / DRAG), begin.y())
        yield
        self._hand.button(False)
        yield from self._player.rest(0.05)

    def type(self, text: str) -> Story:
        """Type a text into what has the focus."""
        for letter in text:
            self._hand.letter(letter)
            yield

    def keys(self, *chords: str) -> Story:
        """Press keys, each of them alone or together with others: "Tab", "Control_L+z"."""
        for chord in chords:
            self._hand.keys(chord)
            yield from self._player.rest(0.05)

    def dialog(self, kind: str) -> Story:
        """Wait for a dialog, by the name of its class, and return it."""
        found = yield from self._player.until(
            lambda: next((one for one in _windows() if type(one).__name__ == kind), None), SOON, f"{kind} opens"
        )
        yield from self._player.rest(0.2)
        return found

    def close(self, dialog: QDialog) -> Story:
        """Close a dialog by its key."""
        dialog.activateWindow()
        yield from self._player.rest(0.1)
        yield from self.keys("Escape")
        yield from self._player.until(lambda: sip.isdeleted(dialog) or not dialog.isVisible(), SOON, "a dialog closes")


def _windows() -> list[QWidget]:
    return [window for window in QApplication.topLevelWidgets() if window.isVisible()]


def _heart(widget: QWidget) -> QPoint:
    """Return where one clicks on a widget: boxes and radio buttons may be far wider than what is seen of them."""
    middle = widget.rect().center()
    return QPoint(TICK, middle.y()) if isinstance(widget, (QCheckBox, QRadioButton)) else middle


def _bring_into_view(widget: QWidget) -> None:
    parent = widget.parentWidget()
    while parent is not None:
        if isinstance(parent, QScrollArea):
            parent.ensureWidgetVisible(widget)
        parent = parent.parentWidget()


def _name(widget: QWidget | None) -> str:
    if widget is None:
        return "nothing"
    text = widget.text() if hasattr(widget, "text") and callable(widget.text) else ""
    return f"{type(widget).__name__} {text or widget.objectName() or widget.windowTitle()!r}"
