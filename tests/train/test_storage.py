"""Fetching from, and mirroring to, an S3 server."""

import contextlib
import functools
import os
import socket
import subprocess
import sys
import threading
import time

import boto3
import pytest
from moto.server import ThreadedMotoServer

from geodetect.errors import ConfigError, DownloadError, OutputError, TrainingError
from geodetect.progress import Reporter
from training.storage import check_vacant, fetch, fetching, is_remote, peek, peeking, sending, sent
from training.storage.addresses import connect
from training.storage.mirror import Mirror, check_remote


class Store:
    """A server, and what a plain client sees of it."""

    def __init__(self, url):
        self.url = url
        self.client = boto3.client("s3", endpoint_url=url)
        self.client.create_bucket(Bucket="bucket")

    def put(self, key, body):
        self.client.put_object(Bucket="bucket", Key=key, Body=body)

    def get(self, key):
        return self.client.get_object(Bucket="bucket", Key=key)["Body"].read()

    def keys(self):
        return {item["Key"] for item in self.client.list_objects_v2(Bucket="bucket").get("Contents", [])}


class Heard(Reporter):
    def __init__(self):
        self.notes, self.sizes = [], []

    def progress(self, stage, done, total, found=0):
        assert stage == "download"
        self.sizes.append((done, total))

    def note(self, message):
        self.notes.append(message)


class Line:
    """A line to a server, which can be cut, or break after some bytes."""

    def __init__(self, port):
        self.left = 10**12
        self.sent = 0
        self.is_cut = False
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self.is_cut:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._copy, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._copy, args=(far, near, True), daemon=True).start()

    def _copy(self, source, sink, is_answer):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if is_answer:
                    data = data[: max(self.left, 0)]
                    self.left -= len(data)
                    self.sent += len(data)
                if self.is_cut or (is_answer and self.left <= 0):
                    break
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._listener.close()


@pytest.fixture(scope="module")
def server():
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    yield running.get_host_and_port()[1]
    running.stop()


@pytest.fixture
def line(server):
    line = Line(server)
    yield line
    line.close()


@pytest.fixture
def store(server, line, monkeypatch):
    import requests

    for name in list(os.environ):
        if name.startswith(("AWS_", "OBS_", "S3_", "GEODETECT_S3")):
            monkeypatch.delenv(name)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", line.url)
    monkeypatch.setattr(fetching, "_BACKOFF", 0.01)
    requests.post(f"http://127.0.0.1:{server}/moto-api/reset", timeout=10)
    return Store(f"http://127.0.0.1:{server}")


def test_local_paths_are_left_alone(tmp_path):
    assert not is_remote(tmp_path)
    assert not is_remote("https://example.org/a.zip")
    assert is_remote("obs://bucket/data")
    assert fetch(tmp_path) == tmp_path


def test_a_folder_is_fetched_once_and_then_what_changed(store, line, own_home):
    files = {f"data/train/{i}.jpg": os.urandom(2000 + i) for i in range(30)} | {"data/annotations/train.json": b"{}"}
    for key, body in files.items():
        store.put(key, body)
    store.put("data-of-others/a", b"no")
    heard = Heard()
    folder = fetch("s3://bucket/data", reporter=heard)
    found = {f"data/{p.relative_to(folder).as_posix()}": p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert found == files
    assert heard.sizes[-1] == (sum(map(len, files.values())),) * 2
    before, times = line.sent, {p: p.stat().st_mtime_ns for p in folder.rglob("*.jpg")}
    store.put("data/train/3.jpg", os.urandom(2003))  # the same size
    store.put("data/new.txt", b"new")
    store.client.delete_object(Bucket="bucket", Key="data/train/4.jpg")
    assert fetch("s3://bucket/data/") == folder
    assert line.sent - before < 30_000  # the list and two files
    assert (folder / "train/3.jpg").read_bytes() == store.get("data/train/3.jpg")
    assert (folder / "new.txt").read_bytes() == b"new"
    assert {p for p, t in times.items() if not p.exists() or p.stat().st_mtime_ns != t} == {
        folder / "train/3.jpg",
        folder / "train/4.jpg",
    }
    (folder / "train/5.jpg").write_bytes(b"damaged")
    fetch("s3://bucket/data")
    assert (folder / "train/5.jpg").read_bytes() == files["data/train/5.jpg"]


def test_a_file_of_huawei_is_fetched_into_a_folder(store, line, tmp_path, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    store.put("a/b.ckpt", b"weights")
    with pytest.raises(ConfigError, match="OBS_ENDPOINT"):
        fetch("obs://bucket/a/b.ckpt", tmp_path)
    monkeypatch.setenv("OBS_ENDPOINT", line.url)
    monkeypatch.setenv("OBS_ACCESS_KEY_ID", "ours")
    monkeypatch.setenv("OBS_SECRET_ACCESS_KEY", "ours")
    assert connect("obs://bucket").key == "ours"
    assert fetch("obs://bucket/a/b.ckpt", tmp_path).read_bytes() == b"weights"
    assert (tmp_path / "b.ckpt").is_file()
    monkeypatch.setenv("OBS_ENDPOINT", "obs.cn-north-4.myhuaweicloud.com")
    assert connect("obs://bucket").endpoint_url == "https://obs.cn-north-4.myhuaweicloud.com"


def test_a_download_that_breaks_goes_on_where_it_was(store, line, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "_CHUNK", 50_000)
    body = os.urandom(1_000_000)
    store.put("big.bin", body)
    store.put("small.bin", b"small")
    line.left = 600_000
    with pytest.raises(DownloadError, match=r"big.bin: .*the same command goes on") as error:
        fetch("s3://bucket/big.bin", tmp_path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "big.bin").exists()
    line.left, line.sent = 10**12, 0
    assert fetch("s3://bucket/big.bin", tmp_path).read_bytes() == body
    assert line.sent < 600_000
    assert not list(tmp_path.glob("*.part"))


def test_a_short_break_is_not_noticed(store, line, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "_CHUNK", 50_000)
    body = os.urandom(1_000_000)
    store.put("big.bin", body)
    line.left = 300_000

    class Mender(Heard):
        def progress(self, *_, **__):
            if line.left <= 0:
                line.left = 10**12

    monkeypatch.setattr(fetching, "_BACKOFF", 0.2)
    assert fetch("s3://bucket/big.bin", tmp_path, Mender()).read_bytes() == body


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://none/data", "no such bucket or file"),
        ("s3://bucket/none", "no such bucket or file"),
        ("s3://bucket/empty/", "nothing is there|no such bucket"),
    ],
)
def test_what_is_not_there_is_one_sentence(store, url, words):
    store.put("empty/", b"")
    with pytest.raises(DownloadError, match=words) as error:
        fetch(url)
    assert "\n" not in str(error.value)


