"""What an analyst does with a result: filter it, correct it, save it."""

from __future__ import annotations

import os

from host import children
from parts import changed, dock, drawn, iface, shown
from play import Player, Story
from qgis.core import QgsVectorLayer
from qgis.PyQt.QtCore import QPoint
from user import User

NEAR = 60.0  # m around an object that the map shows
HALF = 0.5  # of the area is common to two boxes of the same object


def filter_result(player: Player, user: User) -> Story:
    """Move the slider, take a class's tick away, and put both back."""
    report, page = player.report, dock().results
    before, start = (yield from drawn(player)), shown()
    report.step("drag the slider to the right")
    yield from user.slide(page.slider, 0.9)
    surer = yield from drawn(player)
    report.fact("slider", {"before": start, "after": shown(), "pixels": changed(before, surer),
                           "processes": len(children())})  # fmt: skip
    yield from user.picture("07-slider")
    report.step("take the tick from the ships")
    item = page.classes.tree.topLevelItem(1)
    yield from user.tick(page.classes.tree, item)
    planes = yield from drawn(player)
    report.fact("class off", {**shown(), "class": item.text(0), "pixels": changed(surer, planes)})
    yield from user.picture("08-class-off")
    report.step("the tick and a low score again")
    yield from user.tick(page.classes.tree, page.classes.tree.topLevelItem(1))
    yield from user.slide(page.slider, 0.3)
    yield from user.keys("Right", "Right", "Left")
    yield from drawn(player)
    report.fact("by keys", shown())


def review_result(player: Player, user: User) -> Story:
    """Accept one, reject one and take that back, correct the class of a third, save."""
    report, review, layer = player.report, dock().results.review, dock().results.layer
    report.step("go to the first; accept it by its key")
    yield from user.click(review.next)
    yield from player.until(lambda: layer.selectedFeatureCount() == 1, 5, "Next selects one")
    first = _selected(layer)
    yield from user.keys("a")
    yield from player.until(lambda: _selected(layer) not in (None, first), 5, "accepting goes on to the next")
    second = _selected(layer)
    report.step("reject the next by a click; take it back by Ctrl+Z")
    yield from user.picture("09-review")
    yield from user.click(review.reject)
    yield from player.until(lambda: _review(layer, second) == "rejected", 5, "it is rejected")
    reviewed = {"accepted": _review(layer, first), "rejected": _review(layer, second)}
    yield from user.keys("Control_L+z")
    yield from player.until(lambda: _review(layer, second) == "", 5, "Ctrl+Z takes it back")
    report.fact("review", {**reviewed, "after undo": _review(layer, second), "still": _review(layer, first)})

    report.step("select a wrong one on the map; set its class")
    wrong = _wrong(layer)
    iface().mapCanvas().zoomToFeatureExtent(layer.getFeature(wrong).geometry().boundingBox().buffered(NEAR))
    yield from drawn(player)
    yield from user.tool(iface().actionSelect())
    yield from user.click(iface().mapCanvas(), _on_map(layer, wrong))
    yield from player.until(lambda: _selected(layer) == wrong, 5, "a click on the map selects it")
    said = review.state.text()
    yield from user.picture("10-selected")
    yield from user.click(review.relabel)
    yield from player.until(lambda: layer.getFeature(wrong)["class"] == "plane", 5, "it is a plane now")
    relabelled = {"before": said, "after": review.state.text(), "class_id": layer.getFeature(wrong)["class_id"]}
    report.fact("relabel", relabelled)
    report.fact("while editing", {"slider": dock().results.slider.isEnabled(), "note": dock().results.note.text()})
    yield from user.picture("11-relabelled")
    report.step("save the edits")
    yield from user.click(review.save)
    yield from player.until(lambda: not layer.isEditable(), 10, "the edits are saved")
    yield from player.until(lambda: "reviewed" in dock().results.total.text(), 10, "it is counted again")
    report.fact("saved", {**shown(), "first": first, "wrong": wrong})
    iface().actionPan().trigger()


def export_training(player: Player, user: User) -> Story:
    """Make training data of the result: the dialog comes up filled in."""
    report = player.report
    report.step("open the dialog of training data; run it")
    dock().results.layer.removeSelection()
    yield from user.click(dock().results.review.training)
    dialog = yield from user.dialog("AlgorithmDialog")
    report.fact("training dialog", dialog.windowTitle())
    yield from user.picture("12-training", dialog)
    yield from user.click(dialog.runButton())
    yield from player.until(dialog.results, 60, "training data is made")
    report.fact("training", {name: str(value) for name, value in dialog.results().items()})
    yield from user.close(dialog)


def _selected(layer) -> int | None:
    ids = layer.selectedFeatureIds()
    return ids[0] if len(ids) == 1 else None


def _review(layer, fid: int) -> str:
    value = layer.getFeature(fid)["review"]
    return value if isinstance(value, str) else ""


def _wrong(layer) -> int:
    """Return a plane that was taken for a ship; where there is none, the ship that is least sure and lies alone."""
    truth = QgsVectorLayer(os.environ["GEODETECT_TRUTH"], "truth")
    planes = [plane.geometry() for plane in truth.getFeatures() if plane["class"] == "plane"]
    found = list(layer.getFeatures())
    ships = [ship for ship in found if ship["class"] == "ship" and not _covered(ship, found)]
    for ship in ships:
        for plane in planes:
            common = ship.geometry().intersection(plane).area()
            if common > HALF * max(ship.geometry().area(), plane.area()):
                return ship.id()
    return min(ships, key=lambda ship: ship["score"]).id()


def _covered(ship, found) -> bool:
    """Whether another detection lies under a click on a ship's middle."""
    middle = ship.geometry().centroid()
    return any(other.id() != ship.id() and other.geometry().contains(middle) for other in found)


def _on_map(layer, fid: int) -> QPoint:
    canvas = iface().mapCanvas()
    place = canvas.mapSettings().layerToMapCoordinates(layer, layer.getFeature(fid).geometry().centroid().asPoint())
    return canvas.getCoordinateTransform().transform(place).toQPointF().toPoint()
