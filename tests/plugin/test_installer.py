"""The engine's environment: real virtual environments, pip and uv, with a stand-in for geodetect in a wheel folder."""

import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from shutil import which

import pytest

from qgis_plugin.core import installer, makers, requirements
from qgis_plugin.core.engine_process import run_engine
from qgis_plugin.core.folders import claimed
from qgis_plugin.core.install_errors import InstallError, explain
from qgis_plugin.core.installer import MARKER, STEPS, install, installed, managed_python, remove, size
from qgis_plugin.core.makers import choose_maker, pip_is_configured
from qgis_plugin.core.process import Cancelled
from qgis_plugin.core.pythons import find_pythons
from qgis_plugin.core.requirements import Order, wheel_versions
from tests.plugin.stand_in import make_wheel

ROOT = Path(__file__).parents[2]
UV = which("uv")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="links, signals and /proc are POSIX")
both = pytest.mark.parametrize(
    "maker", ["pip", pytest.param("uv", marks=pytest.mark.skipif(not UV, reason="uv is not here"))]
)


@pytest.fixture(autouse=True)
def computer(tmp_path, monkeypatch):
    """Return the PATH's only folder, with one Python in it; nothing of this computer's pip and uv settings counts."""
    folder, home = tmp_path / "bin", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    (folder / "python3").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("HOME", str(home))
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_")) or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name in ("prefix", "base_prefix"):  # where QGIS's own Python would be
        monkeypatch.setattr(sys, name, str(tmp_path / "qgis"))
    return folder


@pytest.fixture
def order(tmp_path):
    """An order of the stand-in, into a folder that is not there yet."""
    make_wheel(tmp_path / "Räder 轮")
    return Order(str(tmp_path / "Umgebung 环境"), wheels=str(tmp_path / "Räder 轮"))


def left(order: Order) -> list[str]:
    """Return what lies in the order's folder, but the lock."""
    folder = Path(order.folder)
    return sorted(path.name for path in folder.iterdir() if path.name != "engine.lock") if folder.is_dir() else []


def nothing_left(order: Order, but: tuple[str, ...] = ()) -> bool:
    """Wait until all is deleted, which is done in the background; return whether it is."""
    end = time.monotonic() + 10
    while left(order) != list(but) and time.monotonic() < end:
        time.sleep(0.02)
    return left(order) == list(but)


