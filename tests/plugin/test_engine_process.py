"""The engine's process as the QGIS plugin drives it: the real `geodetect serve`, without QGIS."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from geodetect.demo.scene import draw_scene
from qgis_plugin.core.engine_process import PROTOCOL, EngineCancelled, EngineError, engine_command, run_engine
from qgis_plugin.core.environment import clean_environment

HERE = sys.executable
posix = pytest.mark.skipif(os.name == "nt", reason="process groups and signals are POSIX")


@pytest.fixture(scope="module")
def pixels():
    return np.ascontiguousarray(np.moveaxis(np.asarray(draw_scene(1024, seed=3, gsd=0.5)[0]), -1, 0))


@pytest.fixture
def scene(write_raster, pixels):
    return write_raster(pixels)


@pytest.fixture
def stand_in(tmp_path):
    """Return a function that writes a program which is started as Python would be, whatever its arguments."""

    def write(lines: str) -> str:
        path = tmp_path / "python"
        path.write_text(f"#!{HERE}\n{lines}\n")
        path.chmod(0o755)
        return str(path)

    return write


def in_group(leader: int) -> list[int]:
    """Return the processes of a group that live."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == leader and fields[0] != "Z":
            found.append(int(name))
    return found


def greeting(**values) -> str:
    message = json.dumps({"type": "hello", "protocol": PROTOCOL, "geodetect": "9"} | values)
    return f"print({json.dumps(message)}, flush=True)"


def test_a_scene_with_progress_and_unicode_paths(scene, tmp_path):
    folder = tmp_path / "Häfen und 港口"
    folder.mkdir()
    source = shutil.copy(scene, folder / "szene ü.tif")
    heard = []
    words = ["detect", str(source), "-o", str(folder / "gefunden.gpkg"), "--progress", "json"]
    answer = run_engine(HERE, words, heard.append)
    assert answer.result["count"] > 0
    assert (folder / "gefunden.gpkg").is_file()
    assert heard[0]["type"] == "hello"
    assert heard[-1]["type"] == "end"
    done = [m["done"] / m["total"] for m in heard if m["type"] == "progress" and m["stage"] == "detect"]
    assert done == sorted(done)
    assert done[-1] == 1


def test_commands_that_print_text_give_it():
    names = [entry["name"] for entry in json.loads(run_engine(HERE, ["models", "list", "--json"]).text)]
    assert "planes-ships-yolov3-tiny" in names
    found = json.loads(run_engine(HERE, ["doctor", "--json"]).text)
    assert found["passed"]
    assert found["executable"] == HERE


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["detect", "/none.tif"], "/none.tif does not exist", "check the path"),
        (["detect", "x.tif", "--nonsense"], "No such option", ""),
        (["models", "info", "zeppelins"], "zeppelins", ""),
    ],
)
def test_errors_come_with_a_hint(words, said, hint):
    with pytest.raises(EngineError, match=said) as caught:
        run_engine(HERE, words)
    assert caught.value.kind == "failed"
    assert hint in caught.value.hint


@posix
def test_cancelled_within_a_second_and_nothing_left(scene, tmp_path):
    leaders, cancel, output = [], threading.Event(), tmp_path / "o.gpkg"

    def listen(message):
        if message["type"] == "hello":
            leaders.append(message["pid"])
        if message["type"] == "progress" and message["stage"] == "detect" and message["done"]:
            cancel.set()
            leaders.append(time.monotonic())

    words = ["detect", str(scene), "-o", str(output), "--tile", "64", "--batch-size", "1", "--progress", "json"]
    with pytest.raises(EngineCancelled):
        run_engine(HERE, words, listen, cancel.is_set)
    assert time.monotonic() - leaders[1] < 1
    assert not in_group(leaders[0])
    assert [path.name for path in tmp_path.glob("*.gpkg*")] in ([], [".o.gpkg.journal"])  # a run may go on from there


@posix
def test_an_engine_that_does_not_listen_is_killed_with_its_children(stand_in):
    stubborn = stand_in(
        "import os, signal, subprocess, sys, time\n"
        "for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        + greeting().replace('"}"', '", \\"pid\\": %d}" % os.getpid()')
        + "\ntime.sleep(60)"
    )
    pids, cancel = [], threading.Event()

    def listen(message):
        pids.append(message["pid"])
        threading.Timer(0.3, cancel.set).start()

    started = time.monotonic()
    with pytest.raises(EngineCancelled):
        run_engine(stubborn, ["detect"], listen, cancel.is_set)
    assert time.monotonic() - started < 3
    assert not in_group(pids[0])


