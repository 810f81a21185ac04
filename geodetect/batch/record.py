"""What became of a scene of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from geodetect.progress import Caution

STATES = ("waiting", "running", "done", "outside", "failed")


@dataclass(frozen=True)
class Record:
    """One scene of a batch.

    Attributes:
        scene: path or URL.
        output: its file's name, in the batch's folder.
        state: one of `STATES`; "running" of a batch that does not run: it was killed meanwhile. "outside": the area of
            interest does not meet the scene.
        reason: why it failed or is outside, one sentence.
        attempts: how often it was begun.
        seconds: from the begin of its first attempt in the last run to its end.
        tiles: how many were looked at.
        counts: objects by class, classes without any left out.
        footprint: the scene's outline as a WKT polygon, longitude and latitude (WGS 84); "" where it has no CRS.
        ended: when, ISO 8601 in UTC; "" before.
        notes: what the user should know of the scene, one sentence each, some of them a `Caution`.
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
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many objects were found."""
        return sum(self.counts.values())


def notes_of(records: Iterable[Record]) -> list[tuple[str, list[Record]]]:
    """Return all notes, each with the scenes that have it: cautions first, then what most have."""
    noted: dict[str, list[Record]] = {}
    for record in records:
        for note in record.notes:
            noted.setdefault(note, []).append(record)
    return sorted(noted.items(), key=lambda item: (not isinstance(item[0], Caution), -len(item[1])))
