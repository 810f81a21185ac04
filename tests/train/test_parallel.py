"""Two processes against one: MindSpore's launcher, the real thing."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from geodetect.errors import Cancelled, InputError, TrainingError
from training.devices.collectives import groups
from training.devices.launch import Job, _Echo, _lives, run
from training.devices.parallel import Devices, average, barrier, make_reducer, start

WORKER = Path(__file__).with_name("parallel_worker.py")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What both processes found: by rank, by what, by parameter."""
    folder = tmp_path_factory.mktemp("laws")
    run(Job(2, (str(WORKER), str(folder), "laws"), folder, bind_cpu=True))
    assert "rank 1 of 2 is done" in (folder / "logs/worker_1.log").read_text()
    ranks = []
    for rank in range(2):
        found = {}
        with np.load(folder / f"{rank}.npz") as file:
            for key in file:
                what, _, name = key.rpartition("/")
                found.setdefault(what, {})[name] = file[key]
        ranks.append(found)
    return ranks


def apart(a, b, start):
    """Return how far two trained networks are apart, as a share of how far training moved each parameter."""
    moved = {name: np.abs(a[name] - start[name]).max() for name in start}
    return max(np.abs(a[name] - b[name]).max() / moved[name] for name in start if moved[name] > 0)


@pytest.mark.parametrize("mode", ["sync", "fixed", "plain"])
def test_all_start_from_the_first_ones_weights(found, mode):
    first, second = found
    assert any((first[f"own/{mode}"][name] != value).any() for name, value in second[f"own/{mode}"].items())
    for name, value in first[f"own/{mode}"].items():
        np.testing.assert_array_equal(first[f"start/{mode}"][name], value)
        np.testing.assert_array_equal(second[f"start/{mode}"][name], value)


@pytest.mark.parametrize("mode", ["sync", "fixed"])
def test_two_processes_make_what_one_makes_with_twice_the_batch(found, mode):
    one, start = found[mode == "fixed"][f"one/{mode}"], found[0][f"start/{mode}"]
    for rank in found:
        two = rank[f"two/{mode}"]
        assert apart(one, two, start) < 1e-4
        np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-5)
    assert apart(found[0][f"two/{mode}"], found[1][f"two/{mode}"], start) == 0


def test_without_common_statistics_only_these_differ(found):
    start = found[0]["start/plain"]
    two, other, one = found[0]["two/plain"], found[1]["two/plain"], found[0]["one/sync"]
    running = {name for name in start if name.endswith(("moving_mean", "moving_variance"))}
    assert all((two[name] == other[name]).all() for name in set(start) - running)
    assert any((two[name] != other[name]).any() for name in running)
    assert 1e-3 < apart(one, two, start) < 1
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=0.05)


def test_values_are_averaged(found):
    for rank in found:
        np.testing.assert_array_equal(rank["calls"]["average"], np.full((2, 3), 1.5))
        assert rank["calls"]["scalar"] == 0.5


def test_one_device_needs_no_others():
    assert start(False, "cpu") == Devices(0, 1)
    assert Devices().is_master
    assert make_reducer((), Devices()) is None
    np.testing.assert_array_equal(average([1, 2], Devices()), [1, 2])
    barrier(Devices())


def test_a_process_on_its_own_is_told_how_to_start():
    with pytest.raises(TrainingError, match="--device_num"):
        start(True, "cpu")


def test_a_device_that_is_not_here_is_one_sentence_and_nothing_else():
    code = "from training.devices.parallel import start; start(False, 'gpu')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr.splitlines()[-1].endswith("MindSpore finds no GPU on this machine; train with --device cpu")
    assert "[ERROR]" not in result.stderr


def test_small_gradients_travel_together():
    sizes = [1 << 18] * 5 + [1 << 22, 7, 8]
    assert groups(sizes) == ((0, 1, 2, 3), (4,), (5,), (6, 7))
    assert groups([]) == ()


def started(folder, words, *, is_own_process=False):
    """Start a job of two in a thread or a process; return it and the processes' ids by role."""
    if is_own_process:
        code = "import sys; from test_parallel import *; run(Job(2, tuple(sys.argv[2:]), Path(sys.argv[1])))"
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(WORKER.parent), *sys.path])}
        return subprocess.Popen([sys.executable, "-c", code, folder, *words], env=environment)
    ended = []

    def work():
        try:
            run(Job(2, tuple(map(str, words)), folder))
        except (TrainingError, InputError) as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, ended


