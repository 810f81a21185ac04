"""Weights and packages made to crash, to hang or to fill the memory: each is a ModelError, at once."""

import contextlib
import io
import json
import os
import struct
import time
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_parameters import message, record, varint

from geodetect import registry, selftest
from geodetect.card import ModelCard
from geodetect.errors import ModelError
from geodetect.networks import parameters as module
from geodetect.networks.darknet import read_values
from geodetect.networks.npz import read_npz
from geodetect.networks.parameters import read_parameters
from geodetect.networks.safetensors import read_safetensors, write_safetensors
from geodetect.package import CARD, dump_card, open_package, read_card, write_package
from geodetect.registry import BUILT_IN

TINY = BUILT_IN / "planes-ships-yolov3-tiny"
ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.integers(10**300, 10**310),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@pytest.fixture(autouse=True)
def quick():
    """Hold every test of this file to a time that no reader of quadratic time keeps."""
    begun = time.perf_counter()
    yield
    assert time.perf_counter() - begun < 60


def safetensors(header, data=bytes(8)):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def refused(path, blob, match=None):
    path.write_bytes(blob)
    with pytest.raises(ModelError, match=match) as caught:
        read_parameters(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 100_000,
        b'{"w":' * 100_000,
        b'{"w": ' + b"9" * 10_000 + b"}",
        {"w": ENTRY | {"data_offsets": [float("inf"), 8]}},
        {"w": ENTRY | {"data_offsets": [float("nan"), 8]}},
        {"w": ENTRY | {"dtype": ["F32"]}},
        {"w": ENTRY | {"dtype": {}}},
        {"w": ENTRY | {"shape": [2] + [1] * 40}},
        {"w": ENTRY | {"shape": [1 << 60] * 100_000}},
        {"w": ENTRY | {"shape": [0, 1 << 39, 1 << 39], "data_offsets": [0, 0]}, "x": ENTRY},
        {"w": ENTRY | {"shape": "2"}},
        {"w": [ENTRY]},
        {"w": ENTRY | {"data_offsets": [0, 1 << 62], "shape": [1 << 60]}},
        {f"w{i}": ENTRY for i in range(100_000)},
    ],
)
def test_headers_of_safetensors(header, tmp_path):
    refused(tmp_path / "a.safetensors", safetensors(header))


def test_a_shape_whose_size_would_take_long_to_compute(tmp_path):
    blob = safetensors({"w": ENTRY | {"shape": [1 << 40] * 200_000}})
    begun = time.perf_counter()
    refused(tmp_path / "a.safetensors", blob, "does not fit its place")
    assert time.perf_counter() - begun < 4  # 0.1 s; the product alone takes 20 s


def test_a_header_that_claims_gigabytes(tmp_path):
    refused(tmp_path / "a.safetensors", (1 << 33).to_bytes(8, "little") + b"{}", "cut off in its header")
    refused(tmp_path / "a.safetensors", (8 << 20).to_bytes(8, "little") + b" " * (9 << 20), "cut off in its header")


@given(st.dictionaries(st.sampled_from(["w", "__metadata__"]), JSON | st.fixed_dictionaries({
    "dtype": st.sampled_from(["F32", "BF16", "I64"]) | JSON,
    "shape": st.lists(st.integers(-1, 3), max_size=3) | JSON,
    "data_offsets": st.lists(st.integers(-1, 9), max_size=3) | JSON,
})))  # fmt: skip
def test_any_header_of_safetensors(tmp_path_factory, header):
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(safetensors(header))
    with contextlib.suppress(ModelError):
        read_safetensors(path)


@pytest.mark.parametrize("maker", [write_safetensors, lambda path, arrays: path.write_bytes(
    b"".join(record(name, array) for name, array in arrays.items())), lambda path, arrays: np.savez(path, **arrays)],
    ids=["safetensors", "ckpt", "npz"])  # fmt: skip
@settings(max_examples=150)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(maker, tmp_path_factory, data, request):
    kind = request.node.callspec.id
    path = tmp_path_factory.getbasetemp() / f"damaged.{kind}"
    arrays = {"a.weight": np.arange(6, dtype="<f4").reshape(2, 3), "b": np.ones(2, "<f4")}
    maker(path, arrays)
    blob = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(blob) - 1))
        blob[at : at + 1] = data.draw(st.binary(max_size=3) | st.sampled_from([b"\xff\xff\xff\x7f", b"\0\0\0\0"]))
    path.write_bytes(blob)
    with contextlib.suppress(ModelError):
        read_parameters(path)


