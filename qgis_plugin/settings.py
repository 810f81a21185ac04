"""What the plugin remembers between sessions, in the user's QGIS profile."""

from __future__ import annotations

import os
from typing import TypeVar

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QStandardPaths

GROUP = "geodetect"
PYTHON = "GEODETECT_PYTHON"  # environment variable: the engine's Python, before any setting; for managed desktops
T = TypeVar("T", bool, int, float, str)


def recall(name: str, default: T) -> T:
    """Return what was remembered under a name such as "dock/model", of the default's type; else the default."""
    try:
        value: T = QgsSettings().value(f"{GROUP}/{name}", default, type=type(default))
    except TypeError:  # the profile holds something of another type, perhaps of another version's
        return default
    return value


def remember(name: str, value: bool | int | float | str) -> None:
    """Keep a value for `recall`."""
    QgsSettings().setValue(f"{GROUP}/{name}", value)


def forget(name: str) -> None:
    """Remove what was remembered under a name, and below it."""
    QgsSettings().remove(f"{GROUP}/{name}")


def data_folder() -> str:
    """Return the folder of the engine's private environment: the user's local data, not the profile, which roams."""
    base = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation)
    return os.path.join(base, "geodetect-qgis")