def crew(folder):
    """Return the processes of a job, by role and rank."""
    found = {}
    for process in psutil.process_iter():
        try:
            if str(folder) in process.cmdline() and "MS_ROLE" in process.environ():
                found[process.environ()["MS_ROLE"], process.environ().get("MS_NODE_ID")] = process
        except psutil.Error:
            continue
    return found


def wait_for(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.1)


def test_a_dead_process_ends_the_run_within_seconds(tmp_path):
    thread, ended = started(tmp_path, [WORKER, tmp_path, "forever"])
    wait_for(lambda: (tmp_path / "1.turns").exists())
    processes = crew(tmp_path)
    killed = time.monotonic()
    processes["MS_WORKER", "1"].kill()
    thread.join(30)
    assert time.monotonic() - killed < 5
    (error,) = ended
    assert str(error).startswith("rank 1 of 2 was killed by signal 9; see ")
    assert str(tmp_path / "logs/worker_1.log") in str(error)
    assert str(error).endswith(f"goes on from {tmp_path / 'last.ckpt'}")
    assert not any(map(_lives, processes.values()))


SCRIPTS = {
    "refuses": "import os, sys\nprint('Error: no images in x', file=sys.stderr)\nsys.exit(3)",
    "fails": "import os, sys, time\n"
    "if os.environ.get('MS_NODE_ID') != '1': time.sleep(60)\n"
    "print('Error: out of luck.', file=sys.stderr)\nsys.exit(1)",
}


@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [
        ("refuses", InputError, "no images in x"),
        ("fails", TrainingError, "rank 1 of 2 ended with code 1: out of luck;"),
    ],
)
def test_what_a_process_said_last_is_the_error(tmp_path, script, kind, words, capsys):
    path = tmp_path / "script.py"
    path.write_text(SCRIPTS[script])
    with pytest.raises(kind) as error:
        run(Job(2, (str(path),), tmp_path))
    assert str(error.value).startswith(words)
    assert "Error:" not in capsys.readouterr().out
    assert not crew(path)


def test_ctrl_c_ends_all(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(
        "import os, pathlib, signal, sys, time\n"
        "name = os.environ.get('MS_NODE_ID', 'scheduler')\n"
        "pathlib.Path(sys.argv[1], name).touch()\n"
        "try:\n    time.sleep(60)\n"
        "except KeyboardInterrupt:\n    time.sleep(1)\n    pathlib.Path(sys.argv[1], 'saved' + name).touch()\n"
    )
    running = started(tmp_path, [str(path), str(tmp_path)], is_own_process=True)
    wait_for(lambda: all((tmp_path / name).exists() for name in ("0", "1", "scheduler")))
    processes = crew(tmp_path)
    assert len(processes) == 3
    interrupted = time.monotonic()
    running.send_signal(signal.SIGINT)
    running.wait(30)
    assert time.monotonic() - interrupted < 8
    assert (tmp_path / "saved0").exists()
    assert not any(map(_lives, processes.values()))


def test_a_worker_does_not_launch_again(monkeypatch, tmp_path):
    monkeypatch.setenv("MS_ROLE", "MS_WORKER")
    with pytest.raises(TrainingError, match="leave --device_num out"):
        run(Job(2, ("x.py",), tmp_path))


def test_what_the_first_one_says_is_shown_without_mindspores_lines(tmp_path, capsys):
    log = tmp_path / "log"
    with log.open("wb") as file:
        file.write("epoch 1\n[WARNING] ME(1): x\n[ERROR] ME(1): y\n[3/4] é".encode()[:-1])
        file.flush()
        echo = _Echo(log)
        echo.copy()
        assert capsys.readouterr().out == "epoch 1\n[ERROR] ME(1): y\n"
        file.write("é".encode()[-1:] + b"\nError: z\n50 %")
        file.flush()
        echo.copy()
        assert capsys.readouterr().out == "[3/4] é\n50 %"
        echo.close()


def test_cancelled_is_what_it_is_called():
    assert Cancelled.exit_code == 130
