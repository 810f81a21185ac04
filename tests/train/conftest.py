"""What the tests of training share."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def store_port():
    """The port of an S3 server on this machine."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def bucket(store_port, monkeypatch, tmp_path):
    """An empty bucket called `bucket`, where the working folder is one of the test's own."""
    import boto3
    import requests

    url = f"http://127.0.0.1:{store_port}"
    for name in [name for name in os.environ if name.startswith(("AWS_", "OBS_", "S3_", "GEODETECT_S3"))]:
        monkeypatch.delenv(name)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
    monkeypatch.chdir(tmp_path)
    requests.post(f"{url}/moto-api/reset", timeout=10)
    made = boto3.resource("s3", endpoint_url=url).Bucket("bucket")
    made.create()
    return made
