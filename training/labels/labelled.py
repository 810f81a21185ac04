"""Labelled images, whatever files their labels come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from geodetect.errors import LabelError
from geodetect.values import LONGEST_NAME, hidden

REACH = 1e9  # px; a corner farther out is no place in any image, and areas would lose their digits
_MOST_LINE = 2**63 - 1  # what the column holds; annotation ids may be any number


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """One image and its N objects as columns.

    Attributes:
        name: unique in its split; tiles are named after it.
        path: the image file.
        origin: the label file, for messages.
        split: "train", "val", or "" where the data does not say.
        corners: (N, 4, 2) float64 x, y, image px with the origin at the outer corner of the first pixel; fractions of
            the image's sides where `relative`. May lie outside the image.
        names: (N,) str, the class of each.
        ignored: (N,) bool, neither objects nor background: difficult ones, crowds.
        lines: (N,) int64, where in the label file each stands: line, annotation id or feature.
        relative: whether the corners are fractions.
        size: (width, height) px where the labels tell, to be compared with the image's.
        gsd: ground sample distance, m/px, where known.
    """

    name: str
    path: str
    origin: str
    split: str
    corners: np.ndarray
    names: np.ndarray
    ignored: np.ndarray
    lines: np.ndarray
    relative: bool = False
    size: tuple[int, int] | None = None
    gsd: float | None = None

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, eq=False)
class LabelSet:
    """All labelled images of a data set.

    Attributes:
        kind: "dota", "coco", "yolo" or "layer".
        images: in the order of their split and name.
        classes: the class list that comes with the labels, in its order; empty where there is none.
        notes: sentences that the user should know.
    """

    kind: str
    images: tuple[LabelledImage, ...]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class Rows:
    """Objects of one label file while it is read."""

    corners: list[Sequence[float]] = field(default_factory=list)  # x1, y1, ... x4, y4
    names: list[str] = field(default_factory=list)
    ignored: list[bool] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def add(self, corners: Sequence[float], name: str, ignored: bool, line: int) -> None:
        """Append one object; raises LabelError where its corners or its class cannot be."""
        if not all(abs(value) <= REACH for value in corners):  # NaN is not, either
            raise LabelError(f"a corner lies beyond {REACH:,.0f} px, where no image reaches")
        if len(name) > LONGEST_NAME:
            raise LabelError(f"the class is a text of {len(name):,} characters, at most {LONGEST_NAME} can be")
        if character := hidden(name):
            raise LabelError(f"the class {name!r} has the character {character!r}; give it a plain name")
        self.corners.append(corners)
        self.names.append(name)
        self.ignored.append(ignored)
        self.lines.append(line if abs(line) <= _MOST_LINE else 0)

    def image(self, name: str, path: Path, origin: Path, split: str, **known: Any) -> LabelledImage:
        """Return the labelled image that these objects make up; `known` are its optional fields."""
        return LabelledImage(
            name,
            str(path),
            str(origin),
            split,
            np.array(self.corners, np.float64).reshape(-1, 4, 2),
            np.array(self.names, str),
            np.array(self.ignored, bool),
            np.array(self.lines, np.int64),
            **known,
        )


def box_corners(x1: float, y1: float, x2: float, y2: float) -> tuple[float, ...]:
    """Return a box as x, y of its corners, clockwise from the top left."""
    return x1, y1, x2, y1, x2, y2, x1, y2
