"""Darknet's weights become checkpoints and packages that compute what Darknet computes."""

import importlib.util
import struct

import numpy as np
import pytest
from click.testing import CliRunner

from geodetect import decode
from geodetect.errors import ConfigError, ModelError, OutputError
from geodetect.networks import graphs
from geodetect.networks.darknet import convolutions
from geodetect.networks.graphs import expected_shapes
from geodetect.networks.parameters import read_parameters
from training.packaging.convert import ConvertSettings, convert, recognise
from training.packaging.darknet_cards import COCO

HEADER = struct.pack("<iiiQ", 0, 2, 0, 0)
# complete files that their authors publish, and the usual cuts: bytes, convolutions
PUBLISHED = {
    "yolov3-tiny.weights": (35_434_956, "yolov3-tiny", 80, 13),
    "yolov3.weights": (248_007_048, "yolov3", 80, 75),
    "yolov4.weights": (257_717_640, "yolov4", 80, 110),
    "darknet53.conv.74": (162_482_580, "yolov3", None, 52),
}


def sparse(path, size):
    """A file of a size whose values are all zero and take no space."""
    with open(path, "wb") as file:
        file.write(HEADER)
        file.truncate(size)
    return path


def reference(shared, name):
    spec = importlib.util.spec_from_file_location(name, shared / "golden" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def arrays(shared):
    return reference(shared, "make_checkpoint").weights(shared / "golden" / "yolov3_tiny_params.csv")


@pytest.fixture(scope="session")
def tiny(shared, arrays, tmp_path_factory):
    """A complete file of the reference parameters, by the reference's own writer."""
    path = tmp_path_factory.mktemp("darknet") / "yolov3-tiny.weights"
    reference(shared, "darknet_order").write("yolov3_tiny", arrays, path)
    return path


@pytest.fixture(scope="session")
def package(tiny, tmp_path_factory):
    return convert(tiny, tmp_path_factory.mktemp("package") / "tiny", ConvertSettings(licence="public domain"))[1]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_are_recognised_by_their_size(name, tmp_path):
    size, family, n_classes, count = PUBLISHED[name]
    for called in (name, "backup_final.bin"):
        found = recognise(sparse(tmp_path / called, size))
        assert (found.family, found.n_classes, found.convolutions) == (family, n_classes, count)


@pytest.mark.parametrize("family", ["yolov3", "yolov4", "yolov3-tiny"])
@pytest.mark.parametrize("n_classes", [1, 2, 16, 365])
def test_the_number_of_classes_follows_from_the_length(family, n_classes, tmp_path):
    shapes = expected_shapes(family, n_classes)
    used = tuple(f"{prefix}." for prefix in convolutions(family))
    values = sum(int(np.prod(shape)) for name, shape in shapes.items() if name.startswith(used))
    found = recognise(sparse(tmp_path / "custom_last.weights", 20 + 4 * values))
    assert (found.family, found.n_classes, found.is_complete) == (family, n_classes, True)


def test_every_cut_before_the_first_head_is_known(tmp_path):
    shapes = expected_shapes("yolov3-tiny", 1)
    values = 0
    for count, prefix in enumerate(list(convolutions("yolov3-tiny"))[:9], 1):
        values += sum(int(np.prod(shape)) for name, shape in shapes.items() if name.startswith(f"{prefix}."))
        found = recognise(sparse(tmp_path / "yolov3-tiny.conv", 20 + 4 * values))
        assert (found.family, found.n_classes, found.convolutions) == ("yolov3-tiny", None, count)
    assert values == 8_662_384 - 885_760 - 33_280  # yolov3-tiny.conv.15: all but conv9, conv10 and the heads


def test_a_start_that_several_networks_share_needs_a_name(tmp_path):
    size = 20 + 4 * (32 * 4 + 32 * 3 * 9)  # the first convolution of YOLOv3 and YOLOv4
    with pytest.raises(ModelError, match="could be the start of yolov3 and yolov4; give --family"):
        recognise(sparse(tmp_path / "start", size))
    assert recognise(sparse(tmp_path / "csdarknet53.conv.1", size), "yolov4").family == "yolov4"
    assert recognise(sparse(tmp_path / "darknet53.conv.1", size)).family == "yolov3"


@pytest.mark.parametrize(("program", "tolerance"), [("alexeyab", 2e-5), ("pjreddie", 5e-4)])
def test_a_package_computes_what_darknet_computes(program, tolerance, package, shared):
    images = np.random.RandomState(20230117).standard_normal((1, 3, 64, 96)).astype(np.float32)
    openvino = pytest.importorskip("openvino")
    model = graphs.load_openvino("yolov3-tiny", package.card.network.variant, package.parameters())
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    heads = list(compiled(images).values())
    with np.load(shared / "golden" / "yolov3_tiny_darknet_64x96.npz") as file:
        for head, size in zip(heads, ("2x3", "4x6"), strict=True):
            assert np.abs(head - file[f"{program}_raw_{size}"]).max() < tolerance


def test_boxes_are_darknets_own(package, shared):
    """Darknet's yolo layer gives x, y, objectness and classes after the logistic function, in cells."""
    with np.load(shared / "golden" / "yolov3_tiny_darknet_64x96.npz") as file:
        raw, yolo = file["pjreddie_raw_4x6"], file["pjreddie_yolo_4x6"]
    spec = package.card.heads
    small = type(spec)(spec.anchors[1:], spec.strides[1:], spec.scale_xy[1:])
    found = decode.predictions([raw], small).reshape(1, 3, 4, 6, 85).transpose(0, 1, 4, 2, 3)
    expected = yolo.reshape(1, 3, 85, 4, 6)
    np.testing.assert_allclose(found[:, :, 4:], expected[:, :, 4:], atol=1e-5)
    np.testing.assert_allclose(found[:, :, 0] / 16 - np.arange(6), expected[:, :, 0], atol=1e-5)
    np.testing.assert_allclose(found[:, :, 1] / 16 - np.arange(4)[:, None], expected[:, :, 1], atol=1e-5)


def test_the_card_of_a_package(package):
    assert (package.card.network.family, package.card.network.variant) == ("yolov3-tiny", "darknet")
    assert package.card.classes == COCO
    assert len(set(COCO)) == 80
    assert package.card.heads.scale_xy == (1.0, 1.0)
    assert (package.card.input.size, package.card.input.mean, package.card.input.resize) == (
        416,
        (0, 0, 0),
        "letterbox",
    )
    assert package.card.licence == "public domain"
    assert package.selftest_path is not None


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_a_checkpoint_holds_the_same_values(suffix, tiny, arrays, tmp_path):
    if suffix == ".ckpt":
        pytest.importorskip("mindspore")
    found, package = convert(tiny, tmp_path / f"tiny{suffix}")
    assert found.is_complete
    assert package is None
    stored = read_parameters(tmp_path / f"tiny{suffix}")
    assert stored.keys() == arrays.keys()
    assert all(np.array_equal(stored[name], arrays[name]) for name in arrays)
    assert (tmp_path / f"tiny{suffix}").stat().st_mode & 0o044 == 0o044
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "family", "count"),
    [("yolov3-tiny.coco.conv.9", "yolov3-tiny", 5), ("darknet53.coco.conv.37", "yolov3", 26)],
)
def test_a_cut_file_gives_a_checkpoint_only(name, family, count, shared, tmp_path):
    found, _ = convert(shared / "weights" / name, tmp_path / "start.safetensors")
    assert (found.family, found.convolutions, found.is_complete) == (family, count, False)
    stored = read_parameters(tmp_path / "start.safetensors")
    shapes = expected_shapes(family, 1)
    assert len(stored) == 5 * count
    assert all(array.shape == shapes[key] for key, array in stored.items())
    with pytest.raises(ModelError, match=f"the first {count} of .* write a checkpoint .*: model.ckpt"):
        convert(shared / "weights" / name, tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["start.safetensors"]


@pytest.mark.parametrize(
    ("size", "family", "message"),
    [
        (20 + 4 * 1000, None, "fit none of"),
        (20 + 4 * 1000, "yolov3-tiny", r"ends inside feature_map\.backbone\.conv1"),
        (20 + 4 * 1000 + 2, None, "cut off"),
        (12, None, "no Darknet weights file"),
    ],
)
def test_odd_files_are_refused(size, family, message, tmp_path):
    with pytest.raises(ModelError, match=message):
        convert(sparse(tmp_path / "odd.weights", size), tmp_path / "out.safetensors", ConvertSettings(family=family))
    assert not (tmp_path / "out.safetensors").exists()


def test_other_classes_must_be_named(tmp_path):
    shapes = expected_shapes("yolov3-tiny", 2)
    file = sparse(tmp_path / "My ships (2).weights", 20 + 4 * sum(int(np.prod(shape)) for shape in shapes.values()))
    with pytest.raises(ModelError, match="has 2 classes; name them"):
        convert(file, tmp_path / "out")
    names = tmp_path / "own.names"
    names.write_text("plane\nship\nboat\n")
    with pytest.raises(ModelError, match="3 names, the network has 2 classes"):
        convert(file, tmp_path / "out", ConvertSettings(names=names))
    names.write_text("plane\nship\n\n")
    package = convert(file, tmp_path / "out", ConvertSettings(names=names, size=64))[1]
    assert (package.card.name, package.card.classes) == ("My-ships-2-", ("plane", "ship"))


def test_a_card_must_describe_the_file(package, tiny, tmp_path):
    from geodetect import registry

    own = registry.BUILT_IN / "yolov3-dota15" / "model.yaml"
    with pytest.raises(ModelError, match="describes yolov3 of variant mindspore"):
        convert(tiny, tmp_path / "out", ConvertSettings(card=own))
    again = convert(tiny, tmp_path / "out", ConvertSettings(card=package.root / "model.yaml", name="again"))[1]
    assert again.card.heads == package.card.heads
    assert again.card.name == "again"


def test_outputs_that_exist_are_kept(tiny, tmp_path):
    (tmp_path / "a.safetensors").touch()
    with pytest.raises(OutputError, match="overwrite"):
        convert(tiny, tmp_path / "a.safetensors")
    with pytest.raises(ConfigError, match="family is 'yolov9'"):
        recognise(tiny, "yolov9")


def test_the_command_says_what_it_found(tiny, tmp_path):
    from training.commands.convert import convert as command

    result = CliRunner().invoke(command, [str(tiny), str(tmp_path / "a.safetensors")], catch_exceptions=False)
    assert result.exit_code == 0
    assert "yolov3-tiny, 80 classes, complete" in result.output


def test_a_checkpoint_goes_from_bucket_to_bucket(bucket, tmp_path):
    from training.commands.convert import convert as command

    bucket.upload_file(sparse(tmp_path / "start", 20 + 4 * (32 * 4 + 32 * 3 * 9)), "darknet53.conv.1")
    arguments = ["s3://bucket/darknet53.conv.1", "s3://bucket/made/start.safetensors"]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "darknet53.conv.1: yolov3, the first 1 of 75 convolutions; written to s3://bucket/made" in result.output
    bucket.download_file("made/start.safetensors", str(tmp_path / "start.safetensors"))
    assert len(read_parameters(tmp_path / "start.safetensors")) == 5
    with pytest.raises(OutputError, match=r"made/start\.safetensors exists"):
        CliRunner().invoke(command, arguments, catch_exceptions=False)
