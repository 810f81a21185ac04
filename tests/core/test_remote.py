"""A cloud-optimised GeoTIFF read over HTTP, by ranges."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import rasterio
import rasterio.shutil

import geodetect
from geodetect.demo.scene import draw_scene
from geodetect.errors import SceneError
from geodetect.scene import open_scene


@pytest.fixture
def cog(write_raster, tmp_path):
    pixels = np.ascontiguousarray(np.moveaxis(np.asarray(draw_scene(2048, seed=1, gsd=0.5)[0]), -1, 0))
    rasterio.shutil.copy(write_raster(pixels), tmp_path / "cog.tif", driver="COG", compress="deflate")
    return tmp_path / "cog.tif"


@pytest.fixture
def served(cog):
    content = cog.read_bytes()
    sent = []

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