def test_checkpoints_of_many_small_fields(tmp_path):
    refused(tmp_path / "a.ckpt", b"\x0a\x00" * (2 << 20), "more than 1048576 fields")
    many = message((1, message(*[(2, message((2, b"Float32")))] * 100_000)))  # one value, 100,000 tensors
    refused(tmp_path / "a.ckpt", many, "has 0 bytes|does not explain")


def test_checkpoints_of_absurd_shapes(tmp_path):
    path, array = tmp_path / "a.ckpt", np.zeros(1, "<f4")
    refused(path, record("w", array, shape=[1] * 9), "more than 8 numbers")
    refused(path, record("w", array, shape=[(1 << 63) + 1] * 100_000), "more than 8 numbers")
    refused(path, record("w", array, shape=(0, 1 << 62, 1 << 62), content=b""), "a shape that cannot be")
    packed = message((1, b"".join(map(varint, [1] * 3_000_000))), (2, b"Float32"))
    refused(path, message((1, message((1, b"w"), (2, packed)))), "more than 8 numbers")
    refused(path, record("w", array, shape=(1 << 40,)), "does not explain")


def npy(array=None, header=None, version=(1, 0)):
    out = io.BytesIO()
    if header is None:
        np.lib.format.write_array(out, array, version)
        return out.getvalue()
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def archive(path, members, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, blob in members.items():
            file.writestr(name, blob, **options)
    return path


def test_an_archive_that_unpacks_to_gigabytes(tmp_path):
    zeros = npy(header="{'descr': '<f4', 'fortran_order': False, 'shape': (5000000,), }") + bytes(20_000_000)
    path = archive(tmp_path / "bomb.npz", {f"w{i}.npy": zeros for i in range(2)})
    assert path.stat().st_size < 100_000
    with pytest.raises(ModelError, match="unpacks to 40 MB, at most 30 MB are taken"):
        read_npz(path, 30_000_000)
    blob = bytearray(path.read_bytes())  # the archive's list lies on how long the members are
    at = blob.rindex(b"PK\x01\x02")
    blob[at + 24 : at + 28] = struct.pack("<I", 100)
    path.write_bytes(blob)
    with pytest.raises(ModelError, match=r"no \.npz file of plain arrays"):
        read_npz(path, 30_000_000)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 5_000 + ",), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1," * 100 + "), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0, " + "99999999999999999999," * 9 + "), }",
        "{'descr': '<U1000000000', 'fortran_order': False, 'shape': (), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (), }",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True,), }",
        "__import__('os').getcwd()",
        "(" * 5_000,
        "{'descr': 5, 'fortran_order': False, 'shape': (1,), }",
        "",
        "\0" * 10,
    ],
)
def test_headers_of_numpy_arrays(header, tmp_path):
    archive(tmp_path / "a.npz", {"w.npy": npy(header=header) + bytes(4)})
    with pytest.raises(ModelError, match=r"no \.npz file of plain arrays"):
        read_parameters(tmp_path / "a.npz")


def test_an_array_that_claims_a_terabyte(tmp_path):
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }"
    archive(tmp_path / "a.npz", {"w.npy": npy(header=header) + bytes(4)})
    with pytest.raises(ModelError, match=r"w\.npy is not as long as its header says"):
        read_parameters(tmp_path / "a.npz")


@pytest.mark.parametrize("kind", ["U", "S", "datetime64[s]", "complex64", "V4", "object"])
def test_arrays_of_something_else_than_numbers(kind, tmp_path):
    path = archive(tmp_path / "a.npz", {"w.npy": npy(np.zeros(2, kind))})
    with pytest.raises(ModelError, match=r"no \.npz file of plain arrays"):
        read_parameters(path)


def test_archives_that_lie(tmp_path):
    path = archive(tmp_path / "a.npz", {"w.npy": npy(np.zeros(100, np.float32))})
    blob = bytearray(path.read_bytes())
    at = blob.rindex(b"PK\x01\x02")
    for place, value in ((8, b"\x01\x00"), (10, b"\x63\x00"), (10, b"\x0e\x00"), (16, bytes(4)), (42, b"\xff" * 4)):
        changed = bytearray(blob)
        changed[at + place : at + place + len(value)] = value  # encrypted, unknown, LZMA, wrong checksum, elsewhere
        refused(path, changed)
    refused(path, blob[:-10])
    refused(path, archive(path, {"../../up.txt": b"no array"}).read_bytes())
    assert not (tmp_path.parents[1] / "up.txt").exists()


