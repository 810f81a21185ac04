"""Which detections of a layer are shown: kept with the layer, written as its subset string."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from qgis.core import QgsVectorLayer

from ..processing.vectors import ACCEPTED, REJECTED, REVIEW

PROPERTY = "geodetect/filter"  # custom property of the layer: saved with the project and copied with the layer
CLASS, SCORE = "class", "score"
ROUNDING = 1e-6  # engines give scores in float32, where 0.7 is a little less than 0.7
REVIEWS = ("all", "open", ACCEPTED, "kept")  # shown by review: all; without one; accepted; all but the rejected


@dataclass(frozen=True)
class Filter:
    """What is shown.

    Attributes:
        scores: the least score by class.
        hidden: classes without a tick.
        review: one of `REVIEWS`.
        base: a condition that the user had set on the layer before; it holds too.
    """

    scores: Mapping[str, float] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    review: str = "all"
    base: str = ""

    def passes(self, name: str) -> bool:
        """Whether detections of a class can be shown."""
        return name not in self.hidden

    def subset(self, has_review: bool) -> str:
        """Return the condition, in the SQL that QGIS and OGR share.

        Objects that the user drew have no score: no least score hides them.
        """
        conditions = [f"({self.base})"] if self.base else []
        shown = sorted(name for name in self.scores if self.passes(name))
        if len(shown) < len(self.scores) or len({self.scores[name] for name in shown}) > 1:
            by_class = [self._of_class(name) for name in shown] or [f"\"{CLASS}\" IN ('')"]
            conditions.append("(" + " OR ".join(by_class) + ")")
        elif shown:
            conditions.append(_at_least(self.scores[shown[0]]))
        if has_review and self.review in _BY_REVIEW:
            conditions.append(_BY_REVIEW[self.review])
        return " AND ".join(condition for condition in conditions if condition)

    def _of_class(self, name: str) -> str:
        same = f'"{CLASS}" = \'' + name.replace("'", "''") + "'"
        least = _at_least(self.scores[name])
        return f"({same} AND {least})" if least else same


_BY_REVIEW = {
    "open": f'("{REVIEW}" IS NULL OR "{REVIEW}" = \'\')',
    ACCEPTED: f"\"{REVIEW}\" = '{ACCEPTED}'",
    "kept": f'("{REVIEW}" IS NULL OR "{REVIEW}" <> \'{REJECTED}\')',
}


def _at_least(score: float) -> str:
    return f'("{SCORE}" >= {score - ROUNDING:.6f} OR "{SCORE}" IS NULL)' if score > 0 else ""


def review_passes(chosen: str, review: str) -> bool:
    """Whether a detection with a review, "" for none, is shown under one of `REVIEWS`."""
    return {"open": not review, ACCEPTED: review == ACCEPTED, "kept": review != REJECTED}.get(chosen, True)


def stored_filter(layer: QgsVectorLayer) -> Filter | None:
    """Return the filter that was kept with a layer, None where there is none."""
    try:
        kept = json.loads(layer.customProperty(PROPERTY, "") or "null")
        written, base = kept["written"], kept["base"]
        scores = {str(name): float(score) for name, score in kept["scores"].items()}
        chosen = Filter(scores, frozenset(map(str, kept["hidden"])), str(kept["review"]), str(base))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    if layer.subsetString() != written:  # somebody filtered the layer elsewhere: that is the ground now
        return replace(chosen, base=layer.subsetString())
    return chosen


def apply_filter(layer: QgsVectorLayer, chosen: Filter) -> bool:
    """Filter a layer and keep the filter with it; False where the layer refuses, as one in editing does."""
    subset = chosen.subset(layer.fields().indexOf(REVIEW) >= 0)
    if layer.subsetString() != subset and (layer.isEditable() or not layer.setSubsetString(subset)):
        return False
    kept: dict[str, Any] = {"scores": dict(chosen.scores), "hidden": sorted(chosen.hidden), "review": chosen.review}
    layer.setCustomProperty(PROPERTY, json.dumps({**kept, "base": chosen.base, "written": subset}))
    return True
