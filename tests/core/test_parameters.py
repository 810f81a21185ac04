"""Parameter files: every format that is read, and every way in which one can be wrong."""

import io
import json
import os
import stat

import golden
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geodetect.errors import ModelError
from geodetect.networks.checkpoint import read_checkpoint
from geodetect.networks.graphs import expected_shapes
from geodetect.networks.parameters import check_parameters, read_parameters
from geodetect.networks.safetensors import read_safetensors, write_safetensors

ARRAYS = st.dictionaries(
    st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1).filter(
        lambda name: name != "__metadata__"
    ),
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)),
    max_size=5,
)


def message(*fields):
    """Encode (number, int or bytes) pairs as a protocol buffer."""
    out = io.BytesIO()
    for number, value in fields:
        out.write(varint(number << 3 | (0 if isinstance(value, int) else 2)))
        out.write(varint(value) if isinstance(value, int) else varint(len(value)) + value)
    return out.getvalue()


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def record(name, array, kind="Float32", shape=None, content=None):
    dims = [(1, size) for size in (array.shape if shape is None else shape)]
    tensor = message(*dims, (2, kind.encode()), (3, array.tobytes() if content is None else content))
    return message((1, message((1, name.encode()), (2, tensor))))


@settings(deadline=None)
@given(arrays=ARRAYS)
def test_safetensors_come_back_as_they_were(arrays, tmp_path_factory):
    path = tmp_path_factory.mktemp("st") / "a.safetensors"
    write_safetensors(path, arrays)
    back = read_safetensors(path)
    assert sorted(back) == sorted(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].shape == array.shape


def test_safetensors_are_what_the_library_reads(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    arrays = {"b.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "a.bias": np.float32([1, 2])}
    write_safetensors(tmp_path / "ours.safetensors", arrays, np.float16)
    for name, array in numpy.load_file(tmp_path / "ours.safetensors").items():
        assert array.dtype == np.float16
        np.testing.assert_array_equal(array, arrays[name])
    numpy.save_file(arrays, tmp_path / "theirs.safetensors")
    for name, array in read_safetensors(tmp_path / "theirs.safetensors").items():
        np.testing.assert_array_equal(array, arrays[name])


def test_float16_is_widened(tmp_path):
    write_safetensors(tmp_path / "half.safetensors", {"w": np.float32([0.1, -3])}, np.float16)
    assert os.path.getsize(tmp_path / "half.safetensors") < 150
    (array,) = read_parameters(tmp_path / "half.safetensors").values()
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, [0.1, -3], rtol=1e-3)


def test_values_that_float16_cannot_hold_stay_float32(tmp_path):
    arrays = {"a": np.float32([0.1, 2]), "w": np.float32([1e6, 0.1]), "z": np.float32([[0.5]])}
    write_safetensors(tmp_path / "half.safetensors", arrays, np.float16)
    stored = read_safetensors(tmp_path / "half.safetensors")
    assert [array.dtype for array in stored.values()] == [np.float16, np.float32, np.float16]
    np.testing.assert_array_equal(stored["w"], arrays["w"])
    np.testing.assert_array_equal(stored["z"], arrays["z"])


def test_written_file_has_ordinary_rights(tmp_path):
    write_safetensors(tmp_path / "a.safetensors", {"w": np.zeros(1, np.float32)})
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a.safetensors").stat().st_mode) == 0o666 & ~mask


def test_any_cut_safetensors_file_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {"w": np.arange(4, dtype=np.float32), "b": np.zeros((2, 2), np.float32)})
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(ModelError):
            read_safetensors(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ModelError):
        read_safetensors(path)


@pytest.mark.parametrize(
    "header",
    [
        [],
        {"w": 1},
        {"w": {"dtype": "F32", "shape": [2]}},
        {"w": {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]}},
        {"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}},
        {"w": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}},
        {"w": {"dtype": "F32", "shape": ["2"], "data_offsets": [0, 8]}},
        {"w": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}},
        {"w": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}},
        {"w": {"dtype": "F32", "shape": [2, 0, 1 << 62], "data_offsets": [0, 8]}},
    ],
)
def test_wrong_safetensors_headers_are_refused(header, tmp_path):
    text = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    with pytest.raises(ModelError):
        read_safetensors(tmp_path / "a.safetensors")


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int8", "int32", "int64", "uint8", "bool_"])
def test_checkpoints_are_read_as_mindspore_wrote_them(dtype, tmp_path):
    mindspore = pytest.importorskip("mindspore")
    arrays = {"a.0.weight": np.arange(24).reshape(2, 3, 4), "one": np.array([3]), "scalar": np.array(1)}
    arrays = {name: array.astype(dtype) for name, array in arrays.items()}
    records = [{"name": name, "data": mindspore.Tensor(array)} for name, array in arrays.items()]
    for checksum in (False, True):
        path = tmp_path / f"{checksum}.ckpt"
        mindspore.save_checkpoint(records, str(path), crc_check=checksum)
        back = read_checkpoint(path)
        assert list(back) == list(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(back[name], array)
            assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)


def test_bfloat16_checkpoints_are_widened(tmp_path):
    mindspore = pytest.importorskip("mindspore")
    tensor = mindspore.Tensor(np.float32([1.5, -0.25, 3.0]), mindspore.bfloat16)
    mindspore.save_checkpoint([{"name": "w", "data": tensor}], str(tmp_path / "b.ckpt"))
    np.testing.assert_array_equal(read_parameters(tmp_path / "b.ckpt")["w"], np.float32([1.5, -0.25, 3.0]))