def test_arrays_in_either_order_and_of_any_number_are_read_as_numpy_does(tmp_path):
    arrays = {
        "c": np.arange(6, dtype=np.float64).reshape(2, 3),
        "f": np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)),
        "scalar": np.array(3, np.uint8),
        "none": np.zeros((0, 3), np.float32),
        "flags": np.array([True, False]),
    }
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    found = read_npz(tmp_path / "a.npz", 1 << 20)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".ckpt", ".weights"])
def test_a_file_of_a_terabyte_is_refused_by_its_size(suffix, tmp_path):
    path = tmp_path / f"sparse{suffix}"
    with open(path, "wb") as file:
        file.write(bytes(100))
        try:
            os.truncate(path, 1 << 40)
        except OSError:
            pytest.skip("no sparse files of a terabyte here")
    with pytest.raises(ModelError, match=r"has 1099\.5 GB, no network of geodetect has more than 4\.3 GB"):
        read_values(path) if suffix == ".weights" else read_parameters(path)


def test_values_beyond_float32_are_no_warning(tmp_path):
    np.savez(tmp_path / "a.npz", w=np.array([1e300]))
    assert np.isinf(read_parameters(tmp_path / "a.npz")["w"]).all()


@pytest.mark.parametrize(
    "arrays",
    [
        {"pixels": np.zeros((), np.uint8), "head_0": np.zeros((1, 1, 1), np.float32)},
        {"pixels": np.zeros((3, 96, 95), np.uint8), "head_0": np.zeros((1, 1, 1), np.float32)},
        {"pixels": np.zeros((3, 96, 96), np.float32), "head_0": np.zeros((1, 1, 1), np.float32)},
        {"pixels": np.zeros((3, 0, 0), np.uint8), "head_0": np.zeros((1, 1, 1), np.float32)},
        {"pixels": np.zeros((3, 96, 96), np.uint8), "head_0": np.zeros((0, 1, 1), np.float32)},
        {"pixels": np.zeros((3, 96, 96), np.uint8), "head_0": np.zeros((1, 1), np.float32)},
        {"pixels": np.zeros((3, 96, 96), np.uint8), "head_0": np.zeros((1, 1, 1), np.int64)},
        {"pixels": np.zeros((3, 96, 96), np.uint8), "head_1": np.zeros((1, 1, 1), np.float32)},
        {},
    ],
)
def test_self_tests_of_something_else(arrays, tmp_path):
    np.savez(tmp_path / "selftest.npz", **arrays)
    with pytest.raises(ModelError, match="is no self-test"):
        selftest._read(tmp_path / "selftest.npz")


def test_a_link_out_of_a_package_is_not_followed(tmp_path):
    package = write_package(tmp_path / "p", read_card(TINY / CARD), weights=TINY / "weights.safetensors")
    inside = package.weights_path
    os.replace(inside, tmp_path / "elsewhere.safetensors")
    inside.symlink_to(tmp_path / "elsewhere.safetensors")
    with pytest.raises(ModelError, match="leads out of the folder"):
        open_package(tmp_path / "p")
    inside.unlink()
    inside.symlink_to("/dev/zero")
    with pytest.raises(ModelError, match="not in the folder"):
        open_package(tmp_path / "p")


@pytest.mark.parametrize("name", ["a" * 5_000, "a\0b", "../../etc/passwd", "x/" * 2_000, "\ud800", ""])
def test_no_name_of_a_model_is_more_than_unknown(name):
    for ask in (registry.resolve, registry.card_of, registry.lookup, registry.pull, registry.built_in_card):
        with pytest.raises(ModelError):
            ask(name)


def test_a_strangers_package_is_never_fetched_for(tmp_path, monkeypatch):
    card = read_card(TINY / CARD).holding()
    values = card.to_dict() | {"name": "mine", "source": {"url": "https://example.org/a.ckpt", "file": "a.ckpt"}}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / CARD).write_text(dump_card(ModelCard.from_dict(values)), encoding="utf-8")
    monkeypatch.setattr(registry, "fetch", lambda *_, **__: pytest.fail("a download was begun"))
    with pytest.raises(ModelError):
        registry.resolve(tmp_path / "mine")


def test_the_limit_holds_for_all_arrays_together(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(200, np.float32), b=np.zeros(200, np.float32))
    with pytest.raises(ModelError, match="at most 0 MB"):
        read_parameters(tmp_path / "a.npz")


@given(st.binary(max_size=300))
def test_noise_is_no_model(tmp_path_factory, blob):
    for suffix in (".npz", ".safetensors", ".ckpt"):
        path = tmp_path_factory.getbasetemp() / f"noise{suffix}"
        path.write_bytes(blob)
        with pytest.raises(ModelError):
            read_parameters(path)


def test_what_deflate_does_is_told_in_a_sentence(tmp_path):
    path = archive(tmp_path / "a.npz", {"w.npy": npy(np.zeros(100, np.float32))})
    blob = path.read_bytes()
    packed = zlib.compress(npy(np.zeros(100, np.float32)))[2:-4]
    refused(path, blob.replace(packed[:8], b"\xff" * 8))
