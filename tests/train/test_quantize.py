"""INT8: the same detections from a smaller, faster file, or no file at all."""

import dataclasses

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from made_dataset import annotation, write_labels
from PIL import Image

import geodetect
from geodetect import engines, registry
from geodetect.demo.scene import make_scene
from geodetect.errors import ConfigError, EngineError, LabelError, ModelError, OutputError, TrainingError
from geodetect.networks.graphs import expected_shapes, to_onnx
from geodetect.package import open_package, write_package

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from training.packaging import quantize as module  # noqa: E402
from training.packaging.int8 import float_graph, fold_normalisation, write_int8  # noqa: E402
from training.packaging.quantize import QuantizeSettings, quantize  # noqa: E402

SIDE, TILE = 768, 256
SMALL = QuantizeSettings(images=6, size=TILE, max_loss=8)  # nine tiles tell AP to a few points only


@pytest.fixture(scope="session")
def source():
    return registry.resolve("planes-ships-yolov3-tiny")


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """The demo's scene in nine tiles, which train and validate."""
    root = tmp_path_factory.mktemp("data")
    truth = make_scene(root / "scene.tif", SIDE, seed=3, gsd=0.5)
    with rasterio.open(truth.scene) as scene:
        pixels = np.moveaxis(scene.read([1, 2, 3]), 0, 2)
    (root / "annotations").mkdir()
    for split in ("train", "val"):
        (root / split).mkdir()
        images, annotations = [], []
        for number, (y, x) in enumerate(np.ndindex(SIDE // TILE, SIDE // TILE), 1):
            corner = np.array([x, y, x, y]) * TILE
            tile = pixels[y * TILE : (y + 1) * TILE, x * TILE : (x + 1) * TILE]
            Image.fromarray(tile).save(root / split / f"{number}.png")
            images.append({"id": number, "file_name": f"{number}.png", "width": TILE, "height": TILE})
            for box, label in zip(truth.boxes - corner, truth.labels, strict=True):
                x1, y1, x2, y2 = np.clip(box, 0, TILE)
                if (x2 - x1) * (y2 - y1) > 0.5 * (box[2] - box[0]) * (box[3] - box[1]):
                    found = [float(value) for value in (x1, y1, x2 - x1, y2 - y1)]
                    annotations.append(annotation(len(annotations) + 1, number, int(label) + 1, found))
        write_labels(root, images, annotations, split=split)
    return root


@pytest.fixture(scope="session")
def quantised(source, data, tmp_path_factory):
    return quantize(source, data, tmp_path_factory.mktemp("int8") / "model", SMALL)


def test_folding_keeps_the_function(source):
    network, images = source.card.network, np.random.default_rng(0).random((1, 3, 64, 96), np.float32)
    model = to_onnx(network.family, network.variant, source.parameters())
    expected = heads(model, images)
    folded = fold_normalisation(model)
    assert "BatchNormalization" not in {node.op_type for node in folded.graph.node}
    onnx.checker.check_model(folded)
    for found, wanted in zip(heads(folded, images), expected, strict=True):
        assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_the_largest_network_can_be_folded():
    parameters = {name: np.ones(shape, np.float32) for name, shape in expected_shapes("yolov4", 1).items()}
    graph = float_graph("yolov4", "darknet", parameters).graph
    assert "BatchNormalization" not in {node.op_type for node in graph.node}
    assert len({node.name for node in graph.node}) == len(graph.node)


def heads(model, images):
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})


