"""A run whose folder is an address: where it is here, and which of two copies is gone on with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geodetect.errors import ConfigError, DownloadError, OutputError
from training.run.config import TrainConfig
from training.run.folder import choose_folder
from training.run.state import Progress, load, save

URL = "s3://bucket/runs/one"


def put(bucket, steps, best=True, url=URL):
    """Write a run that made so many steps to the store."""
    key = url.removeprefix("s3://bucket/")
    for name in ("config.yaml", "model.yaml", "metrics.csv", *(["best.ckpt"] if best else [])):
        bucket.put_object(Key=f"{key}/{name}", Body=f"{name} {steps}".encode())
    bucket.upload_file(str(checkpoint(Path("sent.ckpt"), steps)), f"{key}/last.ckpt")


def checkpoint(path, steps):
    path.parent.mkdir(parents=True, exist_ok=True)
    pending = tuple((0.1,) * 5 for _ in range(500))
    settings = {"lr": 0.1, "epoch": 7}
    save(path, {"a": np.zeros(10, np.float32)}, {}, Progress(1, 2, steps, settings=settings, pending=pending))
    return path


def resumed(url=URL):
    return choose_folder(TrainConfig(ckpt_path=url, resume=True))


def test_the_folder_has_bucket_and_key_in_its_name(bucket):
    for url in ("s3://bucket/run", "s3://bucket/a/run"):
        assert choose_folder(TrainConfig(ckpt_path=url)) == Path("runs") / url.removeprefix("s3://")
    assert not Path("runs").exists()
    with pytest.raises(ConfigError, match=r"\.\."):
        choose_folder(TrainConfig(ckpt_path="s3://bucket/../.."))


def test_a_run_is_fetched_with_its_best_weights_and_its_card(bucket):
    put(bucket, 10)
    folder = resumed()
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {
        "best.ckpt", "last.ckpt", "config.yaml", "model.yaml", "metrics.csv",
    }  # fmt: skip
    assert not (folder / ".fetched").exists()
    assert load(folder / "last.ckpt")[2].total == 10
    put(bucket, 20, best=False, url="s3://bucket/other")
    assert not (resumed("s3://bucket/other") / "best.ckpt").exists()


def test_of_two_copies_the_further_one_is_gone_on_with(bucket):
    put(bucket, 10)
    folder = resumed()
    checkpoint(folder / "last.ckpt", 15)
    (folder / "model.yaml").write_text("model.yaml 15")
    resumed()
    assert load(folder / "last.ckpt")[2].total == 15
    assert (folder / "model.yaml").read_text() == "model.yaml 15"
    put(bucket, 20)
    resumed()
    assert load(folder / "last.ckpt")[2].total == 20
    for name in ("model.yaml", "best.ckpt", "metrics.csv"):
        assert (folder / name).read_text() == f"{name} 20"


def test_a_fetch_that_fails_leaves_the_run_as_it_was(bucket):
    put(bucket, 10)
    folder = resumed()
    put(bucket, 20)
    bucket.Object("runs/one/model.yaml").delete()
    with pytest.raises(DownloadError, match=r"model\.yaml cannot be fetched"):
        resumed()
    assert load(folder / "last.ckpt")[2].total == 10
    assert (folder / "config.yaml").read_text() == "config.yaml 10"


def test_a_run_that_is_only_in_the_store_is_not_overwritten(bucket):
    put(bucket, 10)
    with pytest.raises(OutputError, match="s3://bucket/runs/one holds a run already; give --resume"):
        choose_folder(TrainConfig(ckpt_path=URL))
    with pytest.raises(OutputError, match=r"holds no last\.ckpt"):
        resumed("s3://bucket/none")
    assert not Path("runs").exists()
