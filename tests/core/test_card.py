"""The model card: what it takes, what it refuses, and in which words."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodetect.card import FAMILIES, PALETTE, STRIDES, VARIANTS, ModelCard, Network
from geodetect.errors import ModelError

VALUES = {
    "name": "two",
    "network": {"family": "yolov3-tiny"},
    "classes": ["plane", "ship"],
    "input": {"size": 416, "gsd": [0.3, 3.0]},
    "heads": {
        "anchors": [[[81, 82], [135, 169], [344, 319]], [[10, 14], [23, 27], [37, 58]]],
        "strides": [32, 16],
        "scale_xy": [1.1, 1.2],
    },
    "thresholds": {"score": {"plane": 0.5}},
    "weights": {"file": "weights.safetensors", "sha256": "0" * 64},
    "source": {"url": "https://example.org/a.ckpt", "file": "a.ckpt"},
}


def changed(path: str, value: object) -> dict:
    """Return VALUES with one field changed; `path` is dotted."""
    values = copy.deepcopy(VALUES)
    *sections, field = path.split(".")
    section = values
    for name in sections:
        section = section.setdefault(name, {})
    section[field] = value
    return values


def test_reads_sections_and_fills_defaults():
    card = ModelCard.from_dict(VALUES)
    assert card.network.variant == "mindspore"
    assert card.input.resize == "letterbox"
    assert card.input.bands == ("red", "green", "blue")
    assert card.heads.anchors[1][0] == (10, 14)
    assert card.thresholds.iou == 0.45
    assert card.onnx is None


def test_to_dict_and_back_gives_an_equal_card():
    card = ModelCard.from_dict(VALUES)
    assert ModelCard.from_dict(card.to_dict()) == card


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("clases", [], r"unknown field clases, did you mean classes\?"),
        ("input.sise", 416, r"unknown field input.sise, did you mean input.size\?"),
        ("input", 416, "input is no mapping"),
        ("name", "../up", r"name is '../up', letters, digits"),
        ("network.family", "yolov5", "network.family is 'yolov5', one of yolov3, yolov4, yolov3-tiny is needed"),
        ("network.variant", "torch", "network.variant is 'torch'"),
        ("classes", [], "classes is empty"),
        ("classes", ["ship", "ship"], "classes has a name twice"),
        ("classes", ["plane", 2], "classes has 2, a name is needed"),
        ("input.size", 400, "input.size is 400, a multiple of 32 is needed"),
        ("input.size", "big", "input.size is 'big', a multiple of 32 is needed"),
        ("input.size", 416.0, "input.size is 416.0, a multiple of 32 is needed"),
        ("input.tile", 0.5, "input.tile is 0.5, pixels are needed"),
        ("input.gsd", 0.5, "input.gsd needs"),
        ("input.bands", "rgb", "input.bands, mean and std need three values each"),
        ("input.mean", [0, 0, float("nan")], "input.mean needs finite values"),
        ("version", 1.0, "version is 1.0, text is needed: put it in quotes"),
        ("metrics", ["good"], "metrics is no mapping"),
        ("heads.scale_xy", [1.1, 0], "heads.scale_xy needs values from 1 to 2"),
        ("input.std", [1, 1, 0], "input.std needs positive values"),
        ("input.mean", [0], "input.bands, mean and std need three values each"),
        ("input.gsd", [3, 0.3], "input.gsd needs"),
        ("input.resize", "crop", "input.resize is 'crop'"),
        ("input.fill", 256, "input.fill is 256"),
        ("heads.strides", [16, 32], r"heads.strides is \(16, 32\), yolov3-tiny of variant mindspore has \(32, 16\)"),
        ("heads.anchors", [[[1, 1]], [[1, 1]]], "heads.anchors needs 3 anchors a head"),
        ("heads.anchors", [[[1, 0]] * 3] * 2, "heads.anchors needs pairs of positive width and height"),
        ("heads.scale_xy", [1.0], "heads.anchors, strides and scale_xy need one entry a head"),
        ("colours", ["#000000"], "colours needs one entry a class"),
        ("colours", ["red", "blue"], "colours has 'red'"),
        ("thresholds.score", {"car": 0.5}, "thresholds.score names 'car', which is no class"),
        ("thresholds.iou", 45, "thresholds.iou is 45, not in 0..1"),
        ("thresholds.overlap", 1, "thresholds.overlap is 1"),
        ("weights.file", "../weights.safetensors", "weights.file is '../weights.safetensors', the name of a file"),
        ("weights.sha256", "12", "weights.sha256 of weights.safetensors is '12', 64 hexadecimal digits"),
        ("source.url", "ftp://example.org/a", "source.url is 'ftp://example.org/a', an http"),
        ("source.file", "/etc/a", "source.file is '/etc/a', a plain file name"),
    ],
)
def test_names_the_file_and_the_field_that_is_wrong(path, value, message):
    with pytest.raises(ModelError, match=f"^here.yaml: {message}"):
        ModelCard.from_dict(changed(path, value), "here.yaml")


@pytest.mark.parametrize("field", ["name", "classes", "input", "heads", "network"])
def test_names_a_field_that_is_missing(field):
    values = {key: value for key, value in VALUES.items() if key != field}
    with pytest.raises(ModelError, match=f"{field} is missing"):
        ModelCard.from_dict(values)


@pytest.mark.parametrize("values", [None, [], "text", 3])
def test_a_file_without_a_mapping_is_refused(values):
    with pytest.raises(ModelError, match="the file is no mapping"):
        ModelCard.from_dict(values)


@settings(max_examples=50)
@given(st.text(max_size=12))
def test_no_file_name_leads_out_of_the_folder(name):
    try:
        ModelCard.from_dict(changed("weights.file", name))
    except ModelError:
        return
    assert not set(name) & set("/\\:\0\n")
    assert name.strip(". ") != ""


def test_the_palette_is_the_cards_or_the_default():
    assert ModelCard.from_dict(VALUES).palette == PALETTE[:2]
    colours = ["#000000", "#FFffff"]
    assert ModelCard.from_dict(changed("colours", colours)).palette == tuple(colours)
    many = ModelCard.from_dict(changed("classes", ["plane", *(f"class {i}" for i in range(30))]))
    assert len(many.palette) == 31


def test_every_family_has_strides_and_variants():
    assert set(FAMILIES) == set(STRIDES) == set(VARIANTS)


def test_a_third_head_is_the_tiny_networks_alone():
    assert Network("yolov3-tiny", "3l").strides == (32, 16, 8)
    assert Network("yolov3-tiny").strides == (32, 16)
    with pytest.raises(ModelError, match=r"network\.variant is '3l', for yolov4 one of mindspore, darknet is needed"):
        Network("yolov4", "3l")