@posix
def test_it_ends_with_the_program_that_it_works_for(scene, tmp_path):
    """The parent is killed without a chance to say anything."""
    script = (
        "import sys\n"
        "from qgis_plugin.core.engine_process import run_engine\n"
        f"scene, output = {str(scene)!r}, {str(tmp_path / 'o.gpkg')!r}\n"
        "words = ['detect', scene, '-o', output, '--tile', '64', '--progress', 'json']\n"
        "run_engine(sys.executable, words, lambda m: print(m.get('pid', m['type']), flush=True))\n"
    )
    with subprocess.Popen([HERE, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        leader = int(parent.stdout.readline())
        while parent.stdout.readline() != "progress\n":
            pass
        assert in_group(leader)
        parent.send_signal(signal.SIGKILL)
    end = time.monotonic() + 5
    while in_group(leader) and time.monotonic() < end:
        time.sleep(0.05)
    assert not in_group(leader)
    assert [path.name for path in tmp_path.glob("*.gpkg*")] in ([], [".o.gpkg.journal"])  # a run may go on from there


@posix
@pytest.mark.parametrize(
    ("lines", "kind", "said"),
    [
        ("import sys; sys.exit('No module named geodetect')", "broken", "No module named geodetect"),
        (greeting(protocol=99), "protocol", "protocol 99"),
        (greeting(protocol=None), "protocol", "protocol None"),
        (greeting() + "\nimport os; os.kill(os.getpid(), 9)", "died", "signal 9"),
        (greeting() + "\nprint('{\"type\": ', flush=True)\nraise SystemExit(7)", "died", "exit code 7"),
    ],
)
def test_engines_that_do_not_work_are_told_apart(stand_in, lines, kind, said):
    with pytest.raises(EngineError, match=said) as caught:
        run_engine(stand_in(lines), ["detect"])
    assert caught.value.kind == kind
    assert caught.value.hint


def test_a_python_that_is_not_there(tmp_path):
    with pytest.raises(EngineError, match="cannot be started") as caught:
        run_engine(str(tmp_path / "none"), ["detect"])
    assert caught.value.kind == "missing"


def test_nothing_of_qgis_reaches_the_engine(monkeypatch):
    for name, value in {
        "PYTHONHOME": "/usr",
        "PYTHONPATH": "/usr/share/qgis/python",
        "PYTHONEXECUTABLE": "/usr/bin/python3",
        "PROJ_LIB": "/nowhere",
        "PROJ_DATA": "/nowhere",
        "GDAL_DATA": "/nowhere",
        "LD_LIBRARY_PATH": "/nowhere",
    }.items():
        monkeypatch.setenv(name, value)
    assert json.loads(run_engine(HERE, ["doctor", "--json"]).text)["passed"]


def test_windows_folders_of_qgis_leave_the_path(tmp_path):
    ours, other = tmp_path / "OSGeo4W", tmp_path / "OSGeo4W-other"
    path = os.pathsep.join([str(ours / "bin"), str(other), str(ours)])
    kept = clean_environment({"OSGEO4W_ROOT": str(ours), "PATH": path, "HTTPS_PROXY": "http://proxy", "proj_lib": "x"})
    assert kept["PATH"] == str(other)
    assert kept["HTTPS_PROXY"] == "http://proxy"
    assert "proj_lib" not in kept


def test_a_request_that_is_none(tmp_path):
    for line, said in ((b"hello\n", "no request"), (b'{"protocol": 7, "words": ["x"]}\n', "protocol 7")):
        done = subprocess.run(
            engine_command(HERE), input=line, capture_output=True, env=clean_environment(), cwd=tmp_path, check=False
        )
        messages = [json.loads(text) for text in done.stdout.splitlines()]
        assert [m["type"] for m in messages] == ["hello", "error", "end"]
        assert said in messages[1]["message"]
        assert done.returncode == messages[2]["code"] == 3
