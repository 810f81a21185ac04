"""All detections of a layer, counted beside other work, shown or not."""

from __future__ import annotations

import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Callable

from qgis.core import QgsFeatureRequest, QgsProviderRegistry, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from .filtering import CLASS, REVIEW, ROUNDING, SCORE, Filter, review_passes

SLICE = 0.008  # s of reading before other events have their turn
PAUSE = 50  # ms between looks at whether QGIS draws
PATIENCE = 5.0  # s that its drawing is waited for


@dataclass(frozen=True)
class Census:
    """Scores of all detections, ascending, by class and review ("" for none).

    Objects without a score, which people drew, count as surest.
    """

    scores: Mapping[tuple[str, str], list[float]] = field(default_factory=dict)

    @property
    def classes(self) -> list[str]:
        """Return the classes that occur, in alphabetical order."""
        return sorted({name for name, _ in self.scores})

    @property
    def reviewed(self) -> int:
        """Return how many have a review."""
        return sum(len(scores) for (_, review), scores in self.scores.items() if review)

    def counts(self, chosen: Filter) -> dict[str, tuple[int, int]]:
        """Return (shown, all) by class."""
        found = dict.fromkeys(self.classes, (0, 0))
        for (name, review), scores in self.scores.items():
            shown, total = found[name]
            if chosen.passes(name) and review_passes(chosen.review, review):
                shown += len(scores) - bisect_left(scores, chosen.scores.get(name, 0.0) - ROUNDING)
            found[name] = shown, total + len(scores)
        return found

    def floor(self, chosen: Filter, highest: float, number: int) -> float:
        """Return the score from which up to `highest` there are `number` detections to review, -inf where fewer are.

        Those without a score are none of them.
        """
        best: list[float] = []
        for (name, review), scores in self.scores.items():
            if not review and chosen.passes(name):
                begin = bisect_left(scores, chosen.scores.get(name, 0.0) - ROUNDING)
                end = bisect_right(scores, min(highest, sys.float_info.max))
                best += scores[max(begin, end - number) : end]
        best.sort(reverse=True)
        return best[number - 1] if len(best) >= number else float("-inf")


class CensusTaker(QObject):
    """Reads a layer's detections between other events, a few milliseconds at a time.

    In this thread and through a layer of its own: on GeoPackages, QGIS's provider fails where one thread reads while
    another changes the filter.

    Attributes:
        taken: a `Census`.
    """

    taken = pyqtSignal(object)

    def __init__(self, is_busy: Callable[[], bool]) -> None:
        """Take `is_busy`, which says whether QGIS is drawing: reading waits until it is not, but not for ever."""
        super().__init__()
        self._is_busy = is_busy
        self._layer: QgsVectorLayer | None = None
        self._rows: Iterator[tuple[str, str, float]] = iter(())
        self._found: dict[tuple[str, str], list[float]] = {}
        self._latest = 0.0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._go_on)

    def start(self, layer: QgsVectorLayer, base: str) -> None:
        """Count a layer's detections that fulfil `base`, whatever else it is filtered by; forget what went on."""
        self.stop()
        self._layer = unfiltered(layer, base)
        self._found = {}
        self._latest = time.monotonic() + PATIENCE
        self._timer.start(PAUSE)

    def stop(self) -> None:
        """Forget it."""
        self._timer.stop()
        self._rows = iter(())  # closes its connection
        self._layer = None

    def _go_on(self) -> None:
        if self._timer.interval() == PAUSE:
            if self._is_busy() and time.monotonic() < self._latest:
                return
            self._rows = _rows(self._layer)
            self._timer.setInterval(0)
        end = time.monotonic() + SLICE
        for name, review, score in self._rows:
            self._found.setdefault((name, review), []).append(score)
            if time.monotonic() > end:
                return
        self.stop()
        self.taken.emit(Census({key: sorted(scores) for key, scores in self._found.items()}))


def unfiltered(layer: QgsVectorLayer, base: str) -> QgsVectorLayer:
    """Return a layer of the same data that is filtered by `base` alone, whatever the given one is filtered by."""
    if layer.providerType() != "ogr":
        copy: QgsVectorLayer = layer.clone()
        if copy.subsetString() != base:
            copy.setSubsetString(base)
        return copy
    registry = QgsProviderRegistry.instance()
    parts = registry.decodeUri("ogr", layer.source())
    parts.pop("subset", None)
    if base:
        parts["subset"] = base
    options = QgsVectorLayer.LayerOptions()
    options.loadDefaultStyle = False
    return QgsVectorLayer(registry.encodeUri("ogr", parts), layer.name(), "ogr", options)


def _rows(layer: QgsVectorLayer) -> Iterator[tuple[str, str, float]]:
    """Yield class, review and score of each detection."""
    fields = layer.fields()
    name_at, score_at, review_at = (fields.indexOf(name) for name in (CLASS, SCORE, REVIEW))
    request = QgsFeatureRequest()
    request.setFlags(QgsFeatureRequest.Flag.NoGeometry)
    request.setSubsetOfAttributes([column for column in (name_at, score_at, review_at) if column >= 0])
    for feature in layer.getFeatures(request):
        values = feature.attributes()
        score = values[score_at]  # a number, or QGIS's NULL, which is an object of its own
        surest = float(score) if isinstance(score, (int, float)) else float("inf")
        yield str(values[name_at] or ""), str((values[review_at] if review_at >= 0 else "") or ""), surest
