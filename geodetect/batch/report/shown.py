"""What a report shows of scenes and reasons."""

from __future__ import annotations

from geodetect.batch.record import Record
from geodetect.gdal import scene_name
from geodetect.shown import shown, shown_path


def shown_name(scene: str) -> str:
    """Return the name of a scene's file as it may be shown."""
    path = shown_path(scene)
    return scene_name(path) or path


def shown_reason(record: Record, instead: str) -> str:
    """Return why a scene failed, with `instead` for its path, whose query would not be found if it holds spaces."""
    return shown(record.reason.replace(record.scene, instead) if record.scene else record.reason)
