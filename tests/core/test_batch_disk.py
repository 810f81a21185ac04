"""A disk that is full, at whichever step, is told and spoils nothing; with room the next run finishes the work."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import Here, command, complete, ended, finished, told, whole
from running import features, write_scene

from geodetect.batch import run
from geodetect.batch.run import status
from geodetect.batch.state import FILE

resource = pytest.importorskip("resource", reason="no such limits")
WORDS = ("--engine", "openvino", "--precision", "float32", "--score", "0.3", "--workers", "1", "--retries", "0")


@pytest.fixture(scope="module")
def scenes(pixels, tmp_path_factory) -> Path:
    """A scene of one tile and one of four."""
    folder = tmp_path_factory.mktemp("scenes")
    write_scene(folder / "scene0.tif", pixels[:, :640, :640])
    write_scene(folder / "scene1.tif", pixels, 2000)
    return folder


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A disk of its own, as yet of one page; `grow` makes it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux" or not shutil.which("mount"):
        pytest.skip("needs Linux and mount")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "geodetect", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"needs the right to mount: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def grow(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)


SIZES = (4, 40, 52, 132, 228, 348, 420)  # kB


def test_a_disk_that_is_full_at_any_step(scenes, undisturbed, disk, monkeypatch):
    """It grows by little each time, and another step fails; the last run has room, and then all is right."""
    monkeypatch.setattr(run, "LocalWorkers", Here)
    lines: list[str] = []
    for size in SIZES:
        grow(disk, f"{size}k")
        words = ["--continue"] if (disk / FILE).exists() else []
        code, said = told(scenes, *words, "-o", disk, "--block", "1", *WORDS, progress="auto")
        assert code in (1, 3)
        assert said.strip()
        lines += said.splitlines()
        whole(disk)
        assert all(undisturbed[name] == found for name, found in features(disk).items())
    assert all("disk is full" in line for line in lines), lines
    for step in ("batch.sqlite", ".journal", "scene0_detections.gpkg", "scene1_detections.gpkg", "summary.gpkg"):
        assert any(step in line for line in lines), (step, lines)
    grow(disk, "16m")
    assert told(scenes, "--continue", "-o", disk, *WORDS) == (0, "")
    complete(disk, undisturbed)
    assert (disk / "report.html").stat().st_size > 10_000
    assert len(list((disk / "quicklooks").glob("*.jpg"))) == 2


def test_a_file_that_may_grow_no_more(scenes, undisturbed, tmp_path):
    """As on a disk that is full for a result, but not for the state, which is smaller."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (80_000, 80_000))

    code, _ = ended(command(scenes, "-o", tmp_path, "--workers", "1", "--retries", "0"), preexec_fn=limit)
    assert code == 1
    assert features(tmp_path) == {}
    reasons = {record.reason for record in status(tmp_path)[0].records}
    assert len(reasons) == len(undisturbed)
    assert all("could not be written" in reason for reason in reasons)
    finished(tmp_path, undisturbed)
