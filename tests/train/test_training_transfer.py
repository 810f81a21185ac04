"""What a run starts from."""

from __future__ import annotations

import dataclasses
import math
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodetect.card import Network
from geodetect.errors import DownloadError, ModelError
from geodetect.networks.darknet import convolutions
from geodetect.networks.graphs import expected_shapes
from geodetect.networks.parameters import write_safetensors
from geodetect.package import open_package
from geodetect.progress import Reporter
from geodetect.registry import BUILT_IN, built_in_card, import_file, lookup
from training.run import transfer
from training.run.card import family_heads
from training.run.config import TrainConfig
from training.run.transfer import (
    Pretrained,
    combine,
    darknet_classes,
    initial,
    open_backbone,
    open_pretrained,
    read_weights,
    variant,
)

SHAPES = {
    "a.0.weight": (4, 3, 2, 2),
    "a.1.gamma": (4,),
    "a.1.moving_mean": (4,),
    "head.weight": (18, 4, 1, 1),
    "head.bias": (18,),
}
BUNDLED = BUILT_IN / "planes-ships-yolov3-tiny"


class Notes(Reporter):
    def __init__(self):
        self.notes = []

    def note(self, message):
        self.notes.append(message)


def model(classes, **parameters) -> Pretrained:
    card = open_package(BUNDLED, verify=False).card
    object.__setattr__(card, "classes", tuple(classes))
    return Pretrained("given", parameters, card)


def test_initial_is_kaimings_uniform_and_batch_norm_does_nothing():
    shapes = expected_shapes("yolov3-tiny", 2)
    parameters = initial(shapes, 1)
    assert parameters.keys() == shapes.keys()
    weight = parameters["feature_map.backbone.conv5.0.weight"]
    bound = 1 / math.sqrt(256 * 9)
    assert weight.dtype == np.float32
    assert np.abs(weight).max() <= bound
    assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.01)
    bias = parameters["feature_map.head1.bias"]
    assert 0.5 / math.sqrt(512) < np.abs(bias).max() <= 1 / math.sqrt(512)
    assert (parameters["feature_map.backbone.conv0.1.gamma"] == 1).all()
    assert (parameters["feature_map.backbone.conv0.1.moving_mean"] == 0).all()


def test_initial_hangs_on_seed_and_name_alone():
    few = {name: SHAPES[name] for name in ("head.weight", "head.bias")}
    np.testing.assert_array_equal(initial(SHAPES, 3)["head.weight"], initial(few, 3)["head.weight"])
    assert not np.array_equal(initial(SHAPES, 3)["head.weight"], initial(SHAPES, 4)["head.weight"])


def test_the_same_classes_take_everything():
    fresh, old = initial(SHAPES, 1), initial(SHAPES, 2)
    result, note = combine(fresh, model(["x"], **old), ["x"])
    assert all(np.array_equal(result[name], old[name]) for name in SHAPES)
    assert note == "Starting from given: 5 of 5 parameters; its classes are the same"


@given(
    st.permutations(["a", "b", "c", "d"]), st.integers(1, 4), st.permutations(["a", "b", "c", "d"]), st.integers(1, 4)
)
def test_shared_classes_keep_their_channels(before, n_before, after, n_after):
    known, wanted = before[:n_before], after[:n_after]
    old = {"head.weight": np.arange(3 * (5 + n_before) * 4, dtype=np.float32).reshape(-1, 4, 1, 1)}
    fresh = {
        "head.weight": np.full((3 * (5 + n_after), 4, 1, 1), -1.0, np.float32),
        "head.bias": np.zeros(3 * (5 + n_after), np.float32),
    }
    result, note = combine(fresh, model(known, **old), wanted)
    was = old["head.weight"].reshape(3, 5 + n_before, 4)
    now = result["head.weight"].reshape(3, 5 + n_after, 4)
    shared = set(known) & set(wanted)
    for number, name in enumerate(wanted):
        expected = was[:, 5 + known.index(name)] if name in shared else -1.0
        np.testing.assert_array_equal(now[:, 5 + number], expected if name in shared else np.full((3, 4), -1.0))
    np.testing.assert_array_equal(now[:, :5], was[:, :5] if shared else np.full((3, 5, 4), -1.0))
    assert ("fresh" in note) == (not set(wanted) <= shared)


