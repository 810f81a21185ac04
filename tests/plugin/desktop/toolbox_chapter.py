"""The same algorithm from QGIS's Processing toolbox."""

from __future__ import annotations

import os

import qgis.utils
from parts import iface
from play import Player, Story
from qgis.core import QgsProject
from qgis.PyQt.QtWidgets import QComboBox
from user import User

PARTS = ("431000,431500,4597000,4598000 [EPSG:32631]", "431500,432000,4597000,4598000 [EPSG:32631]")  # west, east


def open_from_toolbox(player: Player, user: User) -> Story:
    """Click the image's layer, find the algorithm in the toolbox, open its dialog by a double click, run a batch."""
    report, processing = player.report, qgis.utils.plugins["processing"]
    report.step("choose the image's layer")
    view = iface().layerTreeView()
    image = QgsProject.instance().mapLayersByName("harbour")[0]
    node = QgsProject.instance().layerTreeRoot().findLayer(image)
    yield from user.item(view, view.node2index(node))
    yield from player.until(lambda: iface().activeLayer() is image, 5, "the layer is the active one")
    report.step("open the toolbox by its menu")
    toolbox = processing.toolbox
    if not toolbox.isVisible():
        yield from user.menu(processing.menu, processing.toolboxAction)
    yield from player.until(toolbox.isVisible, 10, "the toolbox opens")
    toolbox.raise_()
    yield from user.click(toolbox.searchBox)
    yield from user.type("geodetect")
    tree = toolbox.algorithmTree
    index = yield from player.until(lambda: _index(tree, "geodetect:detect"), 10, "the toolbox lists it")
    yield from user.item(tree, index, times=2)
    dialog = yield from user.dialog("AlgorithmDialog")
    images = [box.currentText() for box in dialog.findChildren(QComboBox)]
    report.fact("toolbox", {"title": dialog.windowTitle(), "image": any("harbour" in text for text in images)})
    yield from user.picture("13-processing", dialog)
    yield from run_batch(player, user, dialog)
    toolbox.close()


def run_batch(player: Player, user: User, dialog) -> Story:
    """Go on to a batch of two parts of the image; run it."""
    player.report.step("run a batch of two")
    yield from user.click(dialog.runAsBatchButton)
    batch = yield from user.dialog("BatchAlgorithmDialog")
    panel = batch.mainWidget()
    yield from user.click(panel.btnAdd)
    yield from player.until(lambda: panel.batchRowCount() == len(PARTS), 5, "there are two rows")
    paths = [os.path.join(os.environ["GEODETECT_BATCH"], f"part {number}.gpkg") for number in range(len(PARTS))]
    for row, (extent, path) in enumerate(zip(PARTS, paths, strict=True)):
        for name, value in (("INPUT", iface().activeLayer().source()), ("EXTENT", extent)):
            wrapper = panel.wrappers[row][panel.parameter_to_column[name]]
            wrapper.setParameterValue(value, panel.processing_context)
        cell = panel.tblParameters.cellWidget(row + 1, panel.parameter_to_column["OUTPUT"])  # a row fills all others
        cell.text.setText(path)
    panel.checkLoadLayersOnCompletion.setChecked(False)
    yield from user.click(batch.runButton())
    yield from player.until(lambda: all(map(os.path.isfile, paths)), 60, "both results are written")
    yield from player.until(lambda: not batch.cancelButton().isEnabled(), 30, "the batch ends")
    player.report.fact("batch", paths)
    yield from user.picture("13-batch", batch)
    yield from user.close(batch)


def _index(tree, wanted: str):
    """Return the place of an algorithm in the toolbox, None where it is not listed."""
    model = tree.model()
    waiting = [model.index(row, 0) for row in range(model.rowCount())]
    while waiting:
        index = waiting.pop()
        algorithm = tree.algorithmForIndex(index)
        if algorithm is not None and algorithm.id() == wanted:
            return index
        waiting += [model.index(row, 0, index) for row in range(model.rowCount(index))]
    return None
