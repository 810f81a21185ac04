"""A scene of which a part cannot be read for a while: it is tried again, or done by the next run."""

from __future__ import annotations

import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from faults import Here, complete, told
from running import features, write_scene

from geodetect.batch import run
from geodetect.batch.run import BatchOptions, run_batch, status

WORDS = ("--engine", "openvino", "--precision", "float32", "--score", "0.3", "--workers", "1", "--no-quicklooks")


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.setattr(run, "LocalWorkers", Here)


@pytest.fixture(scope="module")
def scene(pixels, tmp_path_factory) -> Path:
    """A scene of four tiles."""
    return Path(write_scene(tmp_path_factory.mktemp("scenes") / "scene.tif", pixels, tiled=True))


@pytest.fixture(scope="module")
def undisturbed(scene, tmp_path_factory) -> dict[str, list]:
    folder = tmp_path_factory.mktemp("undisturbed")
    run_batch([str(scene)], folder, options=BatchOptions(workers=1, block=0), precision="float32", score=0.3)
    return features(folder)


class Server(ThreadingHTTPServer):
    """Gives a file by ranges, but breaks off in the middle of some answers, for so many seconds."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.asked, self.first, self.bad, self.until = content, 0, 2, 0.0, 0.0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def breaks(self) -> bool:
        self.asked += 1
        self.until = self.until or (time.monotonic() + self.bad if self.asked >= self.first else 0.0)
        return time.monotonic() < self.until

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/scene.tif"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()

    def do_GET(self):
        breaks, size = self.server.breaks(), len(self.server.content)
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        begin, end = int(first), min(int(last or size - 1), size - 1)
        part = self.server.content[begin : end + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {begin}-{end}/{size}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part[: len(part) // 2] if breaks else part)


@pytest.fixture
def server(scene):
    server = Server(scene.read_bytes())
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("block", ["0", "1"])
def test_a_server_that_breaks_off_is_asked_again(server, undisturbed, tmp_path, block):
    server.bad = 0.5  # less than the pause before the second attempt
    assert told(server.url, "-o", tmp_path, "--block", block, "--retries", "1", *WORDS)[0] == 0
    assert status(tmp_path)[0].records[0].attempts == 2
    complete(tmp_path, undisturbed)


@pytest.mark.parametrize("block", ["0", "1"])
def test_what_a_server_broke_off_is_done_by_the_next_run(server, undisturbed, tmp_path, block):
    server.bad = 600
    words = "-o", tmp_path, "--block", block, "--retries", "0"
    assert told(server.url, *words, *WORDS)[0] == 1
    (record,) = status(tmp_path)[0].records
    assert (record.state, record.attempts) == ("failed", 1)
    assert server.url in record.reason
    assert features(tmp_path) == {}
    server.until = 1.0
    assert told("--continue", *words) == (0, "")
    complete(tmp_path, undisturbed)


@pytest.mark.parametrize("first", [2, 3, 4, 6])
@pytest.mark.parametrize("seconds", [0.01, 600])
def test_what_a_server_did_not_give_is_never_taken_for_pixels(server, undisturbed, tmp_path, first, seconds):
    """GDAL itself asks again for some of it; what it does not get it tells, but for reads by several threads."""
    server.first, server.bad = first, seconds
    code, _ = told(server.url, "-o", tmp_path, "--retries", "0", *WORDS)
    assert features(tmp_path) == ({} if code else undisturbed)


def test_a_scene_that_is_cut_off_loses_none_of_the_blocks_before(scene, pixels, undisturbed, tmp_path):
    copy, out = tmp_path / "scene.tif", tmp_path / "out"
    write_scene(copy, pixels)  # in rows
    content, when = copy.read_bytes(), os.stat(copy).st_mtime_ns
    with copy.open("r+b") as file:  # its size stays, as in a copy that goes on
        file.seek(len(content) * 3 // 4)
        file.truncate()
    words = "-o", out, "--block", "1"
    assert told(copy, *words, *WORDS)[0] == 1
    (record,) = status(out)[0].records
    assert (record.state, record.attempts) == ("failed", 1)
    assert "it is damaged or cut off" in record.reason
    assert features(out) == {}
    copy.write_bytes(content)
    os.utime(copy, ns=(when, when))
    assert told("--continue", *words) == (0, "")
    complete(out, undisturbed)
