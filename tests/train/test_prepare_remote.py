"""Data from, and a data set to, an S3 server."""

from __future__ import annotations

import boto3
import pytest
from labels_made import fleet
from moto.server import ThreadedMotoServer

from geodetect.errors import OutputError
from training.prepare import PrepareSettings, prepare


@pytest.fixture
def client(monkeypatch):
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    url = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("GEODETECT_S3_ENDPOINT", url)
    client = boto3.client("s3", endpoint_url=url)
    client.create_bucket(Bucket="bucket")
    yield client
    server.stop()


def test_a_data_set_between_buckets(tmp_path, client):
    data = fleet(tmp_path / "data", images=2)
    for path in data.rglob("*.*"):
        client.upload_file(str(path), "bucket", f"raw/{path.relative_to(data).as_posix()}")
    options = {"tile": 160, "workers": 1, "val_share": 0.5}
    prepare(PrepareSettings((str(data),), str(tmp_path / "here"), **options))
    prepare(PrepareSettings(("s3://bucket/raw",), "s3://bucket/made", **options))
    listed = client.list_objects_v2(Bucket="bucket", Prefix="made/")["Contents"]
    expected = {
        f"made/{path.relative_to(tmp_path / 'here').as_posix()}": path.read_bytes()
        for path in (tmp_path / "here").rglob("*.*")
        if path.is_file() and not path.name.startswith(".") and path.name != "report.json"  # which names the data
    }
    assert {item["Key"] for item in listed} == {*expected, "made/report.json"}
    for key, content in expected.items():
        assert client.get_object(Bucket="bucket", Key=key)["Body"].read() == content


def test_a_bucket_that_is_not_there_is_told_before_the_work(tmp_path, client):
    with pytest.raises(OutputError, match="nothing can be written to s3://none/made"):
        prepare(PrepareSettings((str(tmp_path / "no"),), "s3://none/made"))
