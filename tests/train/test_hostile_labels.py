"""Labels, settings and images that somebody else made: objects or a LabelError, in bounded time."""

import contextlib
import json
import struct
import time
import zlib

import numpy as np
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from geodetect.errors import ConfigError, LabelError
from training.data.images import check_images, read_image
from training.labels import folders, read_labels
from training.labels.labelled import REACH
from training.run.config import TrainConfig
from training.run.settings import CONFIGS, read_settings

BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
WORDS = st.sampled_from(
    ["1", "0", "-1", "1e400", "nan", "-inf", "1e300", "9" * 5_000, "plane", "٣", "0.5", "1_000", "0x1", "\x1b[2J", "\0",
     "gsd:", "gsd:nan", "gsd:1e400", "imagesource:x", "1e9", "1e10", "2", "x" * 300]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([10**30, 10**400, 1e308, "a.png", "x" * 5_000, "../a.png", "\ud800", "\0", ".", "..", "/", 10**9])
    | st.sampled_from([[0, 0, 9, 9], [1e308] * 4, [10**400] * 4, [1e9] * 4, [0, 0, -1, 1], [5, 5, 10**9, 10**9]]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)  # fmt: skip


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 64)).save(path)
    return path


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """A folder for each kind of labels, with one image."""
    root = tmp_path_factory.mktemp("sets")
    picture(root / "dota" / "images" / "a.png")
    (root / "dota" / "labelTxt").mkdir()
    picture(root / "yolo" / "images" / "a.png")
    (root / "yolo" / "labels").mkdir()
    (root / "yolo" / "classes.txt").write_text("plane\nship\n")
    picture(root / "coco" / "a.png")
    return root


def usable(found):
    """Check what the rest of the program takes for granted."""
    for image in found.images:
        assert np.isfinite(image.corners).all()
        assert (np.abs(image.corners) <= REACH).all()
        assert image.gsd is None or 0 < image.gsd < np.inf
        "".join(image.names.tolist()).encode()


LINES = st.lists(st.lists(WORDS, max_size=11).map(" ".join), max_size=3) | st.lists(
    st.tuples(st.lists(st.sampled_from("0123456789"), min_size=8, max_size=8), st.lists(WORDS, max_size=2)).map(
        lambda parts: " ".join([*parts[0], *parts[1]])
    ),
    max_size=3,
)


@settings(max_examples=300)
@given(st.binary(max_size=60) | LINES.map(lambda lines: "\n".join(lines).encode()))
@example(b"1 1 2 2 3 3 4 " + b"9" * 400 + b" plane 0")
def test_any_text_is_dota_or_a_label_error(sets, text):
    (sets / "dota" / "labelTxt" / "a.txt").write_bytes(text)
    with contextlib.suppress(LabelError):
        usable(read_labels([sets / "dota"], kind="dota"))


FRACTIONS = st.lists(st.sampled_from(["0.5", "0.1", "1.5", "-0.5"]) | WORDS, max_size=9)
BOXES = st.tuples(st.sampled_from(["0", "1", "2", "٣", "²", "9" * 5_000, "-1"]), FRACTIONS)


@settings(max_examples=300)
@given(st.binary(max_size=60) | st.lists(BOXES, max_size=3).map(
    lambda boxes: "\n".join(" ".join([number, *words]) for number, words in boxes).encode()))  # fmt: skip
@example(b"9" * 5_000 + b" 0.5 0.5 0.1 0.1")
def test_any_text_is_yolo_or_a_label_error(sets, text):
    (sets / "yolo" / "labels" / "a.txt").write_bytes(text)
    with contextlib.suppress(LabelError):
        usable(read_labels([sets / "yolo"], kind="yolo"))


def coco(**changes):
    """Return a good file's content; `images__id=5` changes a field of the first image."""
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"id": 5, "image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 7, "name": "plane"}],
    }
    for key, value in changes.items():
        section, _, field = key.partition("__")
        if field:
            content[section][0][field] = value
        else:
            content[section] = value
    return content


FIELDS = [
    "images", "annotations", "categories", "images__id", "images__file_name", "images__width", "images__height",
    "images__gsd", "annotations__id", "annotations__image_id", "annotations__category_id", "annotations__bbox",
    "annotations__iscrowd", "annotations__ignore", "categories__id", "categories__name",
]  # fmt: skip


