"""Models by name, by file and by download."""

from __future__ import annotations

import dataclasses
import functools
import http.server
import shutil
import socketserver
import threading

import numpy as np
import pytest

from geodetect import registry
from geodetect.card import ModelCard, Source
from geodetect.checksum import file_sha256
from geodetect.errors import DownloadError, GeodetectError, ModelError
from geodetect.networks.graphs import to_onnx
from geodetect.networks.parameters import read_parameters
from geodetect.package import dump_card, open_package, read_card
from geodetect.registry import BUILT_IN
from geodetect.selftest import verify

TINY = "planes-ships-yolov3-tiny"
WEIGHTS = BUILT_IN / TINY / "weights.safetensors"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GEODETECT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def card() -> ModelCard:
    return read_card(BUILT_IN / TINY / "model.yaml").holding()


@pytest.fixture
def published(tmp_path, monkeypatch, card):
    """A built-in model `small` whose weights, as a training run leaves them, a server on this machine offers."""
    parameters = read_parameters(WEIGHTS)
    stored = {f"yolo_network.{name}": array for name, array in parameters.items()}
    stored |= {"moments.yolo_network.feature_map.head1.bias": np.zeros(21, np.float32), "global_step": np.int32([7])}
    (tmp_path / "site").mkdir()
    np.savez(tmp_path / "site" / "0-320_1.npz", **stored)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "site"))
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with socketserver.TCPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        source = Source(f"http://127.0.0.1:{server.server_address[1]}/0-320_1.npz", "0-320_1.npz", size=35_000_000)
        add(tmp_path / "built_in" / "small", dataclasses.replace(card, name="small", source=source))
        monkeypatch.setattr(registry, "BUILT_IN", tmp_path / "built_in")
        yield tmp_path / "site" / "0-320_1.npz"
        server.shutdown()


def add(folder, card: ModelCard, weights: bool = False) -> None:
    """Write a package's folder as it is, sound or not."""
    folder.mkdir(parents=True)
    if weights:
        shutil.copy(WEIGHTS, folder)
        card = dataclasses.replace(card, weights=read_card(BUILT_IN / TINY / "model.yaml").weights)
    (folder / "model.yaml").write_text(dump_card(card), encoding="utf-8")


def test_the_catalogue_lists_what_geodetect_comes_with():
    entries = {entry.name: entry for entry in registry.catalogue()}
    assert list(entries) == [TINY, "yolov3-dota15", "yolov4-dota15"]
    assert [entry.state for entry in entries.values()] == ["bundled", "not downloaded", "not downloaded"]
    assert entries[TINY].size > WEIGHTS.stat().st_size
    assert entries["yolov4-dota15"].family == "yolov4"


def test_every_built_in_model_is_named_as_its_folder():
    assert all(entry.card and entry.card.name == entry.name for entry in registry.catalogue())


def test_an_installed_model_hides_the_built_in_one_of_its_name(home, card):
    add(home / "models" / TINY, dataclasses.replace(card, version="9"), weights=True)
    entry = registry.lookup(TINY)
    assert (entry.state, entry.root) == ("installed", home / "models" / TINY)


def test_a_broken_model_is_listed_and_says_why(home):
    (home / "models" / "mine").mkdir(parents=True)
    (home / "models" / "mine" / "model.yaml").write_text("nme: mine")
    entry = registry.lookup("mine")
    assert entry.state == "broken"
    assert "did you mean name?" in entry.problem
    with pytest.raises(ModelError, match="did you mean name"):
        registry.resolve("mine")


def test_a_package_being_written_is_not_listed(home, card):
    add(home / "models" / ".mine-x1", card)
    assert len(registry.catalogue()) == 3


def test_home_is_the_systems_place_unless_told(monkeypatch, tmp_path):
    assert registry.home() == tmp_path / "home"
    monkeypatch.delenv("GEODETECT_HOME")
    assert registry.home().name == "geodetect"


@pytest.mark.parametrize("name", [TINY, "yolov3-tiny"])
def test_resolves_a_name_and_a_family(name):
    assert registry.resolve(name).card.name == TINY


