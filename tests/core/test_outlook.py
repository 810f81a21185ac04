"""What `forecast` says, and in which order it asks."""

from __future__ import annotations

import re

import numpy as np
import pytest

from geodetect import registry
from geodetect.config import DetectConfig
from geodetect.engines import available
from geodetect.errors import AreaError, ConfigError, SceneError
from geodetect.outlook import forecast
from geodetect.progress import Reporter

pytestmark = pytest.mark.skipif("openvino" not in available(), reason="OpenVINO is not installed")


@pytest.fixture
def scene(write_raster):
    return write_raster(np.random.default_rng(0).integers(0, 255, (3, 2600, 4000), dtype=np.uint8))


@pytest.fixture
def unreachable(monkeypatch):
    def fail(*_: object) -> None:
        raise AssertionError("the model was fetched")

    monkeypatch.setattr(registry, "pull", fail)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"area": "0,0,1,1"}, AreaError),
        ({"score": {"tree": 0.5}}, ConfigError),
        ({"bands": ("9", "9", "9")}, SceneError),
    ],
)
def test_nothing_is_fetched_for_a_run_that_cannot_be(scene, unreachable, change, error):
    with pytest.raises(error):
        forecast(scene, DetectConfig(model="yolov4-dota15", **change))
    with pytest.raises(SceneError):
        forecast(scene.with_name("none.tif"), DetectConfig(model="yolov4-dota15"))


def test_a_download_tells_its_progress(scene, monkeypatch):
    bundled = registry.resolve("planes-ships-yolov3-tiny")

    def fetched(model, card, progress):
        progress(5, None)
        progress(7, 7)
        return bundled

    told = []

    class Told(Reporter):
        def progress(self, stage, done, total, found=0):
            told.append((stage, done, total))

    monkeypatch.setattr(registry, "resolve", fetched)
    forecast(scene, DetectConfig(threads=1), Told())
    assert told == [("download", 5, 0), ("download", 7, 7)]


def test_memory_is_near_what_was_measured(scene):
    report = forecast(scene, DetectConfig(threads=2, precision="float32"))
    (megabytes,) = re.findall(r"about (\d+) MB", report["memory"])
    assert 0.85 * 592 < int(megabytes) < 1.15 * 592  # the peak of this very run, 2 threads
    small = forecast(scene, DetectConfig(threads=2, precision="float32", batch_size=1))
    assert int(re.findall(r"about (\d+) MB", small["memory"])[0]) < int(megabytes) - 150
