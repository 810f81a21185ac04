"""An export's files are one network, or there is no export."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

import geodetect
from geodetect import decode, registry, selftest
from geodetect.card import Input
from geodetect.errors import ConfigError, EngineError, ModelError, OutputError, TrainingError
from geodetect.networks.graphs import expected_shapes
from geodetect.networks.safetensors import read_safetensors, write_safetensors
from geodetect.package import ModelPackage, open_package, write_package

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from training.packaging import agreement  # noqa: E402
from training.packaging.export import ExportSettings, export  # noqa: E402
from training.source import open_source  # noqa: E402

BUNDLED = "planes-ships-yolov3-tiny"
NO_MINDSPORE = ("safetensors", "onnx")
ENGINES = ("onnxruntime", "openvino")


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> ModelPackage:
    """A tiny network of random parameters on a small canvas, normalised as the model zoo does."""
    folder = tmp_path_factory.mktemp("source")
    takes = Input(64, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), gsd=(0.4, 0.9))
    card = dataclasses.replace(registry.built_in_card(BUNDLED), input=takes, classes=("a", "b", "c"), colours=(),
                               thresholds=dataclasses.replace(registry.built_in_card(BUNDLED).thresholds, score=0.3),
                               selftest=None, weights=None, name="small")  # fmt: skip
    generator = np.random.default_rng(1)
    parameters = {}
    for name, shape in expected_shapes(card.network.family, 3, card.network.variant).items():
        spread = np.sqrt(2 / np.prod(shape[1:])) if len(shape) == 4 else 0.2
        values = generator.normal(0, spread, shape)
        parameters[name] = 1 + values if name.endswith("gamma") else abs(values) + 1 if "variance" in name else values
    write_safetensors(folder / "w.safetensors", parameters)
    return write_package(folder / "package", card, weights=folder / "w.safetensors")


@pytest.fixture(scope="session")
def exported(source, tmp_path_factory):
    pytest.importorskip("mindspore")
    folder = tmp_path_factory.mktemp("exported") / "model"
    return export(source, folder, ExportSettings(keep_detect=True, batch=3))


def test_all_files_agree_and_are_run_by_all_engines(exported):
    rows = {(row.file, row.engine) for row in exported.agreements}
    assert rows >= {(file, "mindspore") for file in ("weights.safetensors", "model.mindir", "detector.mindir")}
    assert rows >= {(f"{stem}.onnx", engine) for stem in ("model", "detector") for engine in ENGINES}
    assert max(row.worst for row in exported.agreements) < 2e-5


def test_the_package_is_whole_and_runs(exported, write_raster):
    package = open_package(exported.package.root)
    assert selftest.verify(package.root, precision="float32").deviation < 1e-5
    assert package.onnx_path.name == "model.onnx"
    network = package.card.network
    expected = expected_shapes(network.family, 3, network.variant)
    assert read_safetensors(package.weights_path).keys() == expected.keys()
    scene = write_raster(np.random.default_rng(0).integers(0, 255, (3, 100, 90), np.uint8))
    for engine in ("openvino", "onnxruntime", "mindspore"):
        geodetect.detect(scene, model=package.root, engine=engine, score=0.9)


def test_the_exporting_leaves_nothing_else(exported):
    assert [path.name for path in exported.package.root.parent.iterdir()] == ["model"]
    assert {"detector.mindir", "detector.onnx", "model.mindir", "model.onnx", "model.yaml", "selftest.npz",
            "weights.safetensors"} == set(exported.files)  # fmt: skip


def test_a_detector_takes_plain_pixels_and_gives_predictions(exported, source):
    import onnxruntime

    pixels = agreement.sample_pixels(64)[:1]
    session = onnxruntime.InferenceSession(exported.package.root / "detector.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"images": pixels.astype(np.float32) / 255})
    images = agreement.normalised(pixels, source.card.input)
    heads = agreement.heads_of(exported.package, "openvino", images)
    np.testing.assert_allclose(found, decode.predictions(heads, source.card.heads), rtol=1e-4, atol=1e-4)


def test_what_deepness_and_geodeep_read(exported):
    import json

    session = onnx.load(exported.package.root / "detector.onnx")
    keys = {item.key: json.loads(item.value) for item in session.metadata_props}
    assert keys["model_type"] == "Detector"
    assert keys["det_type"] == "YOLO_v5_or_v7_default"
    assert keys["class_names"] == {"0": "a", "1": "b", "2": "c"}
    assert keys["resolution"] == pytest.approx(60)  # cm/px, between 0.4 and 0.9 m
    assert (keys["tile_size"], keys["tiles_overlap"], keys["det_conf"]) == (64, 25, 0.3)
    (image,), (output,) = session.graph.input, session.graph.output
    assert [dim.dim_value for dim in image.type.tensor_type.shape.dim] == [1, 3, 64, 64]
    assert [dim.dim_value for dim in output.type.tensor_type.shape.dim] == [1, 3 * (2 * 2 + 4 * 4), 8]


@pytest.fixture
def without_mindspore(monkeypatch):
    """As on a machine without MindSpore, where OpenVINO's heads of the parameters are the reference; quicker, too."""
    monkeypatch.setattr(agreement.engines, "available", lambda: ENGINES)


