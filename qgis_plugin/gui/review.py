"""Corrections by hand: each an edit of the layer that Ctrl+Z takes back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from qgis.core import NULL, QgsFeature, QgsFeatureRequest, QgsField, QgsVectorDataProvider, QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication, QVariant

from .filtering import CLASS, REJECTED, REVIEW, SCORE

CLASS_ID = "class_id"
WIDTH = 16  # characters of the field


class ReviewError(Exception):
    """The layer cannot be edited; the message says why."""


def mark(layer: QgsVectorLayer, ids: Iterable[int], review: str) -> None:
    """Write a review, "accepted" or "rejected", to features; "" takes it back.

    Raises:
        ReviewError: the layer cannot be edited.
    """
    text = {"": _tr("Take review back"), REJECTED: _tr("Reject detections")}.get(review, _tr("Accept detections"))
    with _edit(layer, text):
        column = _review_column(layer)
        for fid in ids:
            _change(layer, fid, column, review or NULL)


def relabel(layer: QgsVectorLayer, ids: Iterable[int], name: str) -> None:
    """Give features another class; its number follows where it is known.

    Raises:
        ReviewError: the layer cannot be edited.
    """
    number = class_number(layer, name)
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


def next_open(layer: QgsVectorLayer, after: QgsFeature | None = None) -> QgsFeature | None:
    """Return the shown detection without review that comes next by falling score; from the top again after the last.

    Args:
        layer: to look in.
        after: the one before; None: begin with the surest.
    """
    score = after[SCORE] if after is not None else None
    if isinstance(score, (int, float)):
        behind = f'("{SCORE}" < {score!r} OR ("{SCORE}" = {score!r} AND $id > {after.id()}))'
        found = _first(layer, behind)
        if found is not None:
            return found
    return _first(layer, f"$id <> {after.id()}" if after is not None else "true")


def keep_ids(layer: QgsVectorLayer) -> list[int] | None:
    """Return the shown features that were not rejected, None where that is all of them."""
    if layer.fields().indexOf(REVIEW) < 0:
        return None
    request = QgsFeatureRequest()
    request.setFlags(QgsFeatureRequest.Flag.NoGeometry)
    request.setSubsetOfAttributes([layer.fields().indexOf(REVIEW)])
    kept, total = [], 0
    for feature in layer.getFeatures(request):
        total += 1
        if feature[REVIEW] != REJECTED:
            kept.append(feature.id())
    return None if len(kept) == total else kept


def _first(layer: QgsVectorLayer, condition: str) -> QgsFeature | None:
    unreviewed = f'("{REVIEW}" IS NULL OR "{REVIEW}" = \'\') AND ' if layer.fields().indexOf(REVIEW) >= 0 else ""
    request = QgsFeatureRequest().setFilterExpression(f'{unreviewed}"{SCORE}" IS NOT NULL AND {condition}')
    clause = QgsFeatureRequest.OrderByClause
    request.setOrderBy(QgsFeatureRequest.OrderBy([clause(f'"{SCORE}"', False), clause("$id", True)]))
    request.setLimit(1)
    return next(iter(layer.getFeatures(request)), None)


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
