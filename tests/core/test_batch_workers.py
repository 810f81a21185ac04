"""Processes that work: how many, with how many threads, and how they end."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import psutil
import pytest

from geodetect.batch import cluster, foreman, workers
from geodetect.batch.foreman import Foreman
from geodetect.batch.record import Record
from geodetect.batch.state import State
from geodetect.batch.work import Block, Done, Failed, Job, Split
from geodetect.batch.workers import LocalWorkers, Lost
from geodetect.config import DetectConfig
from geodetect.detections import Detections
from geodetect.errors import EngineError
from geodetect.progress import SILENT


class Noting(LocalWorkers):
    """Does no work, but says that scenes named so have blocks; notes the threads of what it is given."""

    def __init__(self, slots: int) -> None:
        super().__init__(slots)
        self.given: list[tuple[str, str, int | None]] = []

    def submit(self, work, *words) -> Future:
        job, future = words[0], Future()
        blocks = int(job.scene.partition(" ")[2] or 0)
        kind = "block" if work.__name__ == "detect_block" else "end" if not words[1] else "scene"
        self.given.append((job.scene, kind, job.config.threads))
        if kind == "block":
            future.set_result(Block(Detections.empty(), 1))
        elif kind == "scene" and blocks:
            spans = tuple(range(number, number + 1) for number in range(blocks))
            future.set_result(Split({"scene": job.scene}, blocks, 2, spans))
        else:
            future.set_result(Done({}, 1, "", ()))
        return future


def threads_of(tmp_path: Path, scenes: list[str], slots: int, threads: int | None = None) -> dict[str, set]:
    """Return the threads of scenes, blocks and ends, as they are given out."""
    config = DetectConfig(threads=threads)
    with State(tmp_path, write=True) as state:
        state.add(Record(scene, f"{scene}.gpkg") for scene in scenes)
        noting = Noting(slots)
        work = Foreman(
            state, noting, lambda record: Job(record.scene, str(tmp_path / record.output), config), 0, SILENT
        )
        while work.turn():
            pass
        noting.close()
        assert {record.state for record in state.records()} == {"done"}
    return {kind: {n for _, one, n in noting.given if one == kind} for kind in ("scene", "block", "end")}


@pytest.mark.parametrize(
    ("scenes", "slots", "given"),
    [
        (["a"], 8, {"scene": {8}, "block": set(), "end": set()}),
        (["a", "b", "c"], 8, {"scene": {2}, "block": set(), "end": set()}),
        (["a", "b"], 2, {"scene": {4}, "block": set(), "end": set()}),
        ([f"s{n}" for n in range(20)], 8, {"scene": {1}, "block": set(), "end": set()}),  # to the very last
        (["a 30"], 8, {"scene": {8}, "block": {1}, "end": {1}}),  # the engine that merges is the blocks'
        (["a 2"], 8, {"scene": {8}, "block": {4}, "end": {4}}),
    ],
)
def test_the_cores_are_shared_out_over_what_there_is_to_do(tmp_path, monkeypatch, scenes, slots, given):
    monkeypatch.setattr(workers, "usable_cores", lambda: 8)
    assert threads_of(tmp_path, scenes, slots) == given


def test_threads_that_are_asked_for_are_given(tmp_path):
    assert threads_of(tmp_path, ["a", "b 4"], 8, threads=3) == {"scene": {3}, "block": {3}, "end": {3}}


def test_only_as_many_processes_start_as_there_is_work():
    pool = LocalWorkers(5)
    try:
        assert [future.result(timeout=60) for future in [pool.submit(os.getppid), pool.submit(os.getppid)]]
        assert pool.submit(os.getppid).result(timeout=60) == os.getpid()
        assert len(processes()) == 2
    finally:
        pool.close()
    assert processes() == []  # close waits for their end


def test_a_process_that_dies_is_told_and_replaced():
    pool = LocalWorkers(1)
    try:
        with pytest.raises(Lost, match="its process was killed"):
            pool.submit(os._exit, 1).result(timeout=60)
        assert pool.submit(os.getppid).result(timeout=60) == os.getpid()
        (process,) = processes()
        process.kill()  # while it has nothing to do
        while pool._free[0].lives:  # to wait for the process here would be to take its end from the pool
            time.sleep(0.001)
        assert pool.submit(os.getppid).result(timeout=60) == os.getpid()
    finally:
        pool.close()


def processes() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if any("spawn_main" in word for word in child.cmdline())]


@pytest.mark.skipif(os.name != "posix", reason="a terminal's Ctrl-C goes to a process group")
@pytest.mark.parametrize("delay", [0.0, 0.3, 0.7, 1.2, 2.0, 3.0])
def test_ctrl_c_is_one_line_however_early(tmp_path, delay, write_raster, pixels):
    """All processes get it, those of the workers too, which may be amid their start."""
    first = write_raster(pixels)
    for number in range(60):  # which take longer than the longest delay
        os.link(first, tmp_path / f"scene{number}.tif")
    words = ["batch", str(tmp_path), "-o", str(tmp_path / "out"), "--workers", "4", "--progress", "none"]
    with subprocess.Popen(
        [sys.executable, "-m", "geodetect", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as run:
        while not processes_of(run.pid):  # the first worker is being started
            time.sleep(0.01)
        time.sleep(delay)
        os.killpg(run.pid, signal.SIGINT)
        out, err = run.communicate(timeout=60)  # until the last of them has closed its end
    assert (run.returncode, out) == (130, "")
    assert err.startswith("Stopped with ")
    assert err.count("\n") == 1


def processes_of(parent: int) -> list[psutil.Process]:
    return psutil.Process(parent).children()


def test_a_process_that_cannot_be_started_is_lost(monkeypatch):
    def start(process):
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    pool = LocalWorkers(1)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(workers.SpawnProcess, "start", start)
            with pytest.raises(Lost, match="no process could be started"):
                pool.submit(os.getppid).result(timeout=60)
        assert pool.submit(os.getppid).result(timeout=60) == os.getpid()
    finally:
        pool.close()


@pytest.mark.parametrize(("patience", "state"), [(60, "done"), (0, "failed")])
def test_what_an_earlier_run_left_to_a_cluster_is_waited_for(tmp_path, monkeypatch, patience, state):
    """A thread of Dask's cannot be taken from what it is amid."""
    monkeypatch.setattr(foreman, "_BUSY", 0.01)

    class Busy(LocalWorkers):
        tries = 0

        def submit(self, work, *words) -> Future:
            self.tries += 1
            future: Future = Future()
            busy = Failed("another run is writing it", True, busy=True)
            future.set_result(busy if self.tries < 5 else Done({}, 1, "", ()))
            return future

    pool = Busy(1)
    pool.patience = patience
    with State(tmp_path, write=True) as states:
        states.add([Record("a", "a.gpkg")])
        job = Job("a", str(tmp_path / "a.gpkg"), DetectConfig())
        work = Foreman(states, pool, lambda record: job, 0, SILENT)
        while work.turn():
            pass
        (record,) = states.records()
    assert (record.state, record.attempts) == (state, 1)


def test_a_cluster_s_first_worker_is_waited_for(monkeypatch):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None) as machines:
        monkeypatch.setattr(cluster, "_PATIENCE", 0.5)
        with pytest.raises(EngineError, match="has no workers; start some"):
            cluster.Cluster(machines.scheduler_address)
        monkeypatch.setattr(cluster, "_PATIENCE", 30)
        starting = threading.Timer(0.5, machines.scale, [1])
        starting.start()
        with contextlib.closing(cluster.Cluster(machines.scheduler_address)) as ours:
            assert ours.slots >= 1
        starting.join()