def test_a_family_means_installed_before_bundled_then_the_higher_version(home, card):
    for name, version in (("a", "0.9"), ("b", "0.10"), ("c", "0.2")):
        add(home / "models" / name, dataclasses.replace(card, name=name, version=version), weights=True)
    assert registry.resolve("yolov3-tiny").card.name == "b"


def test_a_broken_model_never_stands_for_its_family(home, card):
    add(home / "models" / "mine", dataclasses.replace(card, version="9"))
    assert registry.resolve("yolov3-tiny").card.name == TINY


def test_resolves_a_folder_and_the_card_in_it(tmp_path):
    folder = shutil.copytree(BUILT_IN / TINY, tmp_path / "my model")
    assert registry.resolve(folder) == registry.resolve(folder / "model.yaml") == open_package(folder)


def test_a_name_wins_over_a_folder_of_that_name(tmp_path, monkeypatch, card):
    add(tmp_path / "yolov3-tiny", dataclasses.replace(card, name="mine"), weights=True)
    monkeypatch.chdir(tmp_path)
    assert registry.resolve("yolov3-tiny").card.name == TINY
    assert registry.resolve("./yolov3-tiny").card.name == "mine"


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_resolves_a_file_with_its_card(tmp_path, suffix):
    file = tmp_path / f"mine{suffix}"
    if suffix == ".npz":
        np.savez(file, **read_parameters(WEIGHTS))
    else:
        shutil.copy(WEIGHTS, file)
    package = registry.resolve(file, BUILT_IN / TINY / "model.yaml")
    assert package.weights_path == file
    assert package.sha256 == file_sha256(file)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("yolov4-dota51", "no model is called yolov4-dota51, did you mean yolov4-dota15 or .*`geodetect models list`"),
        ("xyz", "no model is called xyz; `geodetect models list` shows all, or give the folder of a model package"),
        (".", "is no model package: it has no model.yaml"),
        (WEIGHTS, r"weights.safetensors does not say what it detects; give its card with --card model.yaml"),
    ],
)
def test_an_unknown_model_is_one_sentence(model, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=message):
        registry.resolve(model)


def test_a_file_with_the_card_of_another_model_is_refused():
    with pytest.raises(ModelError, match=r"weights.safetensors"):
        registry.resolve(WEIGHTS, BUILT_IN / "yolov4-dota15" / "model.yaml")


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "a.pth").write_text("")
    with pytest.raises(ModelError, match=r"a.pth is of a kind that is not read, one of .safetensors"):
        registry.resolve(tmp_path / "a.pth", BUILT_IN / TINY / "model.yaml")


def test_first_use_downloads_converts_and_installs(published, home):
    told = []
    package = registry.resolve("small", progress=lambda *step: told.append(step))
    assert package == open_package(home / "models" / "small")
    assert told[-1] == (published.stat().st_size,) * 2
    expected = read_parameters(WEIGHTS)
    found = read_parameters(package.weights_path)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    assert package.card.source.sha256 == file_sha256(published)
    assert not list((home / "downloads").rglob("*.npz"))
    assert registry.lookup("small").state == "installed"
    published.unlink()
    assert registry.pull("small") == registry.resolve("small") == package


def test_the_original_is_kept_on_request(published, home):
    registry.pull("small", keep_original=True)
    assert file_sha256(home / "downloads" / "small" / "0-320_1.npz") == file_sha256(published)


def test_a_dead_link_is_one_sentence_that_says_what_to_do(published, home):
    published.unlink()
    with pytest.raises(DownloadError) as caught:
        registry.resolve("small")
    message = str(caught.value)
    assert message.startswith("0-320_1.npz, the weights of small, cannot be downloaded: http://127.0.0.1:")
    assert message.endswith("run: geodetect models import 0-320_1.npz --as small")
    assert "404" in message
    assert "\n" not in message
    assert not (home / "models").exists()