@settings(max_examples=500)
@given(st.dictionaries(st.sampled_from(FIELDS[3:]), JSON, min_size=1, max_size=3)
       | st.dictionaries(st.sampled_from(FIELDS[:3]), JSON, max_size=2))  # fmt: skip
@example({"images__id": []})
@example({"annotations__image_id": {}})
@example({"annotations__category_id": [7]})
@example({"annotations__id": 10**30})
@example({"annotations__bbox": [0, 0, 10**400, 1]})
@example({"annotations__bbox": [1e308, 0, 1e308, 1]})
@example({"images__gsd": float("nan")})
@example({"images__gsd": -1})
@example({"images__file_name": "x" * 5_000})
@example({"categories__name": "\ud800"})
@example({"categories__name": "x" * 100_000})
def test_any_content_is_coco_or_a_label_error(sets, changes):
    with contextlib.suppress(ValueError):  # Python writes no number of 5,000 digits
        text = json.dumps(coco(**changes))
        (sets / "coco" / "train.json").write_text(text)
        with contextlib.suppress(LabelError):
            usable(read_labels([sets / "coco" / "train.json"], kind="coco"))


@given(JSON)
def test_any_json_is_coco_or_a_label_error(sets, value):
    with contextlib.suppress(ValueError):
        (sets / "coco" / "train.json").write_text(json.dumps(value))
        with pytest.raises(LabelError):
            read_labels([sets / "coco" / "train.json"], kind="coco")


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 100_000, "9" * 10_000, '{"images": NaN}', "", "\ud800"])
def test_json_made_to_crash_its_reader(sets, text):
    (sets / "coco" / "train.json").write_text(text, errors="surrogatepass")
    with pytest.raises(LabelError) as caught:
        read_labels([sets / "coco" / "train.json"], kind="coco")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../../private.png", "{outside}", "images/../../../private.png"])
