"""MindSpore Hub's entry point."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mindspore")

from geodetect import registry
from geodetect.errors import ModelError
from geodetect.networks.graphs import expected_shapes


@pytest.fixture(scope="module")
def hub():
    path = Path(__file__).resolve().parents[2] / "mindspore_hub_conf.py"
    spec = importlib.util.spec_from_file_location("mindspore_hub_conf", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "family"),
    [("yolov3_darknet53", "yolov3"), ("YOLOv4_CSPDarknet53", "yolov4"), ("yolov3_tiny", "yolov3-tiny")],
)
def test_names_of_the_model_zoo(hub, name, family):
    network = hub.create_network(name, num_classes=2)
    assert {item.name: tuple(item.shape) for item in network.get_parameters()} == expected_shapes(family, 2)


def test_eighty_classes_are_the_default(hub):
    network = hub.create_network("yolov3-tiny")
    assert {item.name: tuple(item.shape) for item in network.get_parameters()} == expected_shapes("yolov3-tiny", 80)


@pytest.mark.parametrize("what", ["package", "file"])
def test_a_checkpoint_tells_its_classes(hub, what):
    package = registry.resolve("planes-ships-yolov3-tiny")
    network = hub.create_network(
        "yolov3_tiny", pretrained=str(package.root if what == "package" else package.weights_path)
    )
    stored = package.parameters()
    assert all(np.array_equal(item.asnumpy(), stored[item.name]) for item in network.get_parameters())


def test_wrong_names_and_files_are_refused(hub):
    with pytest.raises(ValueError, match="'yolov5', give one of yolov3, yolov3_darknet53"):
        hub.create_network("yolov5")
    root = registry.resolve("planes-ships-yolov3-tiny").root
    with pytest.raises(ModelError, match="not to be loaded as yolov4"):
        hub.create_network("yolov4", pretrained=str(root))
    with pytest.raises(ModelError, match="trained for 2 classes, the model has 5"):
        hub.create_network("yolov3_tiny", 5, pretrained=str(root / "weights.safetensors"))
