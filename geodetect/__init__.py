"""Find planes, ships and other objects in large satellite and aerial images."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geodetect import errors, networks
    from geodetect.batch.run import BatchOptions, BatchResult, run_batch
    from geodetect.batch.sources import find_scenes
    from geodetect.config import DetectConfig
    from geodetect.demo import make_scene
    from geodetect.evaluation import Evaluation, MapObjects
    from geodetect.mosaic import merge_results
    from geodetect.outlook import forecast
    from geodetect.package import ModelPackage, open_package
    from geodetect.pipeline import Detector, DetectResult, detect
    from geodetect.registry import catalogue, import_file, pull, resolve
    from geodetect.scene import Scene, open_scene
    from geodetect.vectors import evaluate
    from geodetect.window import Window

__version__ = "0.1.0"

__all__ = [
    "BatchOptions",
    "BatchResult",
    "DetectConfig",
    "DetectResult",
    "Detector",
    "Evaluation",
    "MapObjects",
    "ModelPackage",
    "Scene",
    "Window",
    "catalogue",
    "detect",
    "errors",
    "evaluate",
    "find_scenes",
    "forecast",
    "import_file",
    "make_scene",
    "merge_results",
    "networks",
    "open_package",
    "open_scene",
    "pull",
    "resolve",
    "run_batch",
]

# public name: module that holds it, loaded when first asked for, so that `import geodetect` costs nothing
_PUBLIC = {
    "BatchOptions": "batch.run",
    "BatchResult": "batch.run",
    "DetectConfig": "config",
    "DetectResult": "pipeline",
    "Detector": "pipeline",
    "Evaluation": "evaluation",
    "MapObjects": "evaluation",
    "ModelPackage": "package",
    "Scene": "scene",
    "Window": "window",
    "catalogue": "registry",
    "detect": "pipeline",
    "evaluate": "vectors",
    "find_scenes": "batch.sources",
    "forecast": "outlook",
    "import_file": "registry",
    "make_scene": "demo",
    "merge_results": "mosaic",
    "open_package": "package",
    "open_scene": "scene",
    "pull": "registry",
    "resolve": "registry",
    "run_batch": "batch.run",
}
_MODULES = ("errors", "networks")


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"geodetect.{_PUBLIC[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"geodetect.{name}")
    raise AttributeError(f"module 'geodetect' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