def test_float16_parameters_are_rounded_in_all_files(source, tmp_path, without_mindspore):
    made = export(source, tmp_path / "half", ExportSettings(dtype="float16", formats=NO_MINDSPORE))
    stored = read_safetensors(made.package.weights_path)
    assert {array.dtype for array in stored.values()} == {np.dtype("float16")}
    graph = onnx.load(made.package.onnx_path).graph
    kept = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    assert all(np.array_equal(kept[name], array.astype(np.float32)) for name, array in stored.items() if name in kept)
    assert max(row.worst for row in made.agreements) < 2e-5


def test_files_that_do_not_agree_are_not_let_out(source, tmp_path, monkeypatch, without_mindspore):
    from training.packaging import export as module

    def wrong(family, variant, parameters, *rest, **more):
        changed = {
            name: array * 1.001 if name.endswith("head1.weight") else array for name, array in parameters.items()
        }
        return module_to_onnx(family, variant, changed, *rest, **more)

    module_to_onnx = module.to_onnx
    monkeypatch.setattr(module, "to_onnx", wrong)
    with pytest.raises(TrainingError, match=r"model\.onnx run by onnxruntime is off by"):
        export(source, tmp_path / "out", ExportSettings(formats=NO_MINDSPORE))
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_gives_no_numbers_is_named_as_the_cause(source, tmp_path, without_mindspore):
    parameters = source.parameters()
    name = next(name for name in parameters if name.endswith("head1.weight"))
    write_safetensors(tmp_path / "w.safetensors", parameters | {name: np.full_like(parameters[name], 3e38)})
    broken = write_package(tmp_path / "broken", source.card, weights=tmp_path / "w.safetensors")
    with pytest.raises(TrainingError, match="the network itself gives values that are not finite in openvino"):
        export(broken, tmp_path / "out", ExportSettings(formats=NO_MINDSPORE))
    assert not (tmp_path / "out").exists()


def test_a_package_is_replaced_only_when_told_to(source, tmp_path, without_mindspore):
    small = ExportSettings(formats=("onnx",))
    first = export(source, tmp_path / "out", small)
    assert first.package.weights_path is None
    with pytest.raises(OutputError, match="overwrite"):
        export(source, tmp_path / "out", small)
    again = export(source, tmp_path / "out", dataclasses.replace(small, overwrite=True, name="other", size=96))
    card = open_package(again.package.root).card
    assert (card.name, card.input.size) == ("other", 96)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(OutputError, match="no model package"):
        export(source, tmp_path / "mine", dataclasses.replace(small, overwrite=True))


def test_air_is_refused_with_the_other_way(source, tmp_path):
    pytest.importorskip("mindspore")
    with pytest.raises(EngineError, match=r'atc --framework=5 .*--input_shape="images:1,3,64,64"'):
        export(source, tmp_path / "out", ExportSettings(formats=("onnx", "air")))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"formats": ("onnx", "pickle")}, "'pickle', give some of safetensors"),
        ({"formats": ("mindir",)}, "neither safetensors nor onnx"),
        ({"dtype": "int8"}, "dtype is 'int8'"),
        ({"batch": 0}, "batch is 0"),
    ],
)
def test_settings_are_checked(values, message):
    with pytest.raises(ConfigError, match=message):
        ExportSettings(**values)


def test_a_source_without_parameters_is_refused(source, tmp_path, without_mindspore):
    made = export(source, tmp_path / "onnx", ExportSettings(formats=("onnx",)))
    with pytest.raises(ModelError, match="holds no parameters"):
        export(made.package, tmp_path / "out", ExportSettings(formats=("onnx",)))


def test_the_command_prints_the_deviations(source, tmp_path, without_mindspore):
    from training.commands.export import export as command

    arguments = [str(source.root), str(tmp_path / "out"), "--formats", "safetensors,onnx", "--progress", "none"]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "the reference" in result.output
    assert "onnxruntime" in result.output
    assert "model.onnx" in result.output


def test_a_package_goes_to_a_bucket_and_json_says_what_it_is(source, bucket, tmp_path, without_mindspore):
    from training.commands.export import export as command

    def call(*more):
        arguments = [str(source.root), "s3://bucket/small", "--formats", "safetensors,onnx", "--progress", "json"]
        return CliRunner().invoke(command, [*arguments, *more])

    result = call()
    assert result.exit_code == 0, result.output
    message = json.loads(result.stdout.splitlines()[-1])
    assert (message["type"], message["output"], message["name"]) == ("result", "s3://bucket/small", "small")
    assert {f"small/{name}" for name in message["files"]} == {item.key for item in bucket.objects.all()}
    assert {row["engine"] for row in message["agreements"]} >= {*ENGINES}
    assert not (tmp_path / "s3:").exists()
    assert open_source("s3://bucket/small").card.name == "small"
    assert "s3://bucket/small exists; give another name, or --overwrite" in str(call().exception)
    assert call("--overwrite").exit_code == 0
