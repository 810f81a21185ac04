"""Which model is meant."""

import dataclasses

import numpy as np
import pytest
import yaml
from scored import MODEL

import geodetect
from geodetect.errors import DownloadError, ModelError
from geodetect.networks.graphs import to_onnx
from geodetect.package import CARD, dump_card, write_package
from geodetect.progress import Reporter
from training import source
from training.source import open_source


@pytest.fixture(scope="module")
def bundled():
    return geodetect.resolve(MODEL)


@pytest.fixture
def run(tmp_path, bundled):
    """A training run's folder: a card without weights, and checkpoints."""
    pytest.importorskip("mindspore")
    from geodetect.networks.runtime import mindspore

    folder = tmp_path / "runs" / "harbour"
    folder.mkdir(parents=True)
    card = dataclasses.replace(bundled.card, name="harbour", weights=None, selftest=None)
    (folder / CARD).write_text(dump_card(card))
    parameters = [{"name": n, "data": mindspore.Tensor(a)} for n, a in bundled.parameters().items()]
    for name in ("last.ckpt", "best.ckpt", "epoch_0003.ckpt"):
        mindspore.save_checkpoint(parameters, str(folder / name))
    return folder


def test_names_and_packages_are_the_registry_s(bundled, tmp_path):
    assert open_source(MODEL) == bundled
    assert open_source(bundled.root) == bundled
    copy = write_package(tmp_path / "copy", bundled.card, bundled.weights_path)
    assert open_source(str(copy.root)) == copy
    with pytest.raises(ModelError, match="no model is called"):
        open_source("planes-shops")
    for path in ("runs/x", "best.ckpt", "/nowhere/run"):
        with pytest.raises(ModelError, match=f"{path} is not there, neither file nor folder"):
            open_source(path)


def test_a_run_is_its_best_checkpoint_else_its_last(run, bundled):
    package = open_source(run)
    assert package.card.name == "harbour"
    assert package.weights_path == run / "best.ckpt"
    for name, array in bundled.parameters().items():
        np.testing.assert_array_equal(package.parameters()[name], array)
    (run / "best.ckpt").unlink()
    assert open_source(run).weights_path == run / "last.ckpt"
    (run / "last.ckpt").unlink()
    with pytest.raises(ModelError, match=r"neither best\.ckpt nor last\.ckpt"):
        open_source(run)


def test_a_file_takes_the_card_beside_it_or_the_one_that_is_given(run, bundled, tmp_path):
    assert open_source(run / "epoch_0003.ckpt").weights_path == run / "epoch_0003.ckpt"
    other = tmp_path / "other.yaml"
    other.write_text(dump_card(dataclasses.replace(bundled.card, name="other", weights=None, selftest=None)))
    assert open_source(run / "last.ckpt", other).card.name == "other"
    assert open_source(run, other).card.name == "other"
    alone = tmp_path / "alone" / "w.ckpt"
    alone.parent.mkdir()
    alone.write_bytes((run / "last.ckpt").read_bytes())
    with pytest.raises(ModelError, match="--card"):
        open_source(alone)


def test_onnx_with_a_card(bundled, tmp_path):
    network = bundled.card.network
    to_onnx(network.family, network.variant, bundled.parameters(), tmp_path / "m.onnx")
    (tmp_path / CARD).write_text(dump_card(bundled.card))
    package = open_source(tmp_path / "m.onnx")
    assert package.onnx_path == tmp_path / "m.onnx"
    assert package.weights_path is None


def test_a_checkpoint_of_other_classes_is_refused(run):
    values = yaml.safe_load((run / CARD).read_text())
    values |= {"classes": ["plane", "ship", "car"], "colours": [], "thresholds": {}}
    (run / CARD).write_text(yaml.safe_dump(values))
    with pytest.raises(ModelError, match="trained for 2 classes"):
        open_source(run)


class Bucket:
    """Stands for an object store: what is asked for, below a folder."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.asked = folder, []
        monkeypatch.setattr(source, "fetch", self)

    def __call__(self, url, into=None, reporter=None):
        path = self.folder / url.removeprefix("s3://bucket/")
        self.asked.append(path.name)
        if not path.is_file():
            raise DownloadError(f"{url} is not there")
        return path


def test_remote_runs_packages_and_files(run, bundled, tmp_path, monkeypatch):
    bucket, notes = Bucket(tmp_path, monkeypatch), []

    class Listener(Reporter):
        def note(self, message):
            notes.append(message)

    assert open_source("s3://bucket/runs/harbour/").weights_path == run / "best.ckpt"
    assert bucket.asked == [CARD, "best.ckpt"]  # and none of the other checkpoints
    (run / "best.ckpt").unlink()
    assert open_source("s3://bucket/runs/harbour", reporter=Listener()).weights_path == run / "last.ckpt"
    assert "last.ckpt" in notes[0]
    assert open_source("s3://bucket/runs/harbour/epoch_0003.ckpt").card.name == "harbour"
    write_package(tmp_path / "package", bundled.card, bundled.weights_path)
    assert open_source("s3://bucket/package").card.weights is not None
    with pytest.raises(DownloadError, match="not there"):
        open_source("s3://bucket/none")
