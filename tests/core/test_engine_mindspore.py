"""The MindSpore engine on the CPU."""

import golden
import numpy as np
import pytest

pytest.importorskip("mindspore")

from geodetect.card import Heads, Input, ModelCard, Network, WeightsFile
from geodetect.engines.mindspore import MindSporeEngine
from geodetect.errors import EngineError, ModelError
from geodetect.networks import build
from geodetect.networks.export import export_mindir
from geodetect.networks.safetensors import write_safetensors
from geodetect.package import ModelPackage

ANCHORS = (((81, 82), (135, 169), (344, 319)), ((10, 14), (23, 27), (37, 58)))


def package(folder, file, classes=2, size=64):
    return ModelPackage(
        ModelCard(
            name="tiny",
            network=Network("yolov3-tiny"),
            classes=tuple(f"class{i}" for i in range(classes)),
            input=Input(size),
            heads=Heads(ANCHORS, (32, 16), (1.1, 1.2)),
            weights=WeightsFile(file) if file else None,
        ),
        folder,
    )


@pytest.fixture
def tiny(tmp_path):
    cell = build("yolov3-tiny", 2)
    write_safetensors(tmp_path / "w.safetensors", {item.name: item.asnumpy() for item in cell.get_parameters()})
    return package(tmp_path, "w.safetensors")


def test_reference_heads(tmp_path, shared):
    write_safetensors(tmp_path / "w.safetensors", golden.weights(shared, "yolov3-tiny"))
    engine = MindSporeEngine(package(tmp_path, "w.safetensors", classes=80, size=96), device="cpu")
    heads = engine.predict(golden.images((96, 96)))
    assert golden.worst(heads, golden.heads(shared, "yolov3-tiny", (96, 96))) < 2e-5
    assert (engine.name, engine.precision, engine.batch_size) == ("mindspore", "float32", 1)


def test_mindir_gives_the_same_heads(tiny, tmp_path):
    engine = MindSporeEngine(tiny, batch_size=2)
    images = golden.images((64, 64), batch=2)
    heads = engine.predict(images)
    assert [head.shape for head in heads] == [(2, 21, 2, 2), (2, 21, 4, 4)]
    export_mindir(engine._network, tmp_path / "w.mindir", 64, batch=2)
    other = MindSporeEngine(package(tmp_path, "w.mindir"))
    assert other.batch_size == 2
    assert all(np.array_equal(a, b) for a, b in zip(other.predict(images), heads, strict=True))
    with pytest.raises(EngineError, match="batches of 2"):
        MindSporeEngine(package(tmp_path, "w.mindir"), batch_size=4)
    with pytest.raises(ModelError, match="3x64x64"):
        MindSporeEngine(package(tmp_path, "w.mindir", size=96))


def test_what_is_no_mindir_is_refused(tmp_path):
    (tmp_path / "w.mindir").write_bytes(b"not a graph")
    with pytest.raises(ModelError, match=r"w\.mindir"):
        MindSporeEngine(package(tmp_path, "w.mindir"))


def test_a_smaller_batch_gives_the_same(tiny):
    images = golden.images((64, 64))
    one, two = (MindSporeEngine(tiny, batch_size=size).predict(images) for size in (1, 2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(("device", "name"), [("ascend", "Ascend"), ("gpu", "GPU")])
def test_a_device_that_is_not_there(device, name, tiny):
    import mindspore

    if mindspore.get_context("device_target") != "CPU":
        pytest.skip("this machine has one")
    with pytest.raises(EngineError, match=f"no {name} on this machine"):
        MindSporeEngine(tiny, device=device)


def test_bfloat16_is_refused(tiny):
    with pytest.raises(EngineError, match="bfloat16"):
        MindSporeEngine(tiny, precision="bfloat16")


def test_a_package_without_weights(tmp_path):
    with pytest.raises(ModelError, match="no MindSpore weights"):
        MindSporeEngine(package(tmp_path, None))