def test_a_download_that_is_no_checkpoint_is_not_installed(published):
    published.write_text("<html>This bucket has moved</html>")
    with pytest.raises(ModelError, match=r"0-320_1.npz"):
        registry.pull("small")
    assert registry.lookup("small").state == "not downloaded"


def test_a_broken_install_is_fetched_again(published, home):
    (registry.pull("small").weights_path).unlink()
    assert registry.lookup("small").state == "broken"
    assert registry.pull("small") == open_package(home / "models" / "small")


@pytest.mark.parametrize("name", ["nothing", "../geodetect", ""])
def test_only_built_in_models_can_be_pulled(name):
    with pytest.raises(GeodetectError):
        registry.pull(name)
    with pytest.raises(ModelError):
        registry.built_in_card(name)


def test_importing_in_half_precision_rounds_and_records(tmp_path, card):
    parameters = read_parameters(WEIGHTS)
    parameters["feature_map.head1.bias"] += 1e-5
    np.savez(tmp_path / "mine.npz", **parameters)
    package = registry.import_file(tmp_path / "mine.npz", card, tmp_path / "out", "float16")
    assert package.root == tmp_path / "out"
    assert package.weights_path.stat().st_size < 18_000_000
    found = read_parameters(package.weights_path)["feature_map.head1.bias"]
    np.testing.assert_array_equal(found, parameters["feature_map.head1.bias"].astype(np.float16))


def test_importing_the_same_file_gives_the_same_package(tmp_path, card):
    for folder in ("one", "two"):
        registry.import_file(WEIGHTS, card, tmp_path / folder, "float16")
    for name in ("model.yaml", "weights.safetensors"):
        assert file_sha256(tmp_path / "one" / name) == file_sha256(tmp_path / "two" / name)
    assert file_sha256(tmp_path / "one" / "weights.safetensors") == file_sha256(WEIGHTS)


def test_weights_that_half_precision_cannot_hold_keep_their_values(tmp_path, card):
    parameters = read_parameters(WEIGHTS)
    parameters["feature_map.head1.bias"][0] = 1e6
    np.savez(tmp_path / "mine.npz", **parameters)
    package = registry.import_file(tmp_path / "mine.npz", card, tmp_path / "out", "float16")
    assert read_parameters(package.weights_path)["feature_map.head1.bias"][0] == 1e6


def test_importing_a_folder_copies_the_package(tmp_path, home):
    folder = shutil.copytree(BUILT_IN / TINY, tmp_path / "from a colleague")
    package = registry.import_package(folder)
    assert package.root == home / "models" / TINY
    assert package.card == open_package(folder).card


def test_an_onnx_file_of_one_size_is_imported_and_tested_at_that_size(tmp_path, monkeypatch, card):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("geodetect.engines._choose", lambda *_: "onnxruntime")
    card = dataclasses.replace(card, input=dataclasses.replace(card.input, size=128))
    network, shape = card.network, (1, 3, 128, 128)
    to_onnx(network.family, network.variant, read_parameters(WEIGHTS), tmp_path / "mine.onnx", shape=shape)
    package = registry.import_file(tmp_path / "mine.onnx", card, tmp_path / "out")
    assert verify(package.root).passed
    with np.load(package.selftest_path) as file:
        assert file["pixels"].shape == (3, 128, 128)


def test_a_card_is_known_before_anything_is_fetched(published, home):
    assert registry.card_of("small").name == "small"
    assert registry.card_of("anything.ckpt", BUILT_IN / TINY / "model.yaml").name == TINY
    assert not home.exists()
    with pytest.raises(ModelError, match="no model is called xyz"):
        registry.card_of("xyz")
    with pytest.raises(ModelError, match="does not say what it detects"):
        registry.card_of(WEIGHTS)


def test_a_file_that_only_import_reads_says_so(tmp_path):
    (tmp_path / "a.weights").write_bytes(b"")
    with pytest.raises(ModelError, match="`geodetect models import` converts it"):
        registry.resolve(tmp_path / "a.weights", BUILT_IN / TINY / "model.yaml")