def running_in(folder: str) -> list[str]:
    """Return the commands of processes that name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:
            continue
        if any(word.startswith(folder) for word in words):
            found.append(" ".join(words))
    return found


@both
def test_install_repair_remove(order, computer, maker):
    if maker == "uv":
        (computer / "uv").symlink_to(UV)
    heard = []
    made = install(order, lambda kind, text: heard.append((kind, text)))
    assert [text for kind, text in heard if kind == "step"] == list(STEPS)
    assert nothing_left(order, but=("engine-0.1",))
    assert made == installed(order.folder)
    assert (made.geodetect, made.origin, made.extra, made.maker) == ("0.1.7", "folder", "", maker)
    assert made.bytes > 10_000
    assert managed_python(order.folder) == made.python
    assert run_engine(made.python, ["models", "list"]).text == "[]"

    stray = Path(made.python).parents[1] / "stray"
    stray.touch()
    assert install(order).python == made.python
    assert not stray.exists()

    (Path(order.folder) / "engine-0.1-gone-1").mkdir()  # of a QGIS that ended before it was deleted
    assert size(order.folder) > 10_000
    remove(order.folder)
    assert managed_python(order.folder) == ""
    assert nothing_left(order)
    remove(order.folder)


def test_a_wheel_file_with_an_extra_that_it_does_not_know(order, tmp_path):
    wheel = make_wheel(tmp_path / "here ü")
    made = install(Order(order.folder, "onnxruntime", wheels=order.wheels, source=str(wheel)))
    assert (made.origin, made.extra) == ("folder", "onnxruntime")
    assert Order("", "onnxruntime", source=str(wheel)).origin == "file"


@pytest.mark.parametrize("when", ["$ ", "Looking in links"])
def test_cancelled_within_a_second_and_nothing_left(order, when):
    cancel, times = threading.Event(), []

    def listen(kind, text):
        if text.startswith(when) and not times:
            threading.Timer(0.1, cancel.set).start()
            times.append(time.monotonic())

    with pytest.raises(Cancelled):
        install(order, listen, cancel.is_set)
    assert time.monotonic() - times[0] < 1.1
    assert managed_python(order.folder) == ""
    assert nothing_left(order)
    assert not running_in(order.folder)


def test_killed_amid_it_counts_as_absent_and_leaves_no_process(order):
    script = (
        "import sys\n"
        "from qgis_plugin.core.installer import Order, install\n"
        f"install(Order({order.folder!r}, wheels={order.wheels!r}), lambda *words: print(*words, flush=True))\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        while not parent.stdout.readline().startswith("log Looking in links"):
            assert parent.poll() is None
        assert running_in(order.folder)
        parent.send_signal(signal.SIGKILL)
    end = time.monotonic() + 5
    while running_in(order.folder) and time.monotonic() < end:
        time.sleep(0.05)
    assert not running_in(order.folder)
    assert "engine-0.1" in left(order)
    assert managed_python(order.folder) == ""
    assert install(order).geodetect == "0.1.7"
    assert nothing_left(order, but=("engine-0.1",))


def test_a_damaged_wheel(order):
    wheel = next(Path(order.wheels).iterdir())
    content = wheel.read_bytes()
    wheel.write_bytes(content[: len(content) // 2])
    failed(order, "damaged", "damaged")


def test_a_wheel_that_is_missing(order):
    make_wheel(Path(order.wheels), requires="no-such-package>=7")
    error = failed(order, "packages", "no-such-package")
    assert "no-such-package" in error.log


def test_an_engine_that_does_not_fit(order):
    make_wheel(Path(order.wheels), protocol=99)
    failed(order, "check", "protocol 99")


def failed(order: Order, kind: str, said: str) -> InstallError:
    """Check that an installation fails, says why and what to do, and leaves nothing."""
    with pytest.raises(InstallError, match=said) as caught:
        install(order)
    assert caught.value.kind == kind, caught.value.log
    assert caught.value.hint
    assert "engine-0.1" not in left(order), "an environment that is not complete"
    assert managed_python(order.folder) == ""
    return caught.value


class Refuses(socketserver.StreamRequestHandler):
    """A proxy that wants another password."""

    def handle(self):
        while self.rfile.readline().strip():
            continue
        self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")


@both
def test_proxies_and_networks_that_do_not_let_through(order, monkeypatch, computer, maker):
    if maker == "uv":
        (computer / "uv").symlink_to(UV)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setattr(makers, "pip_is_configured", lambda: False)
    online = replace(order, wheels="")
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_address[1]}"
        index(monkeypatch, "https://packages.invalid/simple")
        refused = replace(online, proxy=f"http://anna:s%3Fcret@{address}")
        error = failed(refused, "proxy", "does not let through")
        assert "cret" not in error.log + repr(refused)
        server.shutdown()
    failed(replace(online, proxy=f"http://{address}"), "proxy", "not reached")
    index(monkeypatch, f"http://{address}/simple")
    failed(online, "network", "not reached")


def index(monkeypatch, url):
    monkeypatch.setenv("PIP_INDEX_URL", url)
    monkeypatch.setenv("UV_DEFAULT_INDEX", url)


def test_no_python(order, computer):
    (computer / "python3").unlink()
    failed(order, "python", "No Python 3.10")


def test_pythons_that_do_not_fit_are_passed_over(computer):
    (computer / "python3").unlink()
    stand_in(computer / "python3.12", venv=True, version=[3, 12, 1], bits=32)
    stand_in(computer / "python3.11", venv=True, version=[3, 9, 1])
    stand_in(computer / "python3.10", venv=True, version=[3, 10, 1])
    (computer / "python3").write_text("#!/bin/sh\nexit 7\n")
    (computer / "python3").chmod(0o755)
    said = []
    assert [found.version for found in find_pythons(said.append)] == [(3, 10, 1)]
    assert len(said) == 2


def test_a_python_without_venv_is_the_last_choice(order, computer):
    (computer / "python3").unlink()
    stand_in(computer / "python3.12", venv=False, version=[3, 12, 1])
    failed(order, "venv", "venv and ensurepip are missing")
    stand_in(computer / "python3.11", venv=True, version=[3, 11, 1])
    assert choose_maker(order).base.version == (3, 11, 1)
    (computer / "uv").symlink_to("/bin/true")
    assert choose_maker(order).base.version == (3, 12, 1)


def stand_in(path: Path, bits: int = 64, **said) -> None:
    """Write a program that says this of itself, whatever it is asked."""
    path.write_text(f"#!/bin/sh\necho '{json.dumps({'path': str(path), 'bits': bits, **said})}'\n")
    path.chmod(0o755)


def test_uv_fetches_a_python_where_there_is_none(order, computer):
    (computer / "python3").unlink()
    (computer / "uv").symlink_to("/bin/true")
    maker = choose_maker(replace(order, wheels=""))
    command = maker.environment(order, "home")
    assert maker.base is None
    assert command[command.index("--python") + 1] == "3.11"


def test_pip_is_taken_where_its_settings_name_an_index(order, computer, monkeypatch):
    (computer / "uv").symlink_to("/bin/true")
    online = replace(order, wheels="")
    if not pip_is_configured():  # by this computer's own, in /etc
        assert choose_maker(online).uv
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages.invalid/simple")
    assert not choose_maker(online).uv
    assert choose_maker(order).uv, "pip's settings do not matter to a wheel folder"
    monkeypatch.delenv("PIP_INDEX_URL")
    settings = Path.home() / ".config" / "pip" / "pip.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text("[global]\nindex-url = https://packages.invalid/simple\n")
    assert not choose_maker(online).uv


def test_the_python_is_one_that_the_wheels_are_for(order, tmp_path):
    folder = tmp_path / "wheels"
    for name in ("a-1-cp39-abi3-linux_x86_64.whl", "b-1-py3-none-any.whl", "c-1.zip"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    assert wheel_versions(str(folder)) == set()
    (folder / "d-1-cp27-cp27m-linux_x86_64.whl").touch()
    assert wheel_versions(str(folder)) == {(2, 7)}
    failed(replace(order, wheels=str(folder)), "python", "Python 2.7, which is not here")


def test_too_little_room(order, monkeypatch):
    monkeypatch.setitem(requirements.SIZES, "", 10**9)
    failed(order, "disk", "1600000000 MB are needed")


def test_a_disk_that_gets_full_where_nothing_says_so(order, computer, monkeypatch):
    (computer / "python3").unlink()
    stand_in(computer / "python3.12", venv=True, version=[3, 12, 1])
    answers = iter([10**12, 10**6])
    monkeypatch.setattr(installer, "free_space", lambda folder: next(answers))
    with (computer / "python3.12").open("a") as script:
        script.write('case "$*" in *lifeline*) echo "ensurepip returned non-zero exit status 1"; exit 1;; esac\n')
    failed(order, "disk", "The disk is full")


def test_a_folder_that_cannot_be_written(order, tmp_path):
    (tmp_path / "file").touch()
    failed(replace(order, folder=str(tmp_path / "file" / "below")), "denied", "file")
    failed(replace(order, wheels=str(tmp_path / "none")), "failed", "does not exist")


def test_one_at_a_time(order):
    with claimed(order.folder):
        failed(order, "busy", "Another QGIS")
        with pytest.raises(InstallError, match="Another QGIS"):
            remove(order.folder)


@pytest.mark.parametrize("marker", [None, "", "[]", "{}", '{"geodetect": "0.1"}'])
def test_what_has_no_whole_marker_counts_as_absent(tmp_path, marker):
    home = tmp_path / "engine-0.1"
    home.mkdir()
    if marker is not None:
        (home / MARKER).write_text(marker)
    assert installed(str(tmp_path)) is None
    assert managed_python(str(tmp_path)) == ""


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("disk", "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"),
        ("disk", "error: failed to copy file: No space left on device (os error 28)"),
        ("venv", "The virtual environment was not created successfully because ensurepip is not available."),
        ("venv", "/usr/bin/python3: No module named venv"),
        ("proxy", "ERROR: Could not install packages due to an OSError: Missing dependencies for SOCKS support."),
        ("certificate", "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify'"),
        (
            "network",
            "NameResolutionError: Failed to resolve 'pypi.org' ([Errno -3] Temporary failure in name resolution)",
        ),
        ("packages", "ERROR: No matching distribution found for geodetect<0.2,>=0.1"),
        ("denied", "ERROR: Could not install packages due to an OSError: [WinError 5] Access is denied: 'python.exe'"),
        ("failed", "Segmentation fault"),
    ],
)
def test_what_pip_and_uv_say(kind, line):
    error = explain(["Collecting openvino", line, ""])
    assert error.kind == kind
    assert error.hint
    assert line in error.log
