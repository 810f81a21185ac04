"""The shipped graphs in OpenVINO and ONNX Runtime against the reference heads."""

import subprocess
import sys

import golden
import numpy as np
import pytest

from geodetect.card import Network
from geodetect.errors import EngineError, ModelError
from geodetect.networks import graphs

VARIANTS = ("mindspore", "darknet")


def in_openvino(model):
    openvino = pytest.importorskip("openvino")
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda images: [np.array(head) for head in compiled(images).values()]


def in_onnxruntime(model):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {graphs.IMAGES: images})


@pytest.mark.parametrize("family", golden.FAMILIES)
def test_both_engines_give_the_reference_heads(family, shared):
    parameters = golden.weights(shared, family)
    openvino = in_openvino(graphs.load_openvino(family, "mindspore", parameters))
    onnxruntime = in_onnxruntime(graphs.to_onnx(family, "mindspore", parameters))
    for size in golden.SIZES:
        expected = golden.heads(shared, family, size)
        assert golden.worst(openvino(golden.images(size)), expected) < 2e-5
        assert golden.worst(onnxruntime(golden.images(size)), expected) < 2e-5


@pytest.mark.parametrize(
    ("family", "variant"),
    [("yolov3", "darknet"), ("yolov4", "mindspore"), ("yolov3-tiny", "darknet"), ("yolov3-tiny", "3l")],
)
def test_both_engines_agree_in_any_batch_and_fixed_shape(family, variant):
    parameters = golden.random_parameters(family, variant=variant)
    images = golden.images((96, 32), batch=2)
    fixed = in_openvino(graphs.load_openvino(family, variant, parameters, images.shape))(images)
    heads = in_onnxruntime(graphs.to_onnx(family, variant, parameters, shape=images.shape))(images)
    for stride, head in zip(Network(family, variant).strides, heads, strict=True):
        assert head.shape == (2, 18, 96 // stride, 32 // stride)
    assert golden.worst(fixed, heads) < 1e-4


@pytest.mark.parametrize(
    ("family", "variant", "activations", "downsampling"),
    [  # (ReLU, leaky ReLU, Mish); pads (top, left, bottom, right) and count of the stride-2 convolutions
        ("yolov3", "mindspore", (52, 20, 0), {(0, 0, 1, 1): 5}),
        ("yolov3", "darknet", (0, 72, 0), {(1, 1, 1, 1): 5}),
        ("yolov4", "mindspore", (0, 35, 72), {(0, 0, 1, 1): 7}),
        ("yolov4", "darknet", (0, 35, 72), {(1, 1, 1, 1): 7}),
        ("yolov3-tiny", "mindspore", (0, 11, 0), {}),
        ("yolov3-tiny", "darknet", (0, 11, 0), {}),
        ("yolov3-tiny", "3l", (0, 13, 0), {}),
    ],
)
def test_activations_and_padding_are_the_variants(family, variant, activations, downsampling):
    onnx = pytest.importorskip("onnx")
    nodes = onnx.load(graphs.graph_path(family, variant)).graph.node
    kinds = [node.op_type for node in nodes]
    assert (kinds.count("Relu"), kinds.count("LeakyRelu"), kinds.count("Exp")) == activations
    convolutions = [
        {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        for node in nodes
        if node.op_type == "Conv"
    ]
    pads = [tuple(item["pads"]) for item in convolutions if item["strides"] == [2, 2]]
    assert {value: pads.count(value) for value in pads} == downsampling


def test_mish_is_exact_and_does_not_overflow():
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    helper = onnx.helper
    graph = onnx.load(graphs.graph_path("yolov4")).graph
    start = next(index for index, node in enumerate(graph.node) if node.op_type == "Exp")
    nodes = graph.node[start : start + 7]
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n"])
        for name in (nodes[0].input[0], nodes[-1].output[0])
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "mish", ends[:1], ends[1:], graph.initializer),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.concatenate([np.linspace(-120, 120, 2401), [-1e30, 1e30]]).astype(np.float32)
    (y,) = session.run(None, {ends[0].name: x})
    exact = x * np.tanh(np.logaddexp(0, x.astype(np.float64)))
    np.testing.assert_allclose(y, exact, rtol=1e-6, atol=2e-6)


def test_names_of_inputs_and_outputs():
    parameters = golden.random_parameters("yolov3-tiny")
    model = graphs.load_openvino("yolov3-tiny", "mindspore", parameters)
    assert [item.get_any_name() for item in model.inputs] == ["images"]
    assert [item.get_any_name() for item in model.outputs] == ["head_32", "head_16"]
    onnx = graphs.to_onnx("yolov3-tiny", "mindspore", parameters)
    assert [item.name for item in onnx.graph.input] == ["images"]
    assert [item.name for item in onnx.graph.output] == ["head_32", "head_16"]


def test_written_onnx_file_is_checked_and_carries_its_metadata(tmp_path):
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "model.onnx"
    parameters = golden.random_parameters("yolov3-tiny", 2)
    graphs.to_onnx("yolov3-tiny", "mindspore", parameters, path, shape=(1, 3, 64, 96), metadata={"classes": "a,b"})
    assert [item.name for item in tmp_path.iterdir()] == ["model.onnx"]
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert {item.key: item.value for item in model.metadata_props} == {"classes": "a,b"}
    shapes = [[dim.dim_value for dim in head.type.tensor_type.shape.dim] for head in model.graph.output]
    assert shapes == [[1, 21, 2, 3], [1, 21, 4, 6]]


@pytest.mark.parametrize("make", [graphs.load_openvino, graphs.to_onnx])
def test_parameters_that_do_not_fit_are_refused(make):
    parameters = dict(golden.random_parameters("yolov3-tiny"))
    parameters.pop("feature_map.backbone.conv3.0.weight")
    with pytest.raises(ModelError, match=r"1 missing \(feature_map.backbone.conv3.0.weight\)"):
        make("yolov3-tiny", "mindspore", parameters)
    with pytest.raises(ModelError, match="missing"):
        make("yolov3-tiny", "mindspore", {})
    with pytest.raises(ModelError, match="yolov5"):
        make("yolov5", "mindspore", {})


@pytest.mark.parametrize(("module", "make"), [("openvino", graphs.load_openvino), ("onnx", graphs.to_onnx)])
def test_a_missing_package_is_one_sentence(module, make, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EngineError, match=f"pip install .*{module}"):
        make("yolov3-tiny", "mindspore", {})


def test_graphs_are_small():
    sizes = {path.name: path.stat().st_size for path in graphs.graph_path("yolov3").parent.iterdir()}
    assert len(sizes) == 6
    assert max(sizes.values()) < 100_000


def test_graphs_need_no_engine_to_tell_shapes():
    code = (
        "import sys; from geodetect.networks.graphs import expected_shapes; expected_shapes('yolov4', 3);"
        "sys.exit(any(name in sys.modules for name in ('mindspore', 'openvino', 'onnx', 'onnxruntime')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
