"""A rectangle of pixels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open rectangle of pixels in the scene frame: columns [col, col + width), rows [row, row + height).

    Raises ValueError when a side is not positive.
    """

    row: int
    col: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"a window needs positive sides, not {self.width} x {self.height}")

    @property
    def right(self) -> int:
        """First column to the right of the window."""
        return self.col + self.width

    @property
    def bottom(self) -> int:
        """First row below the window."""
        return self.row + self.height

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) in px, as boxes have it."""
        return self.col, self.row, self.right, self.bottom

    def intersection(self, other: Window) -> Window | None:
        """Return what both windows cover, None where they do not overlap."""
        left, top = max(self.col, other.col), max(self.row, other.row)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        if right <= left or bottom <= top:
            return None
        return Window(top, left, bottom - top, right - left)
