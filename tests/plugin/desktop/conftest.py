"""Three starts of one desktop, which all tests look at: they take a minute and a half together."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import host
import pytest
from launch import ROOT, Desktop, Ended, screen

DRAW = """
import sys
from geodetect.demo.scene import make_scene
make_scene(sys.argv[1], size=int(sys.argv[2]), seed=3)
"""
SIZE = 2000  # px of the scene
TIMES = 6  # the scene is repeated so often in either direction for runs that are broken off


@dataclass(frozen=True)
class Starts:
    """What was seen.

    Attributes:
        first, second, third: how each start ended.
        scene: the image that was looked at.
        left: seconds that the engine ran on when QGIS was killed; None where it was still there after all.
        folder: of all that is temporary.
        pictures: what the screen showed.
    """

    first: Ended
    second: Ended
    third: Ended
    scene: Path
    left: float | None
    folder: Path
    pictures: Path


@pytest.fixture(scope="session")
def engine() -> str:
    """The Python that geodetect is installed in."""
    python = os.environ.get("GEODETECT_PYTHON", "")
    if not Path(python).is_file():
        pytest.fail("set GEODETECT_PYTHON to a Python with geodetect, as `make test-qgis` does")
    return python


@pytest.fixture(scope="session")
def starts(engine) -> Iterator[Starts]:
    """Do it all; where that fails, logs and files stay to be looked at."""
    folder = Path(tempfile.mkdtemp(prefix="desktop-"))  # not pytest's: the path is seen in pictures
    yield play_all(engine, folder)
    shutil.rmtree(folder)


def play_all(engine: str, folder: Path) -> Starts:
    """Start QGIS three times."""
    pictures = Path(os.environ.get("GEODETECT_SCREENSHOTS", ROOT / "build" / "qgis")).resolve()
    for old in pictures.glob("*.png"):
        old.unlink()
    images = folder / "images ü"
    images.mkdir()
    scene, mosaic = images / "harbour.tif", images / "mosaic.vrt"
    subprocess.run([engine, "-I", "-c", DRAW, str(scene), str(SIZE)], check=True, timeout=120)
    host.mosaic(mosaic, scene, TIMES, SIZE)
    subprocess.run([sys.executable, "-m", "tools.build_plugin", "--into", str(folder)], check=True, cwd=ROOT)
    project, environment = folder / "harbour.qgz", folder / "engine"
    environment.symlink_to(Path(engine).parents[1])
    with screen() as display:
        desktop = Desktop(folder, pictures, next(folder.glob("*.zip")), display)
        told = {
            "GEODETECT_ENGINE": str(environment / "bin" / Path(engine).name),
            "GEODETECT_MOSAIC": str(mosaic),
            "GEODETECT_PROJECT": str(project),
            "GEODETECT_BATCH": str(images),
            "GEODETECT_TRUTH": str(scene.with_name("harbour-truth.gpkg")),
        }
        first = desktop.play("first", [scene], **told)
        desktop.set("UI", UITheme="Night Mapping")
        second = desktop.play("second", [project])
        desktop.set("UI", UITheme="default")
        desktop.set("locale", userLocale="zh-Hans")
        third = desktop.play("third", [mosaic], kill_when=lambda facts: "engine" in facts)
        left = seconds_until_gone(third.facts["engine"])
    return Starts(first, second, third, scene, left, folder, pictures)


def seconds_until_gone(pids: list[int], most: float = 20) -> float | None:
    """Wait for processes to end; None where they do not."""
    begun = time.monotonic()
    while host.alive(pids):
        if time.monotonic() - begun > most:
            return None
        time.sleep(0.05)
    return time.monotonic() - begun