def test_an_address_without_a_bucket_is_refused():
    for url in ("s3://", "s3:///data"):
        with pytest.raises(ConfigError, match="no bucket"):
            fetch(url)
    with pytest.raises(ConfigError, match=r"called \.\."), sent("s3://bucket/../other"):
        pass


def test_keys_that_are_refused_or_missing_are_named(store, line, monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DownloadError, match="set AWS_ACCESS_KEY_ID"):
        fetch("s3://bucket/data")
    with pytest.raises(OutputError, match="nothing can be written"):
        check_remote("s3://bucket/run")


def test_a_server_that_is_away_is_one_sentence(store, line, tmp_path):
    line.is_cut = True
    started = time.monotonic()
    with pytest.raises(DownloadError, match="cannot be fetched") as error:
        fetch("s3://bucket/data")
    assert "\n" not in str(error.value)
    with pytest.raises(OutputError, match="nothing can be written"):
        check_remote("s3://bucket/run")
    assert time.monotonic() - started < 5


def test_of_two_processes_one_fetches(store, line, own_home):
    for i in range(20):
        store.put(f"data/{i}", os.urandom(50_000))
    code = "from training.storage import fetch; print(len(list(fetch('s3://bucket/data').iterdir())))"
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in both] == ["20", "20"]
    assert line.sent < 1.5 * 20 * 50_000


def test_a_mirror_holds_what_was_pushed(store, tmp_path):
    check_remote("s3://bucket/runs/a")
    run = tmp_path / "run"
    (run / "tensorboard").mkdir(parents=True)
    with Mirror(run, "s3://bucket/runs/a") as mirror:
        for epoch in range(5):
            (run / "last.ckpt").write_bytes(b"%d" % epoch * 1000)
            mirror.push(run / "last.ckpt")
        (run / "tensorboard/events").write_bytes(b"events")
        (run / ".last.tmp").write_bytes(b"half")
        mirror.push(run)
        mirror.push(run / "gone.ckpt")
    assert store.keys() == {"runs/a/last.ckpt", "runs/a/tensorboard/events"}
    assert store.get("runs/a/last.ckpt") == b"4" * 1000


def test_an_outage_stops_nothing_and_loses_nothing(store, line, tmp_path):
    heard = Heard()
    mirror = Mirror(tmp_path, "s3://bucket/run", heard, backoff=0.05)
    line.is_cut = True
    for epoch in range(100):
        started = time.monotonic()
        (tmp_path / "last.ckpt").write_bytes(b"%d" % epoch)
        mirror.push(tmp_path / "last.ckpt")
        assert time.monotonic() - started < 0.1
        if heard.notes:
            break
        time.sleep(0.1)
    mirror.push(tmp_path)
    assert len(heard.notes) == 1
    assert "work goes on" in heard.notes[0]
    line.is_cut = False
    mirror.close()
    assert store.get("run/last.ckpt") == b"%d" % epoch
    assert heard.notes[-1] == "uploads to s3://bucket/run work again"


