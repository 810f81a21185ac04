"""A cloud-optimised GeoTIFF read over HTTP, by ranges."""

import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import rasterio
import rasterio.shutil

import geodetect
from geodetect.demo.scene import draw_scene
from geodetect.errors import SceneError
from geodetect.scene import open_scene


class Sent(list):
    """The bytes of each answer, and a server's will to go on."""

    def __init__(self):
        super().__init__()
        self.most, self.stalled, self.release = 10**9, threading.Event(), threading.Event()


@pytest.fixture
def cog(write_raster, tmp_path):
    pixels = np.ascontiguousarray(np.moveaxis(np.asarray(draw_scene(2048, seed=1, gsd=0.5)[0]), -1, 0))
    rasterio.shutil.copy(write_raster(pixels), tmp_path / "cog.tif", driver="COG", compress="deflate")
    return tmp_path / "cog.tif"


@pytest.fixture
def served(cog):
    content = cog.read_bytes()
    sent = Sent()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_HEAD(self):
            found = self.path == "/cog.tif"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(content) if found else 0))
            self.send_header("Accept-Ranges", "bytes")
            self.end_headers()

        def do_GET(self):
            if self.path != "/cog.tif":
                self.send_error(404)
                return
            if len(sent) >= sent.most:
                sent.stalled.set()
                sent.release.wait(20)
                return
            first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
            begin, end = int(first), min(int(last or len(content) - 1), len(content) - 1)
            part = content[begin : end + 1]
            sent.append(len(part))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{end}/{len(content)}")
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(part)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", sent, len(content)
    sent.release.set()
    server.shutdown()
    server.server_close()


def test_a_url_gives_what_the_file_gives_and_an_area_fetches_little(served, cog):
    url, sent, size = served
    area = "500100,4999700,500250,4999850"
    options = {"model": "planes-ships-yolov3-tiny", "precision": "float32", "score": 0.2, "area": area}
    remote = geodetect.detect(f"{url}/cog.tif", **options)
    local = geodetect.detect(cog, **options)
    np.testing.assert_allclose(remote.detections.boxes, local.detections.boxes)
    assert len(local.detections)
    assert remote.run["scene"] == "cog.tif"
    assert sum(sent) < size / 2


def test_a_dead_address_is_one_sentence(served):
    url, _, _ = served
    for address in (f"{url}/none.tif", "http://127.0.0.1:9/cog.tif"):
        with pytest.raises(SceneError, match="cannot be opened as a raster") as error:
            open_scene(address)
        assert "\n" not in str(error.value)


def test_ctrl_c_ends_a_run_that_waits_for_a_stalled_server(served, tmp_path):
    url, sent, _ = served
    sent.most = 8
    command = [sys.executable, "-m", "geodetect", f"{url}/cog.tif", "-o", str(tmp_path / "out.gpkg")]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert sent.stalled.wait(30)
    time.sleep(0.5)  # into the wait
    interrupted = time.monotonic()
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=15)
    assert running.returncode == 130
    assert time.monotonic() - interrupted < 2
    assert "Traceback" not in errors
    assert not list(tmp_path.glob("*out*"))
