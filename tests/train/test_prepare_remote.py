"""Data from, and a data set to, an S3 server."""

from __future__ import annotations

import pytest
from labels_made import fleet

from geodetect.errors import OutputError
from training.prepare import PrepareSettings, prepare


def test_a_data_set_between_buckets(tmp_path, bucket):
    data = fleet(tmp_path / "data", images=2)
    for path in data.rglob("*.*"):
        bucket.upload_file(str(path), f"raw/{path.relative_to(data).as_posix()}")
    options = {"tile": 160, "workers": 1, "val_share": 0.5}
    prepare(PrepareSettings((str(data),), str(tmp_path / "here"), **options))
    prepare(PrepareSettings(("s3://bucket/raw",), "s3://bucket/made", **options))
    listed = {item.key: item.get()["Body"].read() for item in bucket.objects.filter(Prefix="made/")}
    expected = {
        f"made/{path.relative_to(tmp_path / 'here').as_posix()}": path.read_bytes()
        for path in (tmp_path / "here").rglob("*.*")
        if path.is_file() and not path.name.startswith(".") and path.name != "report.json"  # which names the data
    }
    assert listed.pop("made/report.json")
    assert listed == expected


def test_a_bucket_that_is_not_there_is_told_before_the_work(tmp_path, bucket):
    with pytest.raises(OutputError, match="nothing can be written to s3://none/made"):
        prepare(PrepareSettings((str(tmp_path / "no"),), "s3://none/made"))
