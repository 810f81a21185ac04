"""Result layers: their place in the project, and which layers are results."""

from __future__ import annotations

from qgis.core import (
    NULL,
    QgsCategorizedSymbolRenderer,
    QgsLayerTreeGroup,
    QgsMapLayer,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..styling import RUNS
from .filtering import CLASS, SCORE

SCENE = "geodetect/scene"  # custom properties of a result: the raster layer's id,
SOURCE = "geodetect/source"  # its source, should it be added anew,
MODEL = "geodetect/model"  # and what found the objects
GROUP = "geodetect/group"  # of a group in the layer tree: the scene's source
AREA = "area"  # of a run: the part of the image that it looked at, nothing where that is all of it


def is_result(layer: QgsMapLayer | None) -> bool:
    """Whether a layer holds detections: it has a class and a score."""
    if not isinstance(layer, QgsVectorLayer) or not layer.isValid():
        return False
    fields = layer.fields()
    return fields.indexOf(CLASS) >= 0 and fields.indexOf(SCORE) >= 0 and fields.field(SCORE).isNumeric()


def add_result(layer: QgsVectorLayer, scene_name: str, scene_source: str, scene_id: str, model: str) -> None:
    """Add a result to the project, at the top of its scene's group."""
    project = QgsProject.instance()
    group = _group(project, scene_name, scene_source)
    layer.setCustomProperty(SCENE, scene_id)
    layer.setCustomProperty(SOURCE, scene_source)
    layer.setCustomProperty(MODEL, model)
    layer.setName(_free_name(group, _tr("{scene}: detections").format(scene=scene_name)))
    project.addMapLayer(layer, False)
    group.insertLayer(0, layer)
    if group.isExpanded():  # so it says, but QGIS shows a group folded that was empty when it came
        group.setExpanded(False)
        group.setExpanded(True)


def drop_empty_groups() -> None:
    """Remove the scenes' groups that have lost their last layer."""
    for group in QgsProject.instance().layerTreeRoot().findGroups(True):
        if group.customProperty(GROUP) and not group.children():
            group.parent().removeChildNode(group)


def covers_part(layer: QgsVectorLayer) -> bool:
    """Whether the run that a result comes from looked at a part of its image only, as far as the result tells."""
    source = layer.source().split("|")[0]
    if layer.providerType() == "ogr" and source.lower().endswith(".gpkg"):
        runs = QgsVectorLayer(f"{source}|layername={RUNS}", RUNS, "ogr")
        if runs.isValid() and runs.fields().indexOf(AREA) >= 0:
            found = {run["run_id"]: run[AREA] for run in runs.getFeatures()}
            column = layer.fields().indexOf("run_id")
            own = layer.uniqueValues(column) & set(found) if column >= 0 else set()
            return any(found[run] not in (None, NULL, "") for run in own or found)
    return any(line.startswith(f"{AREA}: ") for line in layer.metadata().history())


def scene_of(layer: QgsVectorLayer) -> QgsRasterLayer | None:
    """Return the raster layer that a result was found in, None where the project does not have it."""
    project = QgsProject.instance()
    by_id = project.mapLayer(layer.customProperty(SCENE, "") or "")
    if isinstance(by_id, QgsRasterLayer):
        return by_id
    source = layer.customProperty(SOURCE, "")
    rasters = (raster for raster in project.mapLayers().values() if isinstance(raster, QgsRasterLayer))
    return next((raster for raster in rasters if source and raster.source() == source), None)


def class_colours(layer: QgsVectorLayer) -> dict[str, str]:
    """Return the classes of the layer's style with their colours."""
    renderer = layer.renderer()
    if not isinstance(renderer, QgsCategorizedSymbolRenderer):
        return {}
    return {
        str(category.value()): category.symbol().color().name()
        for category in renderer.categories()
        if isinstance(category.value(), str) and category.value() and category.symbol() is not None
    }


def _group(project: QgsProject, scene_name: str, scene_source: str) -> QgsLayerTreeGroup:
    """Return the scene's group; a new one is put on top, so that its layers lie above the image."""
    root = project.layerTreeRoot()
    for group in root.findGroups(True):
        if group.customProperty(GROUP) == scene_source:
            return group
    group = root.insertGroup(0, _tr("GeoDetect: {scene}").format(scene=scene_name))
    group.setCustomProperty(GROUP, scene_source)
    return group


def _free_name(group: QgsLayerTreeGroup, name: str) -> str:
    taken = {node.name() for node in group.findLayers()}
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    return free


def _tr(text: str) -> str:
    return QCoreApplication.translate("Results", text)
