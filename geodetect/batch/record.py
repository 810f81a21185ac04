"""What became of a scene of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

STATES = ("waiting", "running", "done", "failed")


@dataclass(frozen=True)
class Record:
    """One scene of a batch.

    Attributes:
        scene: path or URL.
        output: its file's name, in the batch's folder.
        state: one of `STATES`; "running" of a batch that does not run: it was killed meanwhile.
        reason: why it failed, one sentence.
        attempts: how often it was begun.
        seconds: from the begin of its first attempt in the last run to its end.
        tiles: how many were looked at.
        counts: objects by class, classes without any left out.
        footprint: the scene's outline as a WKT polygon, longitude and latitude (WGS 84); "" where it has no CRS.
        ended: when, ISO 8601 in UTC; "" before.
    """

    scene: str
    output: str
    state: str = "waiting"
    reason: str = ""
    attempts: int = 0
    seconds: float = 0.0
    tiles: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    footprint: str = ""
    ended: str = ""

    @property
    def count(self) -> int:
        """How many objects were found."""
        return sum(self.counts.values())