@pytest.mark.parametrize("case", ["server away", "wrong bucket", "broken off"])
def test_what_was_not_uploaded_is_told_in_the_end(store, line, tmp_path, case):
    heard = Heard()
    mirror = Mirror(tmp_path, "s3://none/run" if case == "wrong bucket" else "s3://bucket/run", heard, backoff=0.01)
    line.is_cut = case == "server away"
    line.left = 50 if case == "broken off" else 10**12
    for name in ("last.ckpt", "metrics.csv"):
        (tmp_path / name).write_bytes(b"kept" * 1000)
        mirror.push(tmp_path / name)
    with pytest.raises(TrainingError, match=r"2 files could not .*: last.ckpt, metrics.csv; they are all in") as error:
        mirror.close()
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)
    assert (tmp_path / "last.ckpt").read_bytes() == b"kept" * 1000
    assert len(heard.notes) == 1


def test_another_error_is_not_hidden_by_a_failed_upload(store, line, tmp_path):
    heard = Heard()
    line.is_cut = True
    (tmp_path / "last.ckpt").write_bytes(b"kept")

    def fail():
        with Mirror(tmp_path, "s3://bucket/run", heard, backoff=0.01) as mirror:
            mirror.push(tmp_path / "last.ckpt")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert "could not be uploaded" in heard.notes[-1]


def test_a_local_path_is_written_as_it_is(tmp_path):
    check_vacant(tmp_path)
    with sent(tmp_path / "out") as path:
        assert path == tmp_path / "out"


def write_all(folder):
    for name in ("annotations/a.json", "train/1.png", ".journal", ".parts/1", "report.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_a_folder_is_sent_and_what_tells_that_it_is_whole_comes_last(store, own_home, monkeypatch):
    order = []
    upload = Mirror._upload
    monkeypatch.setattr(Mirror, "_upload", lambda self, name: order.append(name) or upload(self, name))
    for keep in (None, sending.home() / "prepared"):
        store.client.delete_object(Bucket="bucket", Key="made/report.json")
        with sent("s3://bucket/made/", last="annotations", keep=keep) as path:
            write_all(path)
        assert store.keys() == {"made/annotations/a.json", "made/train/1.png", "made/report.json"}
        assert order[-1] == "annotations/a.json"
        assert path.exists() == (keep is not None)
    assert not list((sending.home() / "outputs").iterdir())


def test_a_file_is_sent_under_its_own_name(store):
    with sent("s3://bucket/a/b.ckpt") as path:
        path.write_bytes(b"weights")
    assert path.name == "b.ckpt"
    assert store.keys() == {"a/b.ckpt"}
    with pytest.raises(OutputError, match=r"s3://bucket/a/b.ckpt exists; .* --overwrite"):
        check_vacant("s3://bucket/a/b.ckpt")
    with pytest.raises(OutputError, match=r"s3://bucket/a exists"):
        check_vacant("s3://bucket/a")
    with pytest.raises(OutputError, match=r"s3://bucket/a/b.ckpt exists"):
        check_vacant("s3://bucket/a/", ("c.json", "b.ckpt"))
    check_vacant("s3://bucket/a", ("c.json",))
    check_vacant("s3://bucket/b")


def test_work_that_fails_sends_nothing_and_leaves_nothing(store):
    seen = []

    def fail(path):
        write_all(path)
        seen.append(path)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), sent("s3://bucket/made") as path:
        fail(path)
    assert not seen[0].exists()
    assert not store.keys()
    with pytest.raises(OutputError, match="nothing can be written to s3://none/made"), sent("s3://none/made"):
        raise ZeroDivisionError


def test_what_a_store_did_not_take_stays_and_the_next_is_apart(store, line, monkeypatch):
    monkeypatch.setattr(sending, "Mirror", functools.partial(Mirror, backoff=0.01))

    def send():
        with sent("s3://bucket/made") as path:
            write_all(path)
            line.is_cut = True

    with pytest.raises(TrainingError, match=r"3 files could not be uploaded .*they are all in") as error:
        send()
    path = sending.home() / "outputs" / "bucket-made" / "made"
    assert str(path) in str(error.value)
    assert (path / "train/1.png").is_file()
    line.is_cut = False
    with sent("s3://bucket/made") as other:
        write_all(other)
    assert path.exists()
    assert not other.exists()
    assert len(store.keys()) == 3


def test_the_end_of_a_file_is_read_without_the_rest(store, line, monkeypatch):
    monkeypatch.setattr(peeking, "_BACKOFF", 0.01)
    store.put("big", b"1" * 100_000 + b"23")
    store.put("empty", b"")
    assert peek("s3://bucket/big", 3) == b"123"
    assert peek("s3://bucket/big", 10**6)[-2:] == b"23"
    assert peek("s3://bucket/empty", 3) == b""
    assert peek("s3://bucket/none", 3) is None
    assert peek("s3://none/none", 3) is None
    line.is_cut = True
    with pytest.raises(DownloadError, match="big cannot be read"):
        peek("s3://bucket/big", 3)
