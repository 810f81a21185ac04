"""The networks against the reference networks' parameters and raw heads."""

import csv
import subprocess
import sys

import golden
import numpy as np
import pytest
import tiny_naive

from geodetect.errors import ModelError
from geodetect.networks import build, load_parameters
from geodetect.networks.graphs import expected_shapes
from geodetect.networks.safetensors import write_safetensors

mindspore = pytest.importorskip("mindspore")

COUNTS = {  # (family, classes), or with a variant: parameters in all, of the published networks
    ("yolov3", 80): 62_001_757,
    ("yolov3", 16): 61_657_117,
    ("yolov4", 80): 65_741_916,
    ("yolov4", 16): 65_298_780,
    ("yolov3-tiny", 80): 8_858_734,
    ("yolov3-tiny", 16): 8_710_894,
    ("yolov3-tiny", 80, "3l"): 9_220_333,
}
VARIANTS = [*((family, "mindspore") for family in golden.FAMILIES), ("yolov3-tiny", "3l")]


def fill(cell, parameters):
    for item in cell.get_parameters():
        item.set_data(mindspore.Tensor(parameters[item.name]))
    return cell


def run(cell, images):
    return [head.asnumpy() for head in cell(mindspore.Tensor(images))]


@pytest.fixture(autouse=True, scope="module")
def graph_mode():
    mindspore.set_context(mode=mindspore.GRAPH_MODE)


@pytest.mark.parametrize("network", COUNTS)
def test_number_of_parameters(network):
    sizes = [int(np.prod(shape)) for shape in expected_shapes(*network).values()]
    assert sum(sizes) == COUNTS[network]


@pytest.mark.parametrize(("family", "variant"), VARIANTS)
def test_parameters_are_those_of_the_shipped_graph(family, variant):
    cell = build(family, 3, variant)
    built = {item.name: tuple(item.shape) for item in cell.get_parameters()}
    assert list(built.items()) == list(expected_shapes(family, 3, variant).items())


@pytest.mark.parametrize("family", golden.FAMILIES)
def test_names_and_order_are_upstreams(family, shared):
    with open(shared / "golden" / f"{golden.stem(family)}_params.csv", newline="") as file:
        table = [(row["name"], tuple(map(int, row["shape"].split("x")))) for row in csv.DictReader(file)]
    assert list(expected_shapes(family, golden.CLASSES[family]).items()) == table


@pytest.mark.parametrize("family", golden.FAMILIES)
def test_raw_heads_are_the_references(family, shared):
    cell = fill(build(family, golden.CLASSES[family]), golden.weights(shared, family))
    for size in golden.SIZES if family == "yolov3-tiny" else golden.SIZES[1:]:  # each size is compiled anew
        assert golden.worst(run(cell, golden.images(size)), golden.heads(shared, family, size)) < 2e-5


def test_three_heads_are_those_of_the_naive_network():
    cell = build("yolov3-tiny", 2, "3l")
    parameters = golden.random_parameters("yolov3-tiny", 2, "3l")
    images = golden.images((64, 96), batch=2)
    found, expected = run(fill(cell, parameters), images), tiny_naive.heads(parameters, images)
    assert [head.shape for head in found] == [(2, 21, 2, 3), (2, 21, 4, 6), (2, 21, 8, 12)]
    assert golden.worst(found, expected) < 2e-5 * max(np.abs(head).max() for head in expected)


def test_batch_is_its_images_one_by_one(shared):
    cell = fill(build("yolov3-tiny", 80), golden.weights(shared, "yolov3-tiny"))
    images = golden.images((64, 64), batch=3)
    single = [run(cell, image[None]) for image in images]
    assert golden.worst(run(cell, images), [np.concatenate(heads) for heads in zip(*single, strict=True)]) < 1e-5


@pytest.mark.parametrize(("family", "momentum"), [("yolov3", {0.1, 0.9}), ("yolov4", {0.9}), ("yolov3-tiny", {0.9})])
def test_batch_normalisation_settings(family, momentum):
    norms = [cell for _, cell in build(family, 1).cells_and_names() if isinstance(cell, mindspore.nn.BatchNorm2d)]
    assert {round(1 - norm.momentum, 6) for norm in norms} == momentum  # MindSpore keeps the new value's weight
    assert {norm.eps for norm in norms} == {1e-5}


