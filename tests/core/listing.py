"""Lists and catalogues for tests, and a server that gives them."""

from __future__ import annotations

import contextlib
import os
import string
import threading
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pystac
from hypothesis import strategies as st

VISUAL, DATA = ["visual"], ["data"]
HOSTILE = (
    "/vsicurl/http://evil/x.tif", "/vsizip/x.zip", "//vsizip/x.zip", "/./vsimem/x", "/a/../vsistdin/",
    "a/../../vsitar/x", "/VSIGZIP//x", "https://host/vsizip/x.tif", "WMS:http://host", "GTIFF_DIR:1:x.tif",
    'NETCDF:"x.nc":v', "<VRTDataset/>", "<GDAL_WMS>", '{"type": "x"}', "vrt://x.tif", "zip+https://host/x.zip!x.tif", "zip://x.zip",
    "file://host/x.tif", "file:///vsizip/x.zip", "file:///a/%2e%2e/vsizip/x", "file:/x.tif", "ftp://host/x.tif",
    "PG:host=db password=secret", "MEM:::DATAPOINTER=1", "\\\\.\\PhysicalDrive0", "a\0b.tif", "a\x1b[2Jb.tif",
    "https://", "https:///x.tif", "https://[/x.tif", "s3:///x.tif", "https://ho st/x.tif", "a\ud800.tif", "/dev/zero",
)  # fmt: skip
PIECES = ("/", "..", ".", "vsizip", "VSIcurl", "\\", "file://", "https://", "a", "C:", "WMS:", "%2e", " ", "<")
ENTRIES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(HOSTILE),
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join),
)


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [str(folder / name) for name in names]


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def is_harmless(scene):
    """Whether GDAL and rasterio see nothing but an address or a path in a scene."""
    if scene.startswith(("http://", "https://", "s3://", "gs://", "az://")):
        return True
    if scene[1:2] == ":" and scene[0] in string.ascii_letters:
        return True
    vsi = ("/vsi", "//")
    return scene.startswith("/") and not scene.startswith(vsi) and not os.path.normpath(scene).lower().startswith(vsi)


class Served(dict):
    """What a server answers, by path: bytes, or a function of the handler."""

    url = ""
    asked = ()


@contextlib.contextmanager
def serving():
    """A server on this machine, and what it answers."""
    content = Served()
    content.asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            content.asked.append(self.path)
            answer = content.get(self.path)
            if callable(answer):
                answer(self)
                return
            self.send_response(404 if answer is None else 200)
            self.send_header("Content-Length", str(len(answer or b"")))
            self.end_headers()
            self.wfile.write(answer or b"")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    content.url = f"http://127.0.0.1:{server.server_port}"
    yield content
    server.shutdown()
    server.server_close()


def asset(href, roles=VISUAL, kind=pystac.MediaType.COG, **more):
    return {"href": href, "roles": roles, "type": kind} | more


def item(assets, name="one", **more):
    made = pystac.Item(name, None, None, datetime(2024, 5, 1, tzinfo=timezone.utc), {}).to_dict()
    return made | {"assets": assets, "links": []} | more
