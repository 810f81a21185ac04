"""Engines: how one is chosen and sized, and that what its library cannot do becomes one sentence."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodetect import engines
from geodetect.card import Network, WeightsFile
from geodetect.engines import BATCH_BYTES, check_onnx, cpu_batch_size, open_engine, usable_cores
from geodetect.errors import ConfigError, EngineError, ModelError
from geodetect.networks import graphs
from geodetect.package import ModelPackage, open_package
from geodetect.registry import BUILT_IN

ONNX_ENGINES = [name for name in ("openvino", "onnxruntime") if name in engines.available()]


@functools.cache
def bundled() -> ModelPackage:
    return open_package(BUILT_IN / "planes-ships-yolov3-tiny")


@pytest.fixture
def package(tmp_path):
    """Return a function that makes a package of an ONNX file with these bytes, or exported for that shape."""

    def make(content: bytes = b"", shape: tuple[int, ...] | None = None, name: str = "mine.onnx") -> ModelPackage:
        if not content:
            pytest.importorskip("onnx")
            network, parameters = bundled().card.network, bundled().parameters()
            content = graphs.to_onnx(network.family, network.variant, parameters, shape=shape).SerializeToString()
        (tmp_path / name).write_bytes(content)
        card = dataclasses.replace(bundled().card, weights=None, onnx=WeightsFile(name), selftest=None)
        return ModelPackage(card, tmp_path)

    return make


def images(side: int, count: int = 1) -> np.ndarray:
    return np.random.default_rng(0).random((count, 3, side, side), np.float32)


@given(st.integers(1, 256), st.integers(1, 64).map(lambda steps: 32 * steps))
def test_a_batch_keeps_the_threads_busy_within_a_budget(threads, canvas):
    size = cpu_batch_size(threads, canvas)
    assert threads <= size <= 4 * threads
    assert size == threads or size * 3 * canvas**2 * 4 <= BATCH_BYTES


def test_cores_are_those_that_the_process_may_use(monkeypatch, tmp_path):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(12)), raising=False)
    limit = tmp_path / "cpu.max"
    monkeypatch.setattr(engines, "_CGROUP_CPUS", limit)
    assert usable_cores() == 12
    for text, cores in (("max 100000\n", 12), ("250000 100000\n", 3), ("10000 100000\n", 1), ("9900000 100000", 12)):
        limit.write_text(text)
        assert usable_cores() == cores
    monkeypatch.delattr("os.sched_getaffinity")
    limit.unlink()
    assert usable_cores() >= 1


@pytest.mark.parametrize("name", engines.available())
def test_every_engine_says_what_it_is_and_takes_part_batches(name):
    engine = open_engine(bundled(), name, device="cpu", batch_size=2, threads=1, canvas=64)
    module = importlib.import_module(engines.ENGINES[name][0])
    assert engine.name == name
    assert module.__version__.startswith(engine.version)
    assert engine.version[0].isdigit()
    assert "-" not in engine.version
    assert [head.shape for head in engine.predict(images(64))] == [(1, 21, 2, 2), (1, 21, 4, 4)]
    engine.close()


@pytest.mark.parametrize("name", ONNX_ENGINES)
@pytest.mark.parametrize("damage", ["text", "cut", "empty file", "no graph"])
def test_what_is_no_onnx_file_is_one_sentence(name, damage, package, capfd):
    whole = package().onnx_path.read_bytes()
    content = {
        "text": b"<html>gone</html>",
        "cut": whole[: len(whole) // 2],
        "empty file": b"",
        "no graph": b"\x08\x08",
    }
    broken = package(b"x")
    broken.onnx_path.write_bytes(content[damage])
    with pytest.raises(ModelError, match=r"mine.onnx is no ONNX file or is damaged") as caught:
        open_engine(broken, name, device="cpu", canvas=64)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_an_onnx_file_may_not_take_its_weights_from_elsewhere(package):
    onnx = pytest.importorskip("onnx")
    whole = package()
    model = onnx.load(whole.onnx_path)
    onnx.external_data_helper.convert_model_to_external_data(model, location="../secret", size_threshold=0)
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
    with pytest.raises(ModelError, match=r"mine\.onnx has its weights in another file"):
        open_engine(package(model.SerializeToString()), ONNX_ENGINES[0], device="cpu", canvas=64)


@pytest.mark.parametrize("name", ONNX_ENGINES)
def test_an_onnx_file_of_something_else_is_one_sentence(name, package, capfd):
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    ends = [helper.make_tensor_value_info(end, kind, [2, 3]) for end in "ab"]
    graph = helper.make_graph([helper.make_node("MatMul", ["a", "a"], ["b"])], "g", ends[:1], ends[1:])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    with pytest.raises(ModelError, match=r"mine\.onnx") as caught:
        open_engine(package(model.SerializeToString()), name, device="cpu", canvas=64)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_file_of_one_size_fits_that_size_only_in_onnx_runtime(package):
    pytest.importorskip("onnxruntime")
    fixed = package(shape=(2, 3, 96, 96))
    engine = open_engine(fixed, "onnxruntime", device="cpu", canvas=96, batch_size=5)
    assert engine.batch_size == 2
    assert engine.predict(images(96))[0].shape == (1, 21, 3, 3)
    with pytest.raises(
        ModelError, match=r"mine\.onnx was exported for images of 96 x 96 px only and cannot take 64 px"
    ):
        open_engine(fixed, "onnxruntime", device="cpu", canvas=64)


def test_openvino_fits_such_a_file_to_the_canvas(package):
    pytest.importorskip("openvino")
    pixels = images(64)
    heads = [
        open_engine(made, "openvino", precision="float32", canvas=64).predict(pixels)
        for made in (package(shape=(2, 3, 96, 96), name="fixed.onnx"), bundled())
    ]
    for one, other in zip(*heads, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("name", ONNX_ENGINES)
@pytest.mark.parametrize("text", ["Check 'ptr' failed at cpu.cpp:257:\nFailed to allocate 32 bytes", "std::bad_alloc"])
def test_too_large_a_canvas_says_what_to_do(name, text, monkeypatch):
    module = importlib.import_module(f"geodetect.engines.{name}")

    def fail(*_: object) -> None:
        raise MemoryError if text == "std::bad_alloc" and name == "onnxruntime" else _error(name)(text)

    monkeypatch.setattr(module, "_model", fail)
    with pytest.raises(EngineError, match=r"not enough memory for canvases of 4096 px; give a smaller --tile"):
        open_engine(bundled(), name, device="cpu", canvas=4096)


def _error(name: str) -> type[Exception]:
    if name == "openvino":
        return RuntimeError
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail

    return Fail


def test_a_file_that_is_gone_is_a_sentence(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.onnx cannot be read: No such file"):
        check_onnx(tmp_path / "gone.onnx")


def test_what_cannot_be_chosen_is_refused():
    for options, kind in (
        ({"engine": "abacus"}, ConfigError),
        ({"engine": "openvino", "device": "ascend"}, EngineError),
        ({"precision": "int4"}, ConfigError),
        ({"precision": "int8", "engine": "mindspore"}, EngineError),
    ):
        with pytest.raises(kind):
            open_engine(bundled(), **options)


@pytest.mark.skipif("openvino" not in engines.available(), reason="openvino is not installed")
def test_darknets_variant_is_another_network():
    card = dataclasses.replace(bundled().card, network=Network("yolov3-tiny", "darknet"))
    twin = ModelPackage(card, bundled().root)
    heads = [open_engine(p, "openvino", precision="float32", canvas=64).predict(images(64)) for p in (twin, bundled())]
    np.testing.assert_array_equal(heads[0][0], heads[1][0])  # the tiny network has one form only


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_int8_takes_the_quantised_file_beside_the_weights(name):
    pytest.importorskip(name)
    images = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    heads = {}
    for precision in ("float32", "int8"):
        engine = open_engine(bundled(), name, device="cpu", precision=precision, canvas=64)
        assert engine.precision == precision
        heads[precision] = engine.predict(images)
        engine.close()
    for exact, rough in zip(heads["float32"], heads["int8"], strict=True):
        assert 0 < np.abs(exact - rough).max() < 0.2 * np.abs(exact).max()


def test_int8_without_such_a_file_is_refused():
    package = bundled()
    alone = dataclasses.replace(package, card=dataclasses.replace(package.card, int8=None))
    with pytest.raises(EngineError, match="has no INT8 file; make one with `geodetect quantize`"):
        open_engine(alone, "openvino", precision="int8")


def test_openvino_sends_nothing_and_forks_nothing():
    code = (
        "import os, sys, time\n"
        "from geodetect.networks.graphs import openvino_library\n"
        "openvino_library().Core()\n"
        "time.sleep(0.5)\n"
        "assert sys.modules['openvino_telemetry'] is None\n"
        "children = f'/proc/{os.getpid()}/task/{os.getpid()}/children'\n"
        "assert not os.path.exists(children) or not open(children).read()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("precision", ["auto", "bfloat16"])
def test_a_cpu_that_may_not_use_all_it_has_runs_in_float32(precision):
    """`ONEDNN_MAX_CPU_ISA` is often set for MindSpore's sake; OpenVINO obeys it and does not say so."""
    pytest.importorskip("openvino")
    code = (
        "import numpy, sys; from geodetect.engines import open_engine;"
        "from geodetect.package import open_package\n"
        f"try: engine = open_engine(open_package({str(bundled().root)!r}), 'openvino', precision={precision!r})\n"
        "except Exception as error: sys.exit(type(error).__name__)\n"
        "heads = engine.predict(numpy.zeros((1, 3, 640, 640), numpy.float32)); print(engine.precision, heads[0].shape)"
    )
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if precision == "auto":
        assert result.stdout.split(maxsplit=1) == ["float32", "(1, 21, 20, 20)\n"]
    else:
        assert result.stderr.strip() in ("ModelError", "EngineError")  # the latter where the CPU has none
