"""Find planes, ships and other objects in large satellite and aerial images."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geodetect.config import DetectConfig
    from geodetect.evaluation import evaluate
    from geodetect.package import ModelPackage, open_package
    from geodetect.pipeline import DetectResult, detect
    from geodetect.registry import resolve
    from geodetect.scene import Scene, open_scene

__version__ = "0.1.0"

# public name: module that holds it, loaded when first asked for, so that `import geodetect` costs nothing
_PUBLIC = {
    "DetectConfig": "config",
    "DetectResult": "pipeline",
    "ModelPackage": "package",
    "Scene": "scene",
    "detect": "pipeline",
    "evaluate": "evaluation",
    "open_package": "package",
    "open_scene": "scene",
    "resolve": "registry",
}
__all__ = [
    "DetectConfig",
    "DetectResult",
    "ModelPackage",
    "Scene",
    "detect",
    "evaluate",
    "open_package",
    "open_scene",
    "resolve",
]


def __getattr__(name: str):
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"geodetect.{_PUBLIC[name]}"), name)
    if name in ("networks", "errors"):
        return importlib.import_module(f"geodetect.{name}")
    raise AttributeError(f"module 'geodetect' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC, "networks", "errors"])