def test_another_number_of_unnamed_classes_gives_fresh_heads_and_says_so():
    old, fresh = initial(SHAPES, 2), initial(SHAPES | {"head.weight": (24, 4, 1, 1), "head.bias": (24,)}, 1)
    result, note = combine(fresh, Pretrained("x.ckpt", old), ["a", "b", "c"])
    np.testing.assert_array_equal(result["head.bias"], fresh["head.bias"])
    np.testing.assert_array_equal(result["a.0.weight"], old["a.0.weight"])
    assert "fresh heads, since it has 1 classes and there are 3 here" in note


def test_filter_weight_leaves_the_heads_out():
    fresh, old = initial(SHAPES, 1), initial(SHAPES, 2)
    result, note = combine(fresh, model(["x"], **old), ["x"], keep_heads=False)
    np.testing.assert_array_equal(result["head.weight"], fresh["head.weight"])
    np.testing.assert_array_equal(result["a.0.weight"], old["a.0.weight"])
    assert "fresh heads, as asked for" in note


def test_weights_of_another_network_are_refused():
    fresh = initial(SHAPES, 1)
    with pytest.raises(ModelError, match="holds no parameter of this network"):
        combine(fresh, Pretrained("x", {"b": np.ones(1)}), ["x"])
    with pytest.raises(ModelError, match=r"has a\.0\.weight of 4x3x3x3, the network of 4x3x2x2"):
        combine(fresh, Pretrained("x", {"a.0.weight": np.ones((4, 3, 3, 3))}), ["x"])


def write_darknet(path: Path, family: str, parameters: dict, stop: int | None = None) -> Path:
    values = []
    for prefix in list(convolutions(family))[:stop]:
        suffixes = (".1.beta", ".1.gamma", ".1.moving_mean", ".1.moving_variance", ".0.weight")
        if f"{prefix}.0.weight" not in parameters:
            suffixes = (".bias", ".weight")
        values += [parameters[prefix + suffix].ravel() for suffix in suffixes]
    path.write_bytes(struct.pack("<iiiq", 0, 2, 0, 0) + np.concatenate(values).astype("<f4").tobytes())
    return path


@pytest.mark.parametrize("n_classes", [1, 2, 80])
def test_darknet_files_of_any_number_of_classes(tmp_path, n_classes):
    parameters = initial(expected_shapes("yolov3-tiny", n_classes), 1)
    path = write_darknet(tmp_path / "a.weights", "yolov3-tiny", parameters)
    assert darknet_classes(path, "yolov3-tiny") == n_classes
    found = read_weights(path, "yolov3-tiny")
    assert all(np.array_equal(found[name], parameters[name]) for name in parameters)


def test_a_partial_darknet_file_is_a_backbone(tmp_path):
    parameters = initial(expected_shapes("yolov3-tiny", 80), 1)
    path = write_darknet(tmp_path / "yolov3-tiny.conv.5", "yolov3-tiny", parameters, stop=5)
    backbone = open_backbone(TrainConfig(pretrained_backbone=str(path)))
    assert len(backbone.parameters) == 25
    result, note = combine(initial(expected_shapes("yolov3-tiny", 3), 2), backbone, ["a", "b", "c"])
    np.testing.assert_array_equal(
        result["feature_map.backbone.conv4.0.weight"], parameters["feature_map.backbone.conv4.0.weight"]
    )
    assert note.startswith("Starting from yolov3-tiny.conv.5: 25 of 59 parameters")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"network": "yolov3", "pretrained_backbone": "darknet53.conv.74"}, "darknet"),
        ({"network": "yolov3", "pretrained_backbone": "darknet53.conv.74", "variant": "mindspore"}, "mindspore"),
        ({"network": "yolov3", "pretrained_backbone": "darknet53.ckpt"}, "mindspore"),
        ({"network": "yolov3", "pretrained_checkpoint": "yolov3.weights"}, "darknet"),
        ({"network": "yolov4"}, "mindspore"),
        ({"network": "yolov4", "variant": "darknet"}, "darknet"),
        ({"network": "yolov3-tiny", "pretrained_backbone": "yolov3-tiny.conv.15"}, "mindspore"),
    ],
)
def test_darknets_weights_make_darknets_variant(values, expected):
    assert variant(TrainConfig(**values), None) == expected


def test_a_model_of_the_other_variant_is_refused():
    with pytest.raises(ModelError, match="is of variant mindspore, the network is to be of variant darknet"):
        variant(TrainConfig(network="yolov3", variant="darknet"), built_in_card("yolov3-dota15"))


