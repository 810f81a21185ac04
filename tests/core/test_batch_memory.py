"""What has too little memory says so, spoils nothing else and finishes where there is more."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from faults import begun, command, ended, finished, whole, workers_of
from running import MODEL, features, write_scene

from geodetect import registry
from geodetect.batch import workers
from geodetect.batch.run import status
from geodetect.batch.workers import local_slots

resource = pytest.importorskip("resource", reason="no such limits")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts and limits a process's memory so")
HEADROOM = 150 << 20  # bytes, less than half of what the large scene's one block takes
BANDS = 400


@pytest.fixture(scope="module")
def scenes(pixels, tmp_path_factory) -> Path:
    """Three small scenes, then one of a single block of 400 MB, then a small one again."""
    folder = tmp_path_factory.mktemp("scenes")
    for number in (0, 1, 2, 4):
        write_scene(folder / f"scene{number}.tif", pixels[:, :640, :640], 2000 * number)
    wide = np.zeros((BANDS, *pixels.shape[1:]), np.uint8)
    wide[:3] = pixels
    block = {"interleave": "pixel", "compress": "deflate", "blockysize": pixels.shape[1]}
    write_scene(folder / "scene3.tif", wide, 6000, **block)
    return folder


def peak(process: psutil.Process) -> int:
    """Return the most address space that a process ever had, bytes."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmPeak"))


def test_a_worker_without_memory_fails_its_scene_alone(scenes, undisturbed, tmp_path):
    words = command(scenes, "-o", tmp_path, "--workers", "1", "--retries", "1")
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as run:
        begun(tmp_path, 1)
        (worker,) = workers_of(psutil.Process(run.pid))
        limit = peak(worker) + HEADROOM
        worker.rlimit(resource.RLIMIT_AS, (limit, limit))
        _, told = run.communicate(timeout=300)
    assert run.returncode == 1
    assert "Traceback" not in told
    states = [record.state for record in status(tmp_path)[0].records]
    assert states == ["done", "done", "done", "failed", "done"]
    large = status(tmp_path)[0].records[3]
    assert "memory" in large.reason
    assert "scene3.tif" in large.reason
    whole(tmp_path)
    assert len(features(tmp_path)) == 4
    finished(tmp_path, undisturbed)


def detect_within(scene: Path, output: Path, limit: int) -> tuple[int, str]:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    return ended(command(scene, "-o", output, "--threads", "1", name="detect"), preexec_fn=limited)


@pytest.fixture(scope="module")
def needed(scenes, tmp_path_factory) -> int:
    """The address space that a small scene takes, bytes."""
    output = tmp_path_factory.mktemp("small") / "a.gpkg"
    words = command(scenes / "scene0.tif", "-o", output, "--threads", "1", name="detect")
    most = 0
    with subprocess.Popen(words) as run:
        while run.poll() is None:
            try:
                most = max(most, peak(psutil.Process(run.pid)))
            except (psutil.Error, OSError, StopIteration):
                break
            time.sleep(0.01)
    assert run.returncode == 0
    return most


def test_one_scene_without_memory_is_one_sentence_and_goes_on_later(scenes, undisturbed, needed, tmp_path):
    output = tmp_path / "scene3_detections.gpkg"
    code, told = detect_within(scenes / "scene3.tif", output, needed + HEADROOM)
    assert code == 3
    assert told.startswith(f"Error: {scenes / 'scene3.tif'} cannot be read at column 0, row 0: no memory is left")
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    assert ended(command(scenes / "scene3.tif", "-o", output, name="detect")) == (0, "")
    assert features(tmp_path) == {output.name: undisturbed[output.name]}


@pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
def test_however_little_memory_there_is_no_half_file_is_left(scenes, undisturbed, needed, tmp_path, share):
    """Where it fails is open: while libraries are loaded, while the engine is made, while a tile is read."""
    output = tmp_path / "scene0_detections.gpkg"
    code, told = detect_within(scenes / "scene0.tif", output, int(share * needed))
    assert code != 0
    assert "unexpected" not in told
    assert "memory" in told.splitlines()[-1]
    assert not output.exists()
    assert ended(command(scenes / "scene0.tif", "-o", output, name="detect")) == (0, "")
    assert features(tmp_path) == {output.name: undisturbed[output.name]}
    assert list(tmp_path.iterdir()) == [output]


GB = 1 << 30


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a function that makes this a machine of 16 cores and 64 GB with a control group's files."""

    def make(**files: int | str) -> int:
        for name, text in files.items():
            (tmp_path / name.replace("__", ".")).write_text(f"{text}\n")
        monkeypatch.setattr(workers, "_CGROUP", tmp_path)
        monkeypatch.setattr(workers, "usable_cores", lambda: 16)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 64 * GB}))
        return local_slots(registry.resolve(MODEL))

    return make


def test_as_many_workers_as_a_container_has_memory_for(machine):
    assert machine() == 16  # none
    assert machine(memory__max="max", memory__current=GB) == 16
    assert machine(memory__max=64 * GB, memory__current=GB) == 16
    few = machine(memory__max=4 * GB, memory__current=GB)
    assert 2 <= few <= 5
    assert few >= machine(memory__max=4 * GB, memory__current=2 * GB) >= 1
    assert machine(memory__max=GB, memory__current=GB) == 1
    assert machine(memory__max=GB, memory__current=2 * GB) == 1
    assert machine(memory__max="", memory__current=GB) == 16


def test_what_a_container_keeps_of_files_is_memory_that_it_has(machine):
    """Scenes that were read stay in the page cache, which the kernel gives away when memory is asked for."""
    cached = machine(memory__max=32 * GB, memory__current=31 * GB, memory__stat=f"anon {GB}\ninactive_file {30 * GB}")
    assert cached == machine(memory__max=32 * GB, memory__current=GB, memory__stat=f"anon {GB}\ninactive_file 0")
    assert cached == 16