def test_old_checkpoints_scalars_and_split_tensors(tmp_path):
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    blob = record("big", array, content=array.tobytes()[:8]) + record("scalar", np.float32(0.9), shape=(0,))
    blob += record("big", array, content=array.tobytes()[8:])
    (tmp_path / "old.ckpt").write_bytes(blob)
    back = read_checkpoint(tmp_path / "old.ckpt")
    np.testing.assert_array_equal(back["big"], array)
    np.testing.assert_array_equal(back["scalar"], np.array(0.9, np.float32), strict=True)


def test_any_cut_checkpoint_is_refused_or_ends_between_tensors(tmp_path):
    first, second = record("a", np.arange(3, dtype="<f4")), record("b", np.arange(5, dtype="<f4"))
    path = tmp_path / "cut.ckpt"
    for end in range(len(first + second)):
        path.write_bytes((first + second)[:end])
        if end == len(first):
            assert list(read_checkpoint(path)) == ["a"]
            continue
        with pytest.raises(ModelError):
            read_checkpoint(path)


@settings(deadline=None)
@given(blob=st.binary(max_size=200))
def test_noise_is_no_checkpoint(blob, tmp_path_factory):
    path = tmp_path_factory.mktemp("noise") / "noise.ckpt"
    path.write_bytes(blob)
    with pytest.raises(ModelError):
        read_checkpoint(path)


def test_unknown_tensor_type_is_named(tmp_path):
    (tmp_path / "a.ckpt").write_bytes(record("w", np.zeros(2, "<f4"), kind="Complex64"))
    with pytest.raises(ModelError, match="Complex64"):
        read_checkpoint(tmp_path / "a.ckpt")


def test_trainers_prefixes_and_records_are_left_out(tmp_path):
    one = np.ones(2, np.float32)
    stored = {
        "yolo_network.feature_map.a.weight": one,
        "network.yolo_network.feature_map.b.weight": one,
        "feature_map.c.weight": one,
        "moments.yolo_network.feature_map.a.weight": one,
        "global_step": np.array([3], np.int32),
        "learning_rate": one,
        "momentum": np.float32(0.9),
    }
    np.savez(tmp_path / "run.npz", **stored)
    parameters = read_parameters(tmp_path / "run.npz")
    assert sorted(parameters) == ["feature_map.a.weight", "feature_map.b.weight", "feature_map.c.weight"]


def test_one_name_twice_is_refused(tmp_path):
    np.savez(tmp_path / "run.npz", **{"yolo_network.w": np.ones(1), "w": np.zeros(1)})
    with pytest.raises(ModelError, match="w twice"):
        read_parameters(tmp_path / "run.npz")


def test_pickles_are_never_read(tmp_path):
    np.savez(tmp_path / "evil.npz", w=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ModelError):
        read_parameters(tmp_path / "evil.npz")


@pytest.mark.parametrize("name", ["weights.pth", "weights", "missing.ckpt", "missing.safetensors", "missing.npz"])
def test_what_cannot_be_read_is_named(name, tmp_path):
    if not name.startswith("missing"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelError, match=name):
        read_parameters(tmp_path / name)


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors", ".npz"])
def test_an_empty_file_is_refused(suffix, tmp_path):
    (tmp_path / f"empty{suffix}").touch()
    with pytest.raises(ModelError, match="empty"):
        read_parameters(tmp_path / f"empty{suffix}")


def zeros(family="yolov3-tiny", classes=2):
    return {name: np.zeros(shape, np.float32) for name, shape in expected_shapes(family, classes).items()}


def test_fitting_parameters_pass():
    check_parameters(zeros(), expected_shapes("yolov3-tiny", 2))


def test_misfits_are_listed_with_counts_and_no_more_than_six_names():
    parameters = {name: array for name, array in zeros().items() if not name.endswith(".1.gamma")}
    parameters |= {"extra": np.zeros(1, np.float32)}
    parameters["feature_map.backbone.conv0.0.weight"] = np.zeros((16, 4, 3, 3), np.float32)
    with pytest.raises(ModelError) as error:
        check_parameters(parameters, expected_shapes("yolov3-tiny", 2), where="w.ckpt")
    text = str(error.value)
    assert text.startswith("w.ckpt: parameters do not fit the network: 11 missing (")
    assert "1 unknown (extra)" in text
    assert "conv0.0.weight is 16x4x3x3 instead of 16x3x3x3" in text
    assert text.count(".gamma") == 6


def test_another_number_of_classes_is_said_in_words():
    with pytest.raises(ModelError, match="trained for 80 classes, the model has 2"):
        check_parameters(zeros(classes=80), expected_shapes("yolov3-tiny", 2))


def test_values_that_are_not_finite_are_refused():
    parameters = zeros()
    parameters["feature_map.head1.bias"][0] = np.nan
    with pytest.raises(ModelError, match=r"feature_map\.head1\.bias"):
        check_parameters(parameters, expected_shapes("yolov3-tiny", 2))


@pytest.mark.parametrize("training", [False, True])
def test_reference_checkpoint(training, tmp_path, shared, monkeypatch):
    pytest.importorskip("mindspore")
    table = shared / "golden" / "yolov3_tiny_params.csv"
    arguments = ["make", str(table), str(tmp_path / "tiny.ckpt"), "--steps", "60"]
    monkeypatch.setattr("sys.argv", arguments + ["--training-style"] * training)
    golden.script(shared, "make_checkpoint").main()
    parameters = read_parameters(tmp_path / "tiny.ckpt")
    expected = golden.weights(shared, "yolov3-tiny")
    assert list(parameters) == list(expected)
    assert all(np.array_equal(parameters[name], expected[name]) for name in expected)
