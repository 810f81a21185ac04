"""Darknet's weights files: partial and complete ones, and the outputs of Darknet's own programs."""

import math
import struct

import golden
import numpy as np
import pytest

from geodetect.errors import ModelError
from geodetect.networks import build
from geodetect.networks.darknet import convolutions, read_darknet
from geodetect.networks.graphs import expected_shapes
from geodetect.networks.parameters import check_parameters

HEADER = struct.pack("<iiiQ", 0, 2, 0, 0)
CONVOLUTIONS = {"yolov3": 75, "yolov4": 110, "yolov3-tiny": 13}


@pytest.fixture
def tiny(tmp_path):
    """A complete file of YOLOv3-Tiny for one class whose values are 0, 1, 2, ..."""
    count = sum(math.prod(shape) for shape in expected_shapes("yolov3-tiny", 1).values())
    path = tmp_path / "tiny.weights"
    path.write_bytes(HEADER + np.arange(count, dtype="<f4").tobytes())
    return path


@pytest.mark.parametrize(
    ("family", "variant", "count"),
    [*((family, "darknet", count) for family, count in CONVOLUTIONS.items()), ("yolov3-tiny", "3l", 16)],
)
def test_every_convolution_is_there_once(family, variant, count):
    prefixes = list(convolutions(family, variant))
    assert len(prefixes) == len(set(prefixes)) == count
    named = {name.rsplit(".0.weight", 1)[0].removesuffix(".weight") for name in expected_shapes(family, 1, variant)
             if name.endswith("weight")}  # fmt: skip
    unused = {f"feature_map.backblock0.conv{i}" for i in (5, 6)} if family == "yolov4" else set()
    assert set(prefixes) == named - unused


def test_values_are_taken_in_darknets_order(tiny):
    parameters = read_darknet(tiny, "yolov3-tiny", expected_shapes("yolov3-tiny", 1))
    conv0 = "feature_map.backbone.conv0"
    assert parameters[f"{conv0}.1.beta"][0] == 0
    assert parameters[f"{conv0}.1.gamma"][0] == 16
    assert parameters[f"{conv0}.1.moving_mean"][0] == 32
    assert parameters[f"{conv0}.1.moving_variance"][0] == 48
    np.testing.assert_array_equal(parameters[f"{conv0}.0.weight"].ravel(), np.arange(64, 64 + 432))


def test_the_third_head_follows_the_other_two(tiny):
    shapes = expected_shapes("yolov3-tiny", 1, "3l")
    (two, three) = (sum(map(math.prod, expected_shapes("yolov3-tiny", 1, kind).values())) for kind in ("darknet", "3l"))
    tiny.write_bytes(HEADER + np.arange(three, dtype="<f4").tobytes())
    parameters = read_darknet(tiny, "yolov3-tiny", shapes, "3l")
    check_parameters(parameters, shapes)
    assert parameters["feature_map.backbone.conv11.1.beta"][0] == two
    assert parameters["feature_map.head3.weight"].ravel()[-1] == three - 1


def test_older_files_have_a_shorter_header(tiny):
    values = tiny.read_bytes()[20:]
    shapes = expected_shapes("yolov3-tiny", 1)
    new = read_darknet(tiny, "yolov3-tiny", shapes)
    tiny.write_bytes(struct.pack("<iiii", 0, 1, 0, 0) + values)
    old = read_darknet(tiny, "yolov3-tiny", shapes)
    assert all(np.array_equal(old[name], new[name]) for name in new)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda blob: blob[:-4], "ends inside feature_map.head2"),
        (lambda blob: blob[: 20 + 4 * 100], "ends inside feature_map.backbone.conv0"),
        (lambda blob: blob[:-3], "cut off"),
        (lambda blob: blob + bytes(4), "number of classes"),
        (lambda blob: blob[:12], "no Darknet weights file"),
        (lambda blob: b"PK\x03\x04" + blob, "no Darknet weights file"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(change, message, tiny):
    tiny.write_bytes(change(tiny.read_bytes()))
    with pytest.raises(ModelError, match=message):
        read_darknet(tiny, "yolov3-tiny", expected_shapes("yolov3-tiny", 1))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"none\.weights"):
        read_darknet(tmp_path / "none.weights", "yolov3", expected_shapes("yolov3", 80))


@pytest.mark.parametrize(
    ("name", "family", "count", "values"),
    [("yolov3-tiny.coco.conv.9", "yolov3-tiny", 5, 394_096), ("darknet53.coco.conv.37", "yolov3", 26, 3_209_824)],
)
def test_partial_files(name, family, count, values, shared):
    parameters = read_darknet(shared / "weights" / name, family, expected_shapes(family, 2))
    assert len(parameters) == 5 * count
    assert sum(array.size for array in parameters.values()) == values
    variances = [array for key, array in parameters.items() if key.endswith("moving_variance")]
    assert all((array >= 0).all() for array in variances)  # so nothing is shifted by a value


@pytest.mark.parametrize("family", golden.FAMILIES)
def test_order_is_the_reference_writers(family, tmp_path, shared):
    shapes = {key: tuple(min(size, 4) for size in shape) for key, shape in expected_shapes(family, 2).items()}
    generator = np.random.default_rng(0)  # small shapes will do: the order is what is tested
    arrays = {key: generator.standard_normal(shape, np.float32) for key, shape in shapes.items()}
    path = tmp_path / "reference.weights"
    golden.script(shared, "darknet_order").write(golden.stem(family), arrays, path)
    parameters = read_darknet(path, family, shapes)
    check_parameters(parameters, shapes)
    unused = tuple(f"feature_map.backblock0.conv{i}." for i in (5, 6)) if family == "yolov4" else ()
    assert all(np.array_equal(parameters[key], arrays[key]) for key in arrays if not key.startswith(unused or "?"))


@pytest.mark.parametrize(("program", "tolerance"), [("alexeyab", 2e-5), ("pjreddie", 5e-4)])
def test_heads_are_darknets_own(program, tolerance, shared):
    mindspore = pytest.importorskip("mindspore")
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    cell = build("yolov3-tiny", 80, variant="darknet")
    arrays = golden.weights(shared, "yolov3-tiny")
    for item in cell.get_parameters():
        item.set_data(mindspore.Tensor(arrays[item.name]))
    heads = [head.asnumpy() for head in cell(mindspore.Tensor(golden.images((64, 96))))]
    with np.load(shared / "golden" / "yolov3_tiny_darknet_64x96.npz") as file:
        expected = [file[f"{program}_raw_2x3"], file[f"{program}_raw_4x6"]]
    assert golden.worst(heads, expected) < tolerance
