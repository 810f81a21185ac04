"""Which of a model's classes is which of the data's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geodetect.detections import Detections
from geodetect.errors import LabelError

_SHOWN = 6  # names in a message


@dataclass(frozen=True, slots=True, eq=False)
class ClassMap:
    """The classes that a model and a data set share, by name without regard to case.

    Attributes:
        labels: (model's classes,) int32, the data's label of each, -1 where it has none.
        shared: the data's labels that the model knows, rising.
        notes: sentences on what is left out of the figures.
    """

    labels: np.ndarray
    shared: np.ndarray
    notes: tuple[str, ...]

    @classmethod
    def of(cls, model: Sequence[str], data: Sequence[str]) -> ClassMap:
        """Return the map between two lists of names.

        Raises:
            LabelError: no name is in both.
        """
        places = {_plain(name): label for label, name in enumerate(data)}
        labels = np.array([places.get(_plain(name), -1) for name in model], np.int32)
        shared = np.unique(labels[labels >= 0])
        if not len(shared):
            raise LabelError(
                f"the model's classes are {_listed(model)}, the data's {_listed(data)}: none is in both; "
                "rename the data's classes or take another model"
            )
        missing = [name for label, name in enumerate(data) if label not in shared]
        unknown = [name for name, label in zip(model, labels, strict=True) if label < 0]
        notes = []
        if missing:
            notes.append(f"not scored, since the model does not know them: {_listed(missing)}")
        if unknown:
            notes.append(f"not scored, since the data does not have them: {_listed(unknown)}")
        return cls(labels, shared, tuple(notes))

    def apply(self, found: Detections) -> Detections:
        """Return the detections with the data's labels, those of classes that it does not have left out."""
        labels = self.labels[found.labels]
        known = labels >= 0
        return Detections(found.boxes[known], found.scores[known], labels[known], found.tiles[known])


def _plain(name: str) -> str:
    return name.strip().casefold()


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
