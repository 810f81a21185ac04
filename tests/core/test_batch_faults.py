"""What goes wrong in a batch loses nothing and doubles nothing, is told, and the next run finishes the work."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pyogrio
import pytest
import rasterio
from affine import Affine

from geodetect.batch.run import BatchOptions, run_batch, status
from geodetect.progress import Reporter

resource = pytest.importorskip("resource", reason="no such limits, and no signals")
SETTINGS = ("--engine", "openvino", "--precision", "float32", "--score", "0.3", "--progress", "none", "--no-quicklooks")
FAULTY = """
import os
from geodetect.engines import openvino

right = openvino.OpenVinoEngine.predict

def predict(self, images):
    try:
        os.unlink(os.environ["FAULT"])  # whoever comes first takes it
    except OSError:
        return right(self, images)
    raise {error}

openvino.OpenVinoEngine.predict = predict
"""


@pytest.fixture(scope="module")
def scenes(pixels, tmp_path_factory) -> Path:
    """A folder of six scenes of four tiles."""
    folder = tmp_path_factory.mktemp("scenes")
    for number in range(6):
        profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "crs": "EPSG:32631", "photometric": "RGB"}
        transform = Affine(0.5, 0, 500_000 + 700 * number, 0, -0.5, 5_000_000)
        shape = {"height": 1024, "width": 1024, "transform": transform}
        with rasterio.open(folder / f"scene{number}.tif", "w", **profile, **shape) as file:
            file.write(pixels[:, ::-1] if number % 2 else pixels)
    return folder


@pytest.fixture(scope="module")
def undisturbed(scenes, tmp_path_factory) -> dict[str, list]:
    folder = tmp_path_factory.mktemp("undisturbed")
    paths = [str(path) for path in sorted(scenes.iterdir())]
    run_batch(paths, folder, options=BatchOptions(workers=1, block=0), precision="float32", score=0.3)
    return found(folder)


def found(folder: Path) -> dict[str, list]:
    paths = sorted(folder.glob("*_detections.gpkg"))
    return {p.name: pyogrio.read_dataframe(p, layer="detections").drop(columns="run_id").values.tolist() for p in paths}


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "geodetect", "batch", *map(str, words), *SETTINGS]


def begun(folder: Path, done: int, limit: float = 120) -> None:
    """Wait until some scenes are done and others are worked on."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(folder / "batch.sqlite")) as state:
            states = [row[0] for row in state.execute("SELECT state FROM scenes")]
            if states.count("done") >= done and "running" in states:
                return
        time.sleep(0.02)
    raise TimeoutError("the batch did not get so far")


def workers_of(parent: psutil.Process) -> list[psutil.Process]:
    return [child for child in parent.children() if any("spawn_main" in word for word in child.cmdline())]


def whole(folder: Path) -> None:
    """Every file under a final name is whole."""
    for path in folder.glob("*_detections.gpkg"):
        with contextlib.closing(sqlite3.connect(path)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert database.execute("SELECT count(*) FROM geodetect_runs").fetchone() == (1,)


def finished(folder: Path, undisturbed: dict[str, list]) -> None:
    """The next run does what is left, and then all is there once."""
    subprocess.run(command("--continue", "-o", folder), check=True, timeout=300)
    assert found(folder) == undisturbed
    assert {record.state for record in status(folder)[0].records} == {"done"}
    assert [path.name for path in folder.glob(".*")] == [".batch.lock"]  # no journal, no half file


def test_a_worker_that_is_killed_is_replaced(scenes, undisturbed, tmp_path):
    with subprocess.Popen(command(scenes, "-o", tmp_path, "--workers", "2", "--block", "1")) as run:
        begun(tmp_path, 1)
        for worker in workers_of(psutil.Process(run.pid)):
            worker.kill()
        assert run.wait(timeout=300) == 0
    assert found(tmp_path) == undisturbed
    attempts = [record.attempts for record in status(tmp_path)[0].records]
    assert sum(attempts) > 6
    assert max(attempts) <= 3


@pytest.mark.parametrize("block", ["0", "1"])
def test_a_batch_that_is_killed_goes_on(scenes, undisturbed, tmp_path, block):
    with subprocess.Popen(command(scenes, "-o", tmp_path, "--workers", "2", "--block", block)) as run:
        begun(tmp_path, 2)
        workers = workers_of(psutil.Process(run.pid))
        assert len(workers) == 2
        run.kill()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive  # they end with it
    whole(tmp_path)
    result, runs = status(tmp_path)
    assert not runs
    assert 2 <= len(result.of("done")) < 6
    finished(tmp_path, undisturbed)


def test_sigterm_stops_it_in_good_order(scenes, undisturbed, tmp_path):
    with subprocess.Popen(command(scenes, "-o", tmp_path, "--workers", "2"), stderr=subprocess.PIPE, text=True) as run:
        begun(tmp_path, 1)
        workers = workers_of(psutil.Process(run.pid))
        run.send_signal(signal.SIGTERM)
        _, told = run.communicate(timeout=30)
    assert run.returncode == 130
    assert "of 6 scenes done; go on with `geodetect batch --continue -o" in told
    assert "Traceback" not in told
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive
    whole(tmp_path)
    assert {record.state for record in status(tmp_path)[0].records} == {"done", "waiting"}
    finished(tmp_path, undisturbed)


@pytest.mark.parametrize("error", ["RuntimeError('the engine fell over')", "MemoryError()"])
def test_an_engine_that_fails_once_is_tried_again(scenes, undisturbed, tmp_path, error):
    (tmp_path / "sitecustomize.py").write_text(FAULTY.format(error=error))
    fault = tmp_path / "fault"
    fault.touch()
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, "FAULT": str(fault)}
    words = command(scenes, "-o", tmp_path / "out", "--workers", "1", "--block", "1")
    subprocess.run(words, env=environment, check=True, timeout=300)
    assert not fault.exists()
    assert found(tmp_path / "out") == undisturbed
    assert sorted(record.attempts for record in status(tmp_path / "out")[0].records) == [1] * 5 + [2]


