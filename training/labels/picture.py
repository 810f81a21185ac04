"""Opening an image with labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from geodetect.errors import SceneError
from geodetect.scene import Scene, open_scene


def open_picture(path: str | Path, bands: Sequence[str] | None = None) -> Scene:
    """Return an image as a scene of three channels; one of less than three bands is grey: its first band thrice.

    Raises:
        SceneError: see `open_scene`.
    """
    try:
        return open_scene(path, bands)
    except SceneError:
        if bands:
            raise
        return open_scene(path, ("1", "1", "1"))  # DOTA has grey images; whatever else is wrong is told by this call
