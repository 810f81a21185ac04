"""Lists from servers, and what lies in a bucket."""

import gzip
import json
import os
import sys
import threading
import time
import tracemalloc

import fsspec.registry  # noqa: F401 - a module that its package hides
import numpy as np
import pytest
from listing import asset, item, serving

from geodetect.batch.sources import find_scenes, lists, remote
from geodetect.errors import ConfigError, DownloadError, EngineError, GeodetectError, SceneError
from geodetect.scene import open_scene


@pytest.fixture
def served():
    with serving() as content:
        yield content


def test_a_list_from_a_server_names_what_lies_beside_it(served):
    served["/x/list.txt?key=1"] = b"a.tif\n../b.tif\n../../../c d.tif?k=2\nhttps://other/d.tif\n"
    found = find_scenes([f"{served.url}/x/list.txt?key=1"])
    assert found == [
        *(f"{served.url}/x/a.tif", f"{served.url}/b.tif", f"{served.url}/c%20d.tif?k=2", "https://other/d.tif"),
    ]


@pytest.mark.parametrize(
    "entry", ["/etc/passwd", "file:///etc/passwd", "C:\\x.tif", "\\\\server\\share\\x.tif", "/vsimem/x"]
)
def test_a_list_from_a_server_may_not_name_local_files(served, entry):
    served["/list.txt"] = entry.encode()
    served["/item.json"] = json.dumps(item({"visual": asset(entry)})).encode()
    for name in ("list.txt", "item.json"):
        with pytest.raises(ConfigError, match="--allow-vsi"):
            find_scenes([f"{served.url}/{name}"])
    assert len(find_scenes([f"{served.url}/list.txt"], allow_vsi=True)) == 1


def test_no_key_of_an_address_is_ever_printed(served, tmp_path):
    sources = [
        *(f"{served.url}/none.txt?sig=SECRET", f"{served.url}/none.json?sig=SECRET#SECRET"),
        *("http://user:SEC@RET@127.0.0.1:9/list.txt?SECRET", "https://u:SECRET@host/folder/", "s3://?SECRET"),
    ]
    sources.append(f"{served.url}/list.txt?SECRET")
    served["/list.txt?SECRET"] = b"/vsicurl?header.key=SECRET&url=x\n"
    for source in sources:
        with pytest.raises(GeodetectError) as error:
            find_scenes([source])
        assert "SEC" not in str(error.value)
        assert "RET" not in str(error.value)


def test_a_server_that_redirects(served):
    def to(location):
        def answer(handler):
            handler.send_response(302)
            handler.send_header("Location", location)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        return answer

    served["/old/list.txt"] = to("/new/list.txt")
    served["/new/list.txt"] = b"a.tif"
    assert find_scenes([f"{served.url}/old/list.txt"]) == [f"{served.url}/new/a.tif"]
    served["/round.txt"] = to("/round.txt")
    with pytest.raises(DownloadError, match="circle"):
        find_scenes([f"{served.url}/round.txt"])
    served["/file.txt"] = to("file:///etc/passwd")
    with pytest.raises(DownloadError, match="no web address"):
        find_scenes([f"{served.url}/file.txt"])


def test_a_packed_bomb_is_not_blown_up(served, monkeypatch):
    packed = gzip.compress(bytes(50 << 20))

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(packed)))
        handler.end_headers()
        handler.wfile.write(packed)

    served["/list.txt"] = answer
    monkeypatch.setattr(lists, "MOST_BYTES", 1 << 20)
    tracemalloc.start()
    with pytest.raises(ConfigError, match="more than 1 MiB"):
        find_scenes([f"{served.url}/list.txt"])
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()


def test_a_server_that_trickles_for_ever_is_given_up(served, monkeypatch):
    released = threading.Event()

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        while not released.wait(0.05):
            handler.wfile.write(b"a")

    served["/list.txt"] = answer
    monkeypatch.setattr(remote, "_DOCUMENT", 1)
    began = time.monotonic()
    with pytest.raises(DownloadError, match="not read within 1 s"):
        find_scenes([f"{served.url}/list.txt"])
    assert time.monotonic() - began < 10
    released.set()


@pytest.fixture(scope="module")
def store():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(store, monkeypatch):
    import boto3

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        **{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"},
        **{"AWS_S3_ENDPOINT": store, "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE"},  # what GDAL needs
    }.items():
        monkeypatch.setenv(name, value)
    made = boto3.resource("s3", endpoint_url=f"http://{store}").Bucket("bucket")
    made.create()
    yield made
    made.objects.delete()
    made.delete()


def test_a_prefix_gives_the_rasters_under_it_and_they_open(bucket, write_raster):
    scene = write_raster(np.full((3, 8, 8), 7, np.uint8))
    for key in ("s/a10.tif", "s/a2.tif", "s/deep/b.TIF", "s/.hidden/c.tif", "s/a2.png", "s/notes.txt", "other/d.tif"):
        bucket.upload_file(str(scene), key)
    found = find_scenes(["s3://bucket/s/"])
    assert found == ["s3://bucket/s/a2.tif", "s3://bucket/s/a10.tif", "s3://bucket/s/deep/b.TIF"]
    with open_scene(found[0]) as opened:
        assert opened.grid.width == 8
    assert len(find_scenes(["s3://bucket"])) == 4
    with pytest.raises(SceneError, match="has no rasters under it"):
        find_scenes(["s3://bucket/none/"])
    with pytest.raises(DownloadError, match="no such bucket"):
        find_scenes(["s3://nowhere/none/"])


def test_lists_and_catalogues_in_a_bucket(bucket):
    bucket.put_object(Key="x/list.txt", Body=b"a.tif\n../../../b.tif\n")
    assert find_scenes(["s3://bucket/x/list.txt"]) == ["s3://bucket/x/a.tif", "s3://bucket/b.tif"]
    bucket.put_object(Key="x/item.json", Body=json.dumps(item({"visual": asset("./c.tif")})).encode())
    assert find_scenes(["s3://bucket/x/item.json"]) == ["s3://bucket/x/c.tif"]
    bucket.put_object(Key="x/local.txt", Body=b"/etc/passwd\n")
    with pytest.raises(ConfigError, match="a list from a server may not name"):
        find_scenes(["s3://bucket/x/local.txt"])
    with pytest.raises(DownloadError, match="no such bucket or file"):
        find_scenes(["s3://bucket/x/none.txt"])


def test_a_store_without_its_library_is_told(monkeypatch):
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(EngineError, match="pip install"):
        find_scenes(["s3://bucket/s/"])