def test_coco_names_no_image_outside_of_its_data_set(name, tmp_path):
    outside = picture(tmp_path / "private.png")
    data = tmp_path / "download" / "data"
    picture(data / "images" / "a.png")
    content = coco(images=[{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": name.format(outside=outside)}])
    (data / "annotations").mkdir()
    (data / "annotations" / "train.json").write_text(json.dumps(content))
    with pytest.raises(LabelError, match=r"lies outside|is missing"):
        read_labels([data])
    content["images"][1]["file_name"] = str(picture(data / "images" / "b.png"))  # by its whole path, but inside
    (data / "annotations" / "train.json").write_text(json.dumps(content))
    assert len(read_labels([data]).images) == 2


@pytest.mark.parametrize("name", ["../images/a.png", "../images/../images/a.png"])
def test_coco_may_name_images_beside_its_own_folder(name, tmp_path):
    picture(tmp_path / "images" / "a.png")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "train.json").write_text(json.dumps(coco(images__file_name=name)))
    (image,) = read_labels([tmp_path / "annotations" / "train.json"]).images
    assert "/" not in image.name


def test_images_from_elsewhere_are_told_of(tmp_path):
    data, away = tmp_path / "data", tmp_path / "away"
    picture(away / "a.png")
    data.mkdir()
    (data / "data.yaml").write_text(yaml.safe_dump({"names": ["plane"], "train": str(away)}))
    assert f"images are read from {away}, outside of {data}, as data.yaml says" in read_labels([data]).notes
    picture(data / "images" / "a.png")
    (data / "data.yaml").write_text("names: [plane]\ntrain: images")
    assert read_labels([data]).notes == ()


@given(
    st.dictionaries(st.sampled_from(["names", "path", "val", "nc"]), JSON, max_size=4),
    st.sampled_from(["images", 5, None]),
)
@example({"names": {0: "a", "x": "b"}}, "images")
@example({"names": {True: "a", 0: "b"}}, "images")
@example({"names": ["a"], "path": "x" * 5_000}, "images")
def test_any_data_yaml_is_read_or_a_label_error(sets, content, train):
    content = {key: value for key, value in content.items() if key != "val"} | ({"train": train} if train else {})
    try:
        text = yaml.safe_dump(content).encode("utf-8", "replace")
    except (ValueError, yaml.YAMLError):
        return
    (sets / "yolo" / "data.yaml").write_bytes(text)
    try:
        with contextlib.suppress(LabelError):
            read_labels([sets / "yolo" / "data.yaml"])
    finally:
        (sets / "yolo" / "data.yaml").unlink()
        (sets / "yolo" / "labels" / "a.txt").unlink(missing_ok=True)


def test_yaml_bombs_in_data_yaml_and_settings(sets, tmp_path):
    (sets / "yolo" / "data.yaml").write_text(BOMB)
    with pytest.raises(LabelError, match=r"data\.yaml cannot be read as YAML \(line 2: aliases are not allowed\)"):
        read_labels([sets / "yolo" / "data.yaml"])
    (sets / "yolo" / "data.yaml").unlink()
    (tmp_path / "run.yaml").write_text(BOMB)
    with pytest.raises(ConfigError, match=r"run\.yaml cannot be read as YAML \(line 2: aliases are not allowed\)"):
        read_settings(tmp_path / "run.yaml")


@pytest.mark.parametrize("recipe", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_what_a_run_writes_can_be_read_again(recipe, tmp_path):
    config = TrainConfig.from_yaml(recipe)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config.to_dict()), encoding="utf-8")
    assert TrainConfig.from_yaml(tmp_path / "config.yaml") == config


def test_objects_all_in_one_place_are_refused_in_time(sets):
    text = "0 0 9 0 9 9 0 9 plane 0\n"
    (sets / "dota" / "labelTxt" / "a.txt").write_text(text * 20_000)
    begun = time.perf_counter()
    with pytest.raises(LabelError, match="more than 10,000,000 pairs of its 20,000 objects overlap"):
        read_labels([sets / "dota"], kind="dota")
    assert time.perf_counter() - begun < 60
    (sets / "dota" / "labelTxt" / "a.txt").write_text(text * 500)
    (note,) = read_labels([sets / "dota"], kind="dota").notes
    assert note.startswith("499 objects")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0 9 0 9 9 0 1e300 plane 0", "line 2: a corner lies beyond 1,000,000,000 px"),
        ("0 0 9 0 9 9 0 1e10 plane 0", "line 2: a corner lies beyond 1,000,000,000 px"),
        (f"0 0 9 0 9 9 0 9 {'x' * 300} 0", "line 2: the class is a text of 300 characters, at most 200 can be"),
        ("0 0 9 0 9 9 0 9 pl\x1b[2Jane 0", r"line 2: the class 'pl\\x1b\[2Jane' has the character '\\x1b'"),
    ],
)
def test_objects_that_cannot_be_are_told_with_their_line(sets, line, message):
    (sets / "dota" / "labelTxt" / "a.txt").write_text(f"gsd:0.5\n{line}\n")
    with pytest.raises(LabelError, match=message) as caught:
        read_labels([sets / "dota"], kind="dota")
    assert "\x1b" not in str(caught.value)


def test_a_label_file_beyond_the_limit_is_refused_unread(sets, monkeypatch):
    (sets / "dota" / "labelTxt" / "a.txt").write_text("0 0 9 0 9 9 0 9 plane 0\n")
    assert len(read_labels([sets / "dota"], kind="dota").images[0]) == 1
    monkeypatch.setattr(folders, "_MOST_TEXT", 20)
    with pytest.raises(LabelError, match="at most 0 MB are read; divide it"):
        read_labels([sets / "dota"], kind="dota")


def png(width, height):
    """Return the few bytes of a PNG that claims to be of any size."""

    def chunk(kind, data):  # fmt: skip
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def test_an_image_that_claims_gigapixels_is_refused_before_it_is_decoded(tmp_path):
    (tmp_path / "a.png").write_bytes(png(100_000, 100_000))
    with pytest.raises(LabelError, match=r"has 100,000 x 100,000 px, at most 1,000,000,000 px can be trained with"):
        read_image(tmp_path / "a.png", 0)
    with pytest.raises(LabelError, match="geodetect prepare"):
        check_images(tmp_path, ["a.png"], to_train=True)
    (tmp_path / "b.png").write_bytes(png(20_000, 20_000))
    assert check_images(tmp_path, ["b.png"]).tolist() == [[20_000, 20_000]]  # a scene is no attack


@pytest.mark.parametrize("model", ["a" * 5_000, "a\0b", "../" * 100 + "x"])
def test_a_source_of_any_name_is_unknown(model):
    from geodetect.errors import ModelError
    from training.source import open_source

    with pytest.raises(ModelError):
        open_source(model)