def test_leaky_relu_and_its_gradient():
    from geodetect.networks.layers import LeakyReLU

    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    cell = LeakyReLU()
    np.testing.assert_allclose(cell(mindspore.Tensor(x)).asnumpy(), np.where(x > 0, x, np.float32(0.1) * x), rtol=3e-7)
    gradient = mindspore.grad(cell)(mindspore.Tensor(x)).asnumpy()
    np.testing.assert_allclose(gradient, np.where(x > 0, 1, 0.1), rtol=3e-7)


def test_load_parameters_from_a_training_run(tmp_path, shared):
    arrays = golden.weights(shared, "yolov3-tiny")
    records = [{"name": f"yolo_network.{name}", "data": mindspore.Tensor(array)} for name, array in arrays.items()]
    records += [{"name": f"moments.{item['name']}", "data": item["data"]} for item in records]
    records += [
        {"name": "global_step", "data": mindspore.Tensor(np.array([7], np.int32))},
        {"name": "learning_rate", "data": mindspore.Tensor(np.full(7, 1e-3, np.float32))},
        {"name": "momentum", "data": mindspore.Tensor(np.float32(0.9))},
    ]
    mindspore.save_checkpoint(records, str(tmp_path / "run.ckpt"))
    cell = build("yolov3-tiny", 80)
    load_parameters(cell, tmp_path / "run.ckpt")
    assert all(np.array_equal(item.asnumpy(), arrays[item.name]) for item in cell.get_parameters())


def test_load_parameters_refuses_another_number_of_classes(tmp_path, shared):
    write_safetensors(tmp_path / "coco.safetensors", golden.weights(shared, "yolov3-tiny"))
    with pytest.raises(ModelError, match=r"trained for 80 classes, the model has 2"):
        load_parameters(build("yolov3-tiny", 2), tmp_path / "coco.safetensors")


@pytest.mark.parametrize(("family", "classes", "variant"), [("yolov5", 2, "mindspore"), ("yolov3", 0, "mindspore"),
                                                            ("yolov3", 2, "torch"), ("yolov3", 2, "3l")])  # fmt: skip
def test_build_refuses_what_there_is_not(family, classes, variant):
    with pytest.raises(ModelError, match=family):
        build(family, classes, variant)


def test_importing_the_package_does_not_import_mindspore():
    code = "import sys, geodetect.networks.graphs, geodetect.networks.darknet; sys.exit('mindspore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_convolutions_keep_off_avx512_and_openvino_does_not_notice():
    code = (
        "import ctypes, os, pathlib; from geodetect.networks.runtime import mindspore;"
        "(library,) = pathlib.Path(mindspore.__file__).parent.glob('lib/libdnnl.so*');"
        "print(ctypes.CDLL(str(library)).dnnl_get_effective_cpu_isa() <= 7, 'ONEDNN_MAX_CPU_ISA' in os.environ)"
    )
    environment = {"PATH": "", "PYTHONPATH": ":".join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["True", "False"]


@pytest.mark.parametrize(
    ("broken", "message"),
    [("sys.modules['mindspore'] = None", "geodetect[mindspore]"), ("numpy.__version__ = '2.4.6'", "numpy<2")],
)
def test_an_unusable_mindspore_is_one_sentence(broken, message):
    code = f"import sys, numpy; {broken}; from geodetect.networks import build; build('yolov3', 2)"
    environment = {"PATH": "", "PYTHONPATH": ":".join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("geodetect.errors.EngineError")
    assert message in last


def test_mish_is_exact_and_finite_for_all_inputs():
    from geodetect.networks.layers import Mish

    x = np.concatenate([np.linspace(-30, 30, 2001), [45, 100, 1e3, 1e20, -100, -1e3]]).astype(np.float32)
    e = np.exp(np.minimum(x.astype(np.float64), 500))
    tanh = np.tanh(np.log1p(e))
    cell = Mish()
    np.testing.assert_allclose(cell(mindspore.Tensor(x)).asnumpy(), x * tanh, rtol=2e-5, atol=1e-5)
    slope = mindspore.grad(cell)(mindspore.Tensor(x)).asnumpy()
    np.testing.assert_allclose(slope, tanh + x * (1 - tanh**2) * (e / (1 + e)), atol=1e-5)
