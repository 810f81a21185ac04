"""Processes that are killed amid a batch lose nothing and double nothing; what is left goes on and finishes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from faults import begun, command, finished, whole, workers_of
from running import features, write_scenes

from geodetect.batch.run import status

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such signals")


@pytest.fixture(scope="module")
def scenes(pixels, tmp_path_factory) -> Path:
    """A folder of six scenes of four tiles."""
    return write_scenes(tmp_path_factory.mktemp("scenes"), pixels, 6)


def test_a_worker_that_is_killed_is_replaced(scenes, undisturbed, tmp_path):
    with subprocess.Popen(command(scenes, "-o", tmp_path, "--workers", "2", "--block", "1")) as run:
        begun(tmp_path, 1)
        for worker in workers_of(psutil.Process(run.pid)):
            worker.kill()
        assert run.wait(timeout=300) == 0
    assert features(tmp_path) == undisturbed
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
    assert features(out) == undisturbed


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