def test_the_file_is_int8_with_float_heads(quantised):
    graph = onnx.load(quantised.package.onnx_path).graph
    makers = {node.output[0]: node for node in graph.node}
    stored = {item.name: item.data_type for item in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    in_float = {node.output[0] for node in convolutions if node.input[1] not in makers}
    assert in_float == {"head_32", "head_16"}
    weights = [makers[node.input[1]].input[0] for node in convolutions if node.output[0] not in in_float]
    assert {stored[name] for name in weights} == {onnx.TensorProto.INT8}
    assert quantised.package.onnx_path.stat().st_size < 0.3 * 4 * 8_700_000


def test_both_engines_run_it_and_little_is_lost(quantised):
    assert [row.engine for row in quantised.after] == ["openvino", "onnxruntime"]
    assert quantised.before[0].precision == "float32"
    assert quantised.before[0].ap50 > 0.5
    for row in quantised.after:
        assert row.precision == "int8"
        assert row.ap > quantised.before[0].ap - 0.08
        assert row.milliseconds > 0


def test_the_package_finds_the_same_objects(quantised, source, data):
    package = open_package(quantised.package.root)
    assert package.card.name == "planes-ships-yolov3-tiny-int8"
    assert any("INT8 beside float32" in name for name in package.card.metrics)
    exact = geodetect.detect(data / "scene.tif", model=source.root, precision="float32", tile=TILE, score=0.5)
    for engine in ("openvino", "onnxruntime"):
        found = geodetect.detect(data / "scene.tif", model=package.root, engine=engine, score=0.5)
        assert abs(len(found.detections) - len(exact.detections)) <= 2
    assert len(exact.detections) >= 5


def test_too_great_a_loss_is_refused_and_leaves_nothing(source, data, tmp_path, monkeypatch):
    def bad(model, images, path, *rest, **more):
        for item in model.graph.initializer:
            if item.name.endswith("head1.bias") or item.name.endswith("head2.bias"):
                item.CopyFrom(onnx.numpy_helper.from_array(np.zeros(item.dims, np.float32), item.name))
        write_int8(model, images, path, *rest, **more)

    monkeypatch.setattr(module, "write_int8", bad)
    with pytest.raises(TrainingError, match=r"INT8 takes [\d.]+ points of AP in .* 8 are allowed; nothing was written"):
        quantize(source, data, tmp_path / "out", dataclasses.replace(SMALL, images=1))
    assert list(tmp_path.iterdir()) == []


def test_calibration_images_are_spread_evenly(data):
    def chosen(count):
        return [path.stem for path in module.calibration_files(data, dataclasses.replace(SMALL, images=count))]

    assert chosen(3) == ["1", "5", "9"]
    assert chosen(100) == [str(number) for number in range(1, 10)]


def test_a_folder_of_images_will_do_to_calibrate_on(data, tmp_path):
    files = module.calibration_files(data, QuantizeSettings(images=2, calibration=data / "val"))
    assert [path.name for path in files] == ["1.png", "9.png"]
    with pytest.raises(LabelError, match="holds no image"):
        module.calibration_files(data, QuantizeSettings(calibration=tmp_path))


def test_what_cannot_be_quantised_is_refused_before_the_work(source, data, quantised, tmp_path, monkeypatch):
    with pytest.raises(ModelError, match="holds no parameters"):
        quantize(quantised.package, data, tmp_path / "out", SMALL)
    with pytest.raises(OutputError, match="overwrite"):
        quantize(source, data, quantised.package.root, SMALL)
    monkeypatch.setattr(engines, "available", lambda: ("openvino",))
    with pytest.raises(EngineError, match=r"onnxruntime is not installed.*geodetect\[quantize\]"):
        quantize(source, data, tmp_path / "out", SMALL)


@pytest.mark.parametrize(("values", "name"), [({"images": 0}, "images"), ({"max_loss": -1.0}, "max_loss")])
def test_settings_are_checked(values, name):
    with pytest.raises(ConfigError, match=f"{name} is"):
        QuantizeSettings(**values)


def test_the_command_prints_before_and_after_and_fills_a_bucket(source, data, tmp_path, bucket):
    from training.commands.quantize import quantize as command

    bare = write_package(tmp_path / "source", source.card, weights=source.weights_path)
    arguments = [str(bare.root), "s3://bucket/out", "--data", str(data), "--images", "3", "--size", str(TILE),
                 "--max-loss", "30", "--progress", "none"]  # fmt: skip
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert [line.split()[:2] for line in result.output.splitlines() if line.startswith("int8")] == [
        ["int8", "openvino"], ["int8", "onnxruntime"]]  # fmt: skip
    assert {"out/model.onnx", "out/model.yaml"} <= {item.key for item in bucket.objects.all()}


def test_a_model_that_finds_nothing_is_refused():
    before, after = (module.Measured(kind, "openvino", "CPU", 0.0, 0.0, 1.0) for kind in ("float32", "int8"))
    with pytest.raises(TrainingError, match="finds nothing of the val split before INT8"):
        module._refuse(before, [after], 0)


def test_the_quantised_file_may_stand_beside_the_weights(source, data, tmp_path):
    package = quantize(source, data, tmp_path / "both", dataclasses.replace(SMALL, keep_float=True)).package
    card = package.card
    assert card.name == source.card.name
    assert card.onnx is None
    assert card.weights == source.card.weights
    assert open_package(tmp_path / "both") == package
    for precision in ("float32", "int8"):
        engine = engines.open_engine(package, "openvino", precision=precision, canvas=64)
        assert engine.precision == precision
        engine.close()
