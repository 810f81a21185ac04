"""Opening and writing model packages."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
import yaml

from geodetect import yamlfile
from geodetect.card import ModelCard
from geodetect.checksum import file_sha256
from geodetect.errors import ModelError
from geodetect.networks.graphs import expected_shapes
from geodetect.networks.parameters import read_parameters, write_safetensors
from geodetect.package import ModelPackage, dump_card, open_package, read_card, write_package
from geodetect.registry import BUILT_IN

BUNDLED = BUILT_IN / "planes-ships-yolov3-tiny"


@pytest.fixture
def folder(tmp_path):
    """A copy of the bundled package that a test may spoil."""
    return shutil.copytree(BUNDLED, tmp_path / "model")


def edit(folder, **fields):
    """Change top-level fields of the card; None removes one."""
    values = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8")) | fields
    kept = {key: value for key, value in values.items() if value is not None}
    (folder / "model.yaml").write_text(yaml.safe_dump(kept), encoding="utf-8")


def test_opens_the_bundled_package():
    package = open_package(BUNDLED)
    assert package.card.classes == ("plane", "ship")
    assert package.weights_path == BUNDLED / "weights.safetensors"
    assert package.sha256 == file_sha256(package.weights_path)
    assert package.onnx_path is None
    assert "non-commercial" in package.licence_note
    assert "CC BY-NC-SA 4.0" in package.licence_note


def test_bundled_weights_are_whole_and_finite():
    parameters = read_parameters(BUNDLED / "weights.safetensors")
    network = open_package(BUNDLED).card.network
    expected = expected_shapes(network.family, 2, network.variant)
    assert {name: array.shape for name, array in parameters.items()} == expected
    assert all(np.isfinite(array).all() for array in parameters.values())


@pytest.mark.parametrize("family", ["yolov3", "yolov4"])
def test_dota_cards_hold_the_published_facts(family):
    card = read_card(BUILT_IN / f"{family}-dota15" / "model.yaml")
    assert len(card.classes) == 16
    assert (card.classes[0], card.classes[6], card.classes[15]) == ("plane", "ship", "container-crane")
    assert card.input.size == {"yolov3": 416, "yolov4": 608}[family]
    assert (card.input.tile, card.input.resize) == (600, "stretch")
    assert card.input.mean == (0.485, 0.456, 0.406)
    assert card.heads.scale_xy == {"yolov3": (1, 1, 1), "yolov4": (1.05, 1.1, 1.2)}[family]
    areas = [np.prod(head, axis=1).mean() for head in card.heads.anchors]
    assert areas == sorted(areas, reverse=True)  # the big stride comes first
    assert "non-commercial" in card.licence


def test_a_damaged_file_is_named(folder):
    with open(folder / "weights.safetensors", "r+b") as file:
        file.seek(5_000_000)
        file.write(b"\xff")
    with pytest.raises(
        ModelError, match=r"weights.safetensors is damaged or was changed: .* weights.sha256 of model.yaml"
    ):
        open_package(folder)
    assert open_package(folder, verify=False).card.name == "planes-ships-yolov3-tiny"


def test_a_file_that_is_not_there_is_named(folder):
    (folder / "weights.safetensors").unlink()
    for verify in (True, False):
        with pytest.raises(ModelError, match=r"weights.file is weights.safetensors, which is not in the folder"):
            open_package(folder, verify)


def test_a_missing_checksum_is_named(folder):
    edit(folder, weights={"file": "weights.safetensors"})
    with pytest.raises(ModelError, match=r"weights.sha256 is missing"):
        open_package(folder)


def test_a_link_out_of_the_folder_is_refused(folder, tmp_path):
    (folder / "weights.safetensors").rename(tmp_path / "elsewhere")
    (folder / "weights.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="leads out of the folder"):
        open_package(folder)


def test_a_card_without_weights_is_refused(folder):
    edit(folder, weights=None)
    with pytest.raises(ModelError, match="neither weights nor onnx"):
        open_package(folder)


def test_weights_for_other_classes_are_refused(folder):
    edit(folder, classes=["plane", "ship", "harbor"], colours=None)
    with pytest.raises(ModelError, match=r"weights.safetensors.*2 classes.*3"):
        open_package(folder)


def test_weights_of_another_network_are_refused(folder):
    heads = read_card(BUILT_IN / "yolov3-dota15" / "model.yaml").to_dict()["heads"]
    edit(folder, network={"family": "yolov3"}, heads=heads)
    with pytest.raises(ModelError, match=r"weights.safetensors.*missing"):
        open_package(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name:\n- [", r"cannot be read as YAML \(line 2"),
        ("name: one\nname: two", r"line 2: name stands twice"),
        ("a: &a [1]\nb: *a", r"line 2: aliases are not allowed"),
        ("a: !!python/object/apply:os.getcwd []", r"could not determine a constructor"),
        ("- 1", "the file is no mapping"),
        ("", "the file is no mapping"),
        ("x" * (1 << 21), "longer than 256 kB"),
        ("[" * 1_500, "nested deeper than 32"),
        ("a: \x00", "line 1: special characters"),
        ("? [a]\n: 1", "line 1: found unhashable key"),
    ],
)
def test_an_unusable_card_is_one_sentence(tmp_path, text, message):
    (tmp_path / "model.yaml").write_text(text)
    with pytest.raises(ModelError, match=message) as caught:
        open_package(tmp_path)
    assert "model.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_card_is_told(tmp_path):
    with pytest.raises(ModelError, match=r"is no model package: it has no model.yaml"):
        open_package(tmp_path)


def test_text_that_is_not_utf8_is_told(tmp_path):
    (tmp_path / "model.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(ModelError, match="cannot be read"):
        open_package(tmp_path)


def test_a_written_card_reads_equal(tmp_path):
    for path in BUILT_IN.glob("*/model.yaml"):
        card = read_card(path)
        (tmp_path / "model.yaml").write_text(dump_card(card), encoding="utf-8")
        assert read_card(tmp_path / "model.yaml") == card


def test_writes_what_it_can_open(tmp_path):
    card = read_card(BUNDLED / "model.yaml").holding()
    package = write_package(tmp_path / "new" / "model", card, weights=BUNDLED / "weights.safetensors")
    assert open_package(package.root) == package
    assert package.sha256 == open_package(BUNDLED).sha256
    assert sorted(path.name for path in package.root.parent.iterdir()) == ["model"]


def test_writing_replaces_a_package_from_its_own_files(folder):
    before = open_package(folder)
    card = dataclasses.replace(before.card, version="2")
    after = write_package(folder, card, before.weights_path, selftest=before.selftest_path)
    assert open_package(folder) == after
    assert after.card.version == "2"
    assert after.sha256 == before.sha256


def test_a_failed_write_leaves_the_old_package(folder, tmp_path):
    before = open_package(folder)
    write_safetensors(tmp_path / "other.safetensors", {"a": np.zeros(3, np.float32)})
    with pytest.raises(ModelError):
        write_package(folder, before.card, tmp_path / "other.safetensors")
    assert open_package(folder) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "other.safetensors"]


def test_a_folder_of_something_else_is_not_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_text("")
    with pytest.raises(ModelError, match="is not empty and is no model package"):
        write_package(tmp_path / "photos", read_card(BUNDLED / "model.yaml"), BUNDLED / "weights.safetensors")
    assert (tmp_path / "photos" / "me.jpg").exists()


def test_provenance_falls_back_to_the_onnx_file():
    values = read_card(BUNDLED / "model.yaml").to_dict()
    values["onnx"] = {"file": "model.onnx", "sha256": "a" * 64}
    del values["weights"]
    package = ModelPackage(ModelCard.from_dict(values), BUNDLED)
    assert package.sha256 == "a" * 64
    assert package.onnx_path == BUNDLED / "model.onnx"
    assert package.weights_path is None


def test_a_model_without_a_licence_says_so():
    card = dataclasses.replace(read_card(BUNDLED / "model.yaml"), licence="", attribution="")
    assert "no licence is stated" in ModelPackage(card, BUNDLED).licence_note


def test_only_safe_yaml_is_used():
    assert issubclass(yamlfile._Loader, yaml.SafeLoader)
