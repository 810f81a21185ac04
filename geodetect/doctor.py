"""What this installation can do: versions, engines, and one tile through the model that comes with it."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from geodetect import __version__, engines, registry
from geodetect.config import DetectConfig
from geodetect.selftest import SelfTest, run_selftest

PACKAGES = ("numpy", "rasterio", "pyogrio", "shapely", "openvino", "onnxruntime", "onnxruntime-gpu", "mindspore")


@dataclass(frozen=True)
class Checkup:
    """What was found.

    Attributes:
        geodetect, python, executable, platform: what runs here, and where.
        versions: of the packages that matter and are installed; GDAL's too.
        engines: names of those installed.
        can_train: whether MindSpore is there.
        model: name and version of the default model.
        selftest: what the model's stored input gave.
        milliseconds: for one tile.
    """

    geodetect: str
    python: str
    executable: str
    platform: str
    versions: dict[str, str]
    engines: tuple[str, ...]
    can_train: bool
    model: str
    selftest: SelfTest
    milliseconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self) | {"passed": self.selftest.passed}


def examine(engine: str = "auto", device: str = "auto", precision: str = "auto") -> Checkup:
    """Return what this installation can do; runs the default model twice.

    Raises:
        EngineError: the engine or the device is not there, or does not work.
        ModelError: the model is damaged.
    """
    import rasterio

    package = registry.resolve(DetectConfig().model)
    versions = {"gdal": rasterio.__gdal_version__}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    tested = run_selftest(package, engine, device, precision)
    card = package.card
    opened = engines.open_engine(package, engine, device, precision)
    try:
        tile = np.zeros((1, 3, card.input.size, card.input.size), np.float32)
        opened.predict(tile)  # the first compiles
        started = time.perf_counter()
        opened.predict(tile)
        seconds = time.perf_counter() - started
    finally:
        opened.close()
    return Checkup(
        geodetect=__version__,
        python=platform.python_version(),
        executable=sys.executable,
        platform=platform.platform(),
        versions=versions,
        engines=engines.available(),
        can_train="mindspore" in engines.available(),
        model=f"{card.name} {card.version}",
        selftest=tested,
        milliseconds=round(1000 * seconds, 1),
    )
