"""Downloads from a real HTTP server on this machine that misbehaves in the ways that real ones do."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from geodetect.checksum import file_sha256
from geodetect.download import Retry, fetch
from geodetect.errors import Cancelled, DownloadError

CONTENT = np.random.default_rng(0).bytes(1_500_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
QUICK = Retry(attempts=3, backoff=0.0, connect_timeout=2.0, read_timeout=0.2)


class Server(ThreadingHTTPServer):
    """Serves `content`; `faults` are used up one a request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.etag: str | None = '"one"'
        self.ranges = True
        self.honours_if_range = True
        self.faults: list[str] = []
        self.asked: list[str | None] = []  # the Range header of each request
        self.released = threading.Event()  # ends a stalled answer

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # clients that hang up are what these tests are about

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/weights.ckpt"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server, content = self.server, self.server.content
        server.asked.append(self.headers["Range"])
        fault = server.faults.pop(0) if server.faults else ""
        if fault.isdigit():
            return self.send_error(int(fault))
        start = self._start()
        if start >= len(content) > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            first = start + (7 if fault == "wrong range" else 0)
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        if fault == "break":
            self.wfile.write(content[start : start + 600_000])
            self.close_connection = True
        elif fault == "stall":
            self.wfile.write(content[start : start + 600_000])
            self.wfile.flush()
            server.released.wait(5)
        else:
            self.wfile.write(content[start:])
        return None

    def _start(self) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        same = self.headers["If-Range"] == self.server.etag or not self.server.honours_if_range
        return int(asked[1]) if asked and self.server.ranges and same else 0


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield running
        running.released.set()
        running.shutdown()


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir())


def test_fetches_a_file_whole_and_tells_of_it(server, tmp_path):
    told = []
    target = tmp_path / "new" / "weights.ckpt"
    assert fetch(server.url, target, SHA256.upper(), lambda *step: told.append(step)) == target
    assert target.read_bytes() == CONTENT
    assert leftovers(target.parent) == ["weights.ckpt"]
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_leaves_a_file_with_the_right_checksum_alone(server, tmp_path):
    target = tmp_path / "weights.ckpt"
    target.write_bytes(CONTENT)
    fetch(server.url, target, SHA256)
    assert server.asked == []


@pytest.mark.parametrize("fault", ["break", "stall"])
def test_goes_on_where_a_transfer_broke_off(server, tmp_path, fault):
    server.faults = [fault, fault]
    fetch(server.url, tmp_path / "weights.ckpt", SHA256, retry=QUICK)
    first, second, third = server.asked
    assert first is None
    assert 0 < int(second[6:-1]) < int(third[6:-1]) < len(CONTENT)
    assert leftovers(tmp_path) == ["weights.ckpt"]


def test_goes_on_in_a_later_call(server, tmp_path):
    server.faults = ["break", "503", "503"]
    with pytest.raises(DownloadError, match=r"503 Service Unavailable, after 3 attempts"):
        fetch(server.url, tmp_path / "weights.ckpt", retry=QUICK)
    kept = (tmp_path / "weights.ckpt.part").stat().st_size
    assert 0 < kept < len(CONTENT)
    fetch(server.url, tmp_path / "weights.ckpt", SHA256, retry=QUICK)
    assert server.asked[-1] == f"bytes={kept}-"


def test_a_part_that_was_whole_already_is_not_fetched_again(server, tmp_path):
    (tmp_path / "weights.ckpt.part").write_bytes(CONTENT)
    (tmp_path / "weights.ckpt.part.json").write_text(json.dumps({"url": server.url, "validator": '"one"'}))
    fetch(server.url, tmp_path / "weights.ckpt", SHA256, retry=QUICK)
    assert len(server.asked) == 1


@pytest.mark.parametrize("setting", ["ranges", "etag"])
def test_starts_again_where_the_server_cannot_resume(server, tmp_path, setting):
    setattr(server, setting, None)
    server.faults = ["break"]
    fetch(server.url, tmp_path / "weights.ckpt", SHA256, retry=QUICK)
    assert (tmp_path / "weights.ckpt").read_bytes() == CONTENT


