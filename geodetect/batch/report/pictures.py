"""Pictures of scenes inside the report itself."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geodetect.batch.record import Record

PICTURES = 200  # in one report at most
BYTES = 12_000_000  # of them all, so that the page stays quick to open
_LARGEST = 1_000_000  # bytes of one
_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True)
class Picture:
    """One scene's picture: which record it is of, and the picture as a data: URI."""

    index: int
    uri: str


def embedded(records: Sequence[Record], folder: Path | None) -> tuple[list[Picture], int]:
    """Return pictures of scenes, those with most objects first, and how many there would be in all.

    Args:
        records: the batch's scenes; of those that are done pictures are shown.
        folder: holds `STEM.jpg` for a scene whose output is STEM with any ending; None: no pictures.
    """
    if folder is None or not folder.is_dir():
        return [], 0
    there = {path.name for path in folder.iterdir() if path.suffix == ".jpg" and path.is_file()}
    named = [(index, f"{Path(record.output).stem}.jpg") for index, record in enumerate(records) if _is_done(record)]
    found = sorted(((i, name) for i, name in named if name in there), key=lambda item: -records[item[0]].count)
    pictures: list[Picture] = []
    left = BYTES
    for index, name in found:
        size = (folder / name).stat().st_size
        if len(pictures) == PICTURES or size > left:
            break
        content = (folder / name).read_bytes() if size <= _LARGEST else b""
        if content.startswith(_JPEG):
            left -= len(content)
            pictures.append(Picture(index, f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"))
    return pictures, len(found)


def _is_done(record: Record) -> bool:
    return record.state == "done"