@pytest.mark.parametrize(
    ("values", "start", "expected"),
    [
        ({}, "mindspore", "mindspore"),
        ({}, "3l", "3l"),
        ({"variant": "3l"}, "mindspore", "3l"),
        ({"variant": "mindspore"}, "3l", "mindspore"),
        ({"anchors": (1.0,) * 18}, "mindspore", "3l"),
        ({"anchors": (1.0,) * 12}, "3l", "mindspore"),
    ],
)
def test_a_tiny_network_may_start_from_one_with_more_or_less_heads(values, start, expected):
    config = TrainConfig(**values)
    network = Network("yolov3-tiny", start)
    card = dataclasses.replace(
        open_package(BUNDLED, verify=False).card, network=network, heads=family_heads("yolov3-tiny", variant=start)
    )
    assert variant(config, card) == expected
    fresh = initial(expected_shapes("yolov3-tiny", 2, expected), 1)
    old = initial(expected_shapes("yolov3-tiny", 2, start), 2)
    result, _ = combine(fresh, Pretrained("x", old, card), card.classes)
    assert {name for name in fresh if result[name] is fresh[name]} == fresh.keys() - old.keys()


def test_a_backbone_saved_alone_gets_its_full_names(tmp_path):
    write_safetensors(tmp_path / "a.safetensors", {"backbone.conv0.0.weight": np.ones((16, 3, 3, 3))})
    assert list(read_weights(tmp_path / "a.safetensors", "yolov3-tiny")) == ["feature_map.backbone.conv0.0.weight"]


def test_auto_takes_the_bundled_model_and_none_takes_nothing():
    found = open_pretrained(TrainConfig())
    assert found.name == "planes-ships-yolov3-tiny"
    assert found.card.classes == ("plane", "ship")
    for values in ({"pretrained_checkpoint": "none"}, {"transfer_train": False}, {"pretrained_backbone": "x"}):
        assert open_pretrained(TrainConfig(**values)) is None


def test_auto_never_takes_what_the_user_imported(tmp_path):
    """The family's name means the user's last import, however bad; `auto` does not."""
    own = open_package(BUNDLED)
    for name in ("mine", own.card.name):
        card = dataclasses.replace(own.card, name=name, version="9.9")
        shapes = expected_shapes(card.network.family, 2, card.network.variant)
        write_safetensors(tmp_path / "w.safetensors", initial(shapes, 0))
        import_file(tmp_path / "w.safetensors", card)
    assert lookup("yolov3-tiny").state == "installed"
    found = open_pretrained(TrainConfig())
    assert found.card == own.card
    assert all(np.array_equal(found.parameters[name], array) for name, array in own.parameters().items())


def test_an_import_under_the_name_of_a_known_model_is_not_it(tmp_path):
    card = dataclasses.replace(built_in_card("yolov3-dota15"), name="yolov3-dota15", source=None)
    write_safetensors(tmp_path / "w.safetensors", initial(expected_shapes("yolov3", len(card.classes)), 0))
    import_file(tmp_path / "w.safetensors", card)
    notes = Notes()
    assert open_pretrained(TrainConfig(network="yolov3"), notes) is None
    assert "is another one" in notes.notes[0]


def test_auto_without_a_network_takes_fresh_weights_and_says_so(monkeypatch):
    def fail(*_, **__):
        raise DownloadError("yolov3_320_189.ckpt cannot be downloaded: no network")

    monkeypatch.setattr(transfer, "resolve", fail)
    notes = Notes()
    assert open_pretrained(TrainConfig(network="yolov3"), notes) is None
    assert notes.notes[0].startswith("Starting from fresh weights")
    assert "no network" in notes.notes[0]


def test_what_is_named_must_be_there():
    with pytest.raises(ModelError, match="no model is called nonsense"):
        open_pretrained(TrainConfig(pretrained_checkpoint="nonsense"))
    with pytest.raises(ModelError, match="is a yolov3-tiny, the network is to be a yolov3"):
        open_pretrained(TrainConfig(network="yolov3", pretrained_checkpoint="planes-ships-yolov3-tiny"))
    with pytest.raises(ModelError, match="is not there"):
        open_backbone(TrainConfig(pretrained_backbone="/nowhere/a.ckpt"))