def test_a_full_disk_is_told_and_loses_nothing(scenes, undisturbed, tmp_path):
    """The limit on a file's size stands for a disk that is full: a result is larger, the state is not."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (80_000, 80_000))

    words = command(scenes, "-o", tmp_path, "--workers", "1", "--retries", "0")
    run = subprocess.run(words, preexec_fn=limit, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert found(tmp_path) == {}
    reasons = {record.reason for record in status(tmp_path)[0].records}
    assert len(reasons) == 6
    assert all("could not be written" in reason for reason in reasons)
    finished(tmp_path, undisturbed)


def test_a_clock_that_jumps_harms_nothing(scenes, undisturbed, tmp_path):
    import time_machine

    class Jumping(Reporter):
        def progress(self, stage, done, total, found=0):
            traveller.move_to(4e9 if done % 2 else 1e6, tick=True)

    with time_machine.travel(1e9) as traveller:
        paths = [str(path) for path in sorted(scenes.iterdir())]
        options = BatchOptions(workers=1, block=1)
        result = run_batch(paths, tmp_path, options=options, reporter=Jumping(), precision="float32", score=0.3)
    assert {record.state for record in result.records} == {"done"}
    assert all(0 < record.seconds < 300 for record in result.records)
    assert found(tmp_path) == undisturbed


@pytest.fixture
def cluster(tmp_path) -> Iterator[Callable[..., tuple[str, list[subprocess.Popen]]]]:
    """Return a function that starts a Dask scheduler with two workers: its address, and the processes."""
    pytest.importorskip("distributed", reason="needs geodetect[distributed]")
    started: list[subprocess.Popen] = []

    def dask(*words: str) -> subprocess.Popen:
        log = (tmp_path / "dask.log").open("a")
        started.append(subprocess.Popen([sys.executable, "-m", "dask", *words], stdout=log, stderr=log))
        return started[-1]

    def start(port: int = 0) -> tuple[str, list[subprocess.Popen]]:
        file = tmp_path / f"scheduler{len(started)}.json"
        words = ["--port", str(port), "--dashboard-address", "127.0.0.1:0", "--host", "127.0.0.1"]
        dask("scheduler", "--scheduler-file", str(file), *words)
        for _ in range(2):
            local = ["--local-directory", str(tmp_path / "dask"), "--no-dashboard", "--no-nanny"]
            dask("worker", "--scheduler-file", str(file), "--nthreads", "1", *local)
        from distributed import Client

        end = time.monotonic() + 60
        while not file.exists() and time.monotonic() < end:
            time.sleep(0.1)
        with Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
            return client.scheduler_info()["address"], started[-3:]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_cluster_finds_the_same_though_a_worker_is_killed(scenes, undisturbed, tmp_path, cluster):
    address, (_, worker, _) = cluster()
    out = tmp_path / "out"
    with subprocess.Popen(command(scenes, "-o", out, "--scheduler", address, "--block", "1")) as run:
        begun(out, 2)
        worker.kill()
        assert run.wait(timeout=300) == 0
    assert found(out) == undisturbed


def test_a_scheduler_that_is_killed_ends_the_run_which_goes_on(scenes, undisturbed, tmp_path, cluster):
    address, (scheduler, *_) = cluster()
    out = tmp_path / "out"
    words = command(scenes, "-o", out, "--scheduler", address, "--block", "1")
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as run:
        begun(out, 1)
        scheduler.kill()
        _, told = run.communicate(timeout=120)
    assert run.returncode == 1
    assert "has gone; start it and go on with --continue" in told
    assert "Traceback" not in told
    whole(out)
    assert {record.state for record in status(out)[0].records} == {"done", "waiting"}
    finished(out, undisturbed)


def test_no_scheduler_is_told_at_once(scenes, tmp_path):
    pytest.importorskip("distributed", reason="needs geodetect[distributed]")
    words = command(scenes, "-o", tmp_path, "--scheduler", "tcp://127.0.0.1:9")
    run = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("Error: no Dask scheduler answers at tcp://127.0.0.1:9")
    assert run.stderr.count("\n") == 1
