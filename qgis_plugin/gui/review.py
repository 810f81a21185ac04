"""Corrections by hand: each an edit of the layer that Ctrl+Z takes back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Callable

from qgis.core import NULL, QgsFeature, QgsFeatureRequest, QgsField, QgsVectorDataProvider, QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication, QVariant

from .census import unfiltered
from .filtering import CLASS, REJECTED, REVIEW, SCORE

CLASS_ID = "class_id"
WIDTH = 16  # characters of the field
FEW = 500  # detections that are looked at first for the next one
EXACT = 1e-8  # more than what is lost of a score when it is written into an expression
ALL = float("-inf")
Floor = Callable[[float, int], float]  # see `census.Census.floor`


class ReviewError(Exception):
    """The layer cannot be edited; the message says why."""


def mark(layer: QgsVectorLayer, ids: Iterable[int], review: str) -> None:
    """Write a review, "accepted" or "rejected", to features.

    Raises:
        ReviewError: the layer cannot be edited.
    """
    with _edit(layer, _tr("Reject detections") if review == REJECTED else _tr("Accept detections")):
        column = _review_column(layer)
        for fid in ids:
            _change(layer, fid, column, review)


def relabel(layer: QgsVectorLayer, ids: Iterable[int], name: str) -> None:
    """Give features another class; its number follows where it is known.

    Raises:
        ReviewError: the layer cannot be edited.
    """
    number = class_number(layer, name)
    if number is None and layer.subsetString():
        number = class_number(unfiltered(layer, ""), name)  # perhaps none of the class is shown
    with _edit(layer, _tr("Change class of detections")):
        fields = layer.fields()
        for fid in ids:
            _change(layer, fid, fields.indexOf(CLASS), name)
            if fields.indexOf(CLASS_ID) >= 0:
                _change(layer, fid, fields.indexOf(CLASS_ID), NULL if number is None else number)


def class_number(layer: QgsVectorLayer, name: str) -> int | None:
    """Return the number that features of a class have, None where there are none."""
    if layer.fields().indexOf(CLASS_ID) < 0:
        return None
    quoted = name.replace("'", "''")
    request = QgsFeatureRequest().setFilterExpression(f'"{CLASS}" = \'{quoted}\' AND "{CLASS_ID}" IS NOT NULL')
    request.setFlags(QgsFeatureRequest.Flag.NoGeometry)
    request.setLimit(1)
    return next((int(feature[CLASS_ID]) for feature in layer.getFeatures(request)), None)


def next_open(
    layer: QgsVectorLayer, after: QgsFeature | None = None, floor: Floor = lambda highest, number: ALL
) -> QgsFeature | None:
    """Return the shown detection without review that comes next by falling score; from the top again after the last.

    Args:
        layer: to look in.
        after: the one before; None: begin with the surest.
        floor: what tells how far down to look for so many detections, which makes it quick in large layers.
    """
    score = after[SCORE] if after is not None else None
    if isinstance(score, (int, float)):
        place = (-score, after.id())
        found = _first(layer, score, floor, lambda other: other > place)
        if found is not None:
            return found
    return _first(layer, -ALL, floor, lambda other: after is None or other[1] != after.id())


def _first(
    layer: QgsVectorLayer, highest: float, floor: Floor, fits: Callable[[tuple[float, int]], bool]
) -> QgsFeature | None:
    """Return the first that fits, looking further down until there is one or all have been looked at."""
    number, lowest = FEW, -ALL
    while lowest > ALL:
        lowest = floor(highest, number)
        places = [place for place in _open(layer, lowest, highest) if fits(place)]
        if places:
            return layer.getFeature(min(places)[1])
        highest, number = lowest, 4 * number
    return None


def _open(layer: QgsVectorLayer, lowest: float, highest: float) -> Iterator[tuple[float, int]]:
    """Yield (-score, id) of the shown detections without review between two scores.

    The conditions are such that a file's own driver tests them.
    """
    conditions = [f'"{SCORE}" IS NOT NULL']
    if lowest > ALL:
        conditions.append(f'"{SCORE}" >= {lowest - EXACT:.9f}')
    if highest < -ALL:
        conditions.append(f'"{SCORE}" <= {highest + EXACT:.9f}')
    fields = layer.fields()
    score_at, review_at = fields.indexOf(SCORE), fields.indexOf(REVIEW)
    if layer.dataProvider().fields().indexOf(REVIEW) >= 0:  # it may be too new for the file
        conditions.append(f'("{REVIEW}" IS NULL OR "{REVIEW}" = \'\')')
    request = QgsFeatureRequest().setFilterExpression(" AND ".join(conditions))
    request.setFlags(QgsFeatureRequest.Flag.NoGeometry)
    request.setSubsetOfAttributes([column for column in (score_at, review_at) if column >= 0])
    for feature in layer.getFeatures(request):
        if review_at < 0 or feature[review_at] in (None, NULL, ""):
            yield -feature[score_at], feature.id()


@contextmanager
def _edit(layer: QgsVectorLayer, text: str) -> Iterator[None]:
    """Make what is done within one step of the layer's undo stack; nothing of it stays where it fails."""
    begun = not layer.isEditable()
    if begun and not layer.startEditing():
        told = _tr("“{layer}” cannot be edited: it is read-only, or another program is writing to it.")
        raise ReviewError(told.format(layer=layer.name()))
    layer.beginEditCommand(text)
    try:
        yield
    except BaseException:
        layer.destroyEditCommand()
        if begun:
            layer.rollBack()
        raise
    layer.endEditCommand()


def _review_column(layer: QgsVectorLayer) -> int:
    """Return the place of the field for reviews, added where there is none."""
    column: int = layer.fields().indexOf(REVIEW)
    if column >= 0:
        return column
    can = layer.dataProvider().capabilities() & QgsVectorDataProvider.Capability.AddAttributes
    if not can or not layer.addAttribute(QgsField(REVIEW, QVariant.String, "", WIDTH)):
        told = _tr("“{layer}” cannot be given a field for reviews; save it as a GeoPackage first.")
        raise ReviewError(told.format(layer=layer.name()))
    return int(layer.fields().indexOf(REVIEW))


def _change(layer: QgsVectorLayer, fid: int, column: int, value: Any) -> None:
    if not layer.changeAttributeValue(fid, column, value):
        raise ReviewError(_tr("A feature of “{layer}” cannot be changed.").format(layer=layer.name()))


def _tr(text: str) -> str:
    return QCoreApplication.translate("Review", text)
