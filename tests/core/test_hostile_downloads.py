"""Servers that mislead: redirections, sizes and headers; what is left is the right file or nothing."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from geodetect import download
from geodetect.download import Retry, fetch
from geodetect.errors import DownloadError

QUICK = Retry(attempts=2, backoff=0.0, connect_timeout=2.0, read_timeout=0.5)
CONTENT = b"weights" * 1000


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        with contextlib.suppress(OSError):
            self.server.answer(self)
        self.close_connection = True

    def head(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def endless(self) -> None:
        for _ in range(64):  # MB, so that no disk is filled where nothing stops it
            self.wfile.write(bytes(1 << 20))
            self.server.sent += 1 << 20


@pytest.fixture
def serve():
    """Return a function that starts a server which answers with a function of the request, and returns its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads, server.handle_error, server.sent = True, lambda *_: None, 0
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

        def start(answer):
            server.answer = answer
            return server, f"http://127.0.0.1:{server.server_port}/weights.ckpt"

        yield start
        server.shutdown()


def refused(url, folder, match, **options):
    with pytest.raises(DownloadError, match=match) as caught:
        fetch(url, folder / "weights.ckpt", retry=QUICK, **options)
    assert "\n" not in str(caught.value)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("file:///etc/passwd", "only http and https addresses"),
        ("ftp://127.0.0.1/x", "only http and https addresses"),
        ("data:,x", "only http and https addresses"),
        ("//[::1", "leads to what is no address"),
        ("http://[::1", "leads to what is no address"),
        ("http://\udc80", "leads to what is no address"),
        ("http://a..b/", "it is no address"),
        ("http://127.0.0.1:x/", "cannot be fetched"),
    ],
)
def test_a_redirection_to_elsewhere_than_the_web_is_refused(address, message, serve, tmp_path):
    def answer(request):
        if request.path == "/weights.ckpt":
            request.wfile.write(
                b"HTTP/1.1 302 Found\r\nLocation: %s\r\n\r\n" % address.encode("utf-8", "surrogateescape")
            )
        else:
            request.head(404)

    refused(serve(answer)[1], tmp_path, message)


def test_a_redirection_is_followed_and_its_body_not_read(serve, tmp_path):
    def answer(request):
        if request.path == "/weights.ckpt":
            request.head(302, Location="/real")
            request.endless()
        request.head(200, Content_Length=str(len(CONTENT)))
        request.wfile.write(CONTENT)

    server, url = serve(answer)
    fetch(url, tmp_path / "weights.ckpt", hashlib.sha256(CONTENT).hexdigest(), retry=QUICK)
    assert server.sent < 32 << 20  # what fits into the system's buffers


def test_redirections_without_end_are_refused(serve, tmp_path):
    refused(serve(lambda r: r.head(302, Location=f"{r.path}x"))[1], tmp_path, "leads from one address to the next")


def test_a_secure_address_leads_to_secure_ones_only(monkeypatch):
    class Response:
        url, headers = "https://example.org/a", {"location": "http://example.org/b"}

    with pytest.raises(DownloadError, match=r"leads to http://example\.org/b, which is not encrypted"):
        download._next_address(Response, "https://example.org/a")
    Response.headers = {"location": "/b"}
    assert download._next_address(Response, "https://example.org/a") == "https://example.org/b"


def test_a_stream_without_end_stops_at_the_limit(serve, tmp_path):
    def answer(request):
        request.head(200)
        request.endless()

    refused(
        serve(answer)[1], tmp_path, "sends more than the 3 MB that are expected; nothing is kept", most_bytes=3_000_000
    )


def test_a_length_beyond_the_limit_is_refused_at_once(serve, tmp_path):
    _server, url = serve(lambda r: (r.head(200, Content_Length="3000001"), r.wfile.write(bytes(10))))
    refused(url, tmp_path, "sends more than the 3 MB", most_bytes=3_000_000)


@pytest.mark.parametrize("length", ["9" * 5_000, "\xb2", "-5", "1e3", "", " 7 000"])
def test_lengths_that_are_none(length, serve, tmp_path):
    def answer(request):
        request.head(200, Content_Length=length)
        request.wfile.write(CONTENT)

    with contextlib.suppress(DownloadError):
        fetch(serve(answer)[1], tmp_path / "weights.ckpt", retry=QUICK)
        assert (tmp_path / "weights.ckpt").read_bytes() == CONTENT


def test_a_range_of_thousands_of_digits_is_not_believed(serve, tmp_path):
    def answer(request):
        if request.headers["Range"]:
            request.head(206, Content_Range=f"bytes 500-{'9' * 5000}/{'9' * 5000}")
            return
        request.head(200, Content_Length=str(len(CONTENT)), ETag='"one"')
        request.wfile.write(CONTENT[:500])

    with pytest.raises(DownloadError, match="after 2 attempts"):
        fetch(serve(answer)[1], tmp_path / "weights.ckpt", retry=QUICK)


def test_what_is_sent_packed_is_refused(serve, tmp_path):
    bomb = gzip.compress(gzip.compress(bytes(10 << 20)))
    for encoding in ("gzip", "gzip, gzip", "br", "deflate"):
        answer = lambda r, name=encoding: (r.head(200, Content_Encoding=name), r.wfile.write(bomb))  # noqa: E731
        refused(serve(answer)[1], tmp_path, "the server sends it packed")


def test_a_note_that_is_no_note_begins_anew(serve, tmp_path):
    def answer(request):
        request.head(200, Content_Length=str(len(CONTENT)))
        request.wfile.write(CONTENT)

    (tmp_path / "weights.ckpt.part").write_bytes(b"x")
    (tmp_path / "weights.ckpt.part.json").write_text("[" * 100_000)
    fetch(serve(answer)[1], tmp_path / "weights.ckpt", hashlib.sha256(CONTENT).hexdigest(), retry=QUICK)