@pytest.mark.parametrize("honours_if_range", [True, False])
@pytest.mark.parametrize("content", [CONTENT[::-1], CONTENT[:1000]], ids=["same size", "shorter"])
def test_never_joins_two_versions_of_a_file(server, tmp_path, honours_if_range, content):
    server.faults = ["break", "404"]
    with pytest.raises(DownloadError):
        fetch(server.url, tmp_path / "weights.ckpt", retry=QUICK)
    server.content, server.etag, server.honours_if_range = content, '"two"', honours_if_range
    fetch(server.url, tmp_path / "weights.ckpt", retry=QUICK)
    assert (tmp_path / "weights.ckpt").read_bytes() == content


def test_another_range_than_asked_for_is_not_used(server, tmp_path):
    server.faults = ["break", "wrong range"]
    fetch(server.url, tmp_path / "weights.ckpt", SHA256, retry=QUICK)
    assert server.asked[2] is None


def test_a_part_that_somebody_else_writes_too_is_not_used(server, tmp_path):
    part = tmp_path / "weights.ckpt.part"
    written = []

    def interfere(done: int, total: int | None) -> None:
        if not written:
            written.append(part.open("ab").write(b"not ours"))

    fetch(server.url, tmp_path / "weights.ckpt", progress=interfere, retry=QUICK)
    assert (tmp_path / "weights.ckpt").read_bytes() == CONTENT


def test_a_part_of_another_address_is_not_used(server, tmp_path):
    (tmp_path / "weights.ckpt.part").write_bytes(b"something else")
    (tmp_path / "weights.ckpt.part.json").write_text('{"url": "http://elsewhere", "validator": "x"}')
    fetch(server.url, tmp_path / "weights.ckpt", SHA256, retry=QUICK)
    assert server.asked == [None]


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    with pytest.raises(DownloadError, match=f"{SHA256}, not {'0' * 64}"):
        fetch(server.url, tmp_path / "weights.ckpt", "0" * 64)
    assert leftovers(tmp_path) == []


def test_gives_up_at_once_where_the_file_is_not_there(server, tmp_path):
    server.faults = ["404"]
    with pytest.raises(DownloadError, match=r"/weights.ckpt cannot be fetched \(the server answers 404 Not Found\)"):
        fetch(server.url, tmp_path / "weights.ckpt", retry=QUICK)
    assert len(server.asked) == 1


def test_a_breaking_server_without_ranges_ends_the_attempts(server, tmp_path):
    server.ranges, server.faults = False, ["break"] * 10
    with pytest.raises(DownloadError, match="after 3 attempts"):
        fetch(server.url, tmp_path / "weights.ckpt", retry=QUICK)
    assert len(server.asked) <= 4


def test_refused_connection_is_one_sentence(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/weights.ckpt"
        with pytest.raises(DownloadError) as caught:
            fetch(url, tmp_path / "weights.ckpt", retry=QUICK)
    assert str(caught.value) == f"{url} cannot be fetched (connection refused, after 3 attempts)"


@pytest.mark.parametrize("url", ["ftp://host/file", "file:///etc/passwd", "weights.ckpt"])
def test_other_addresses_are_refused(url, tmp_path):
    with pytest.raises(DownloadError, match="only http and https"):
        fetch(url, tmp_path / "weights.ckpt")


def test_ctrl_c_keeps_what_has_arrived(server, tmp_path):
    def stop(done: int, total: int | None) -> None:
        if done > 500_000:
            raise KeyboardInterrupt

    with pytest.raises(Cancelled, match=r"0\.\d MB are kept in .*weights.ckpt.part and the same command goes on"):
        fetch(server.url, tmp_path / "weights.ckpt", progress=stop)
    fetch(server.url, tmp_path / "weights.ckpt", SHA256)
    assert server.asked[1] is not None


def test_a_full_disk_is_told_before_anything_is_written(server, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1_000_000})
    monkeypatch.setattr("geodetect.download.shutil.disk_usage", lambda folder: usage)
    with pytest.raises(DownloadError, match="has 1 MB free, the download needs 2 MB"):
        fetch(server.url, tmp_path / "weights.ckpt")


def test_a_folder_that_cannot_be_written_is_told(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DownloadError, match="cannot be saved"):
        fetch(server.url, tmp_path / "file" / "weights.ckpt")


def test_file_sha256_is_hashlibs(tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    assert file_sha256(tmp_path / "file") == SHA256
