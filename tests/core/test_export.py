"""The shipped graphs are what the networks give today, and MindIR files are the network."""

import golden
import numpy as np
import pytest

mindspore = pytest.importorskip("mindspore")
pytest.importorskip("onnx")

from geodetect.networks import build, graphs  # noqa: E402
from geodetect.networks.export import export_mindir, graph  # noqa: E402


@pytest.fixture(autouse=True)
def graph_mode(tmp_path, monkeypatch):
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    monkeypatch.chdir(tmp_path)


def test_the_shipped_graph_is_the_network():
    assert graph("yolov3-tiny", "mindspore").SerializeToString() == graphs.graph_path("yolov3-tiny").read_bytes()


def test_making_a_graph_leaves_nothing_behind(tmp_path):
    graph("yolov3-tiny", "darknet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("family", "variant"), [("yolov3", "darknet"), ("yolov4", "darknet")])
def test_the_shipped_graph_gives_the_networks_heads(family, variant):
    cell = build(family, 1, variant)
    generator = np.random.default_rng(0)
    for item in cell.get_parameters():
        if item.name.endswith(("moving_mean", "moving_variance", "beta", "gamma")):  # all 0 or 1 in a fresh network
            item.set_data(mindspore.Tensor(generator.uniform(0.8, 1.2, item.shape).astype(np.float32)))
    parameters = {item.name: item.asnumpy() for item in cell.get_parameters()}
    images = golden.images((64, 96))
    runtime = pytest.importorskip("onnxruntime")
    model = graphs.to_onnx(family, variant, parameters).SerializeToString()
    heads = runtime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"images": images})
    expected = [head.asnumpy() for head in cell(mindspore.Tensor(images))]
    assert golden.worst(heads, expected) < 2e-5 * max(float(np.abs(head).max()) for head in expected)


def test_mindir_is_the_network(tmp_path):
    cell = build("yolov3-tiny", 2)
    images = mindspore.Tensor(golden.images((64, 64), batch=2))
    export_mindir(cell, tmp_path / "tiny.mindir", 64, batch=2)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.mindir"]
    assert (tmp_path / "tiny.mindir").stat().st_mode & 0o077 == 0o044
    loaded = mindspore.nn.GraphCell(mindspore.load(str(tmp_path / "tiny.mindir")))
    pairs = zip(loaded(images), cell(images), strict=True)
    assert all(np.array_equal(a.asnumpy(), b.asnumpy()) for a, b in pairs)
