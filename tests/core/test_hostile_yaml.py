"""YAML that somebody else wrote: cards and settings, in bounded time and memory, with one error and its line."""

import contextlib
import copy
import datetime
import json
import math
import time

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_card import VALUES, changed

from geodetect.card import ModelCard
from geodetect.config import DetectConfig
from geodetect.errors import ConfigError, LabelError, ModelError
from geodetect.package import dump_card, read_card
from geodetect.yamlfile import MOST_BYTES, read_yaml

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(10**20, 10**30),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["yolov3", "plane", "../up", "C:\\x", "a" * 300, 1e308]),
    st.dates(),
)
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
FIELDS = [
    "name", "network", "network.family", "network.variant", "classes", "input", "input.size", "input.tile",
    "input.bands", "input.mean", "input.std", "input.resize", "input.fill", "input.gsd", "heads", "heads.anchors",
    "heads.strides", "heads.scale_xy", "version", "description", "licence", "metrics", "colours", "thresholds",
    "thresholds.score", "thresholds.iou", "thresholds.overlap", "weights", "weights.file", "weights.sha256", "onnx",
    "int8", "selftest", "source", "source.url", "source.file", "source.size", "source.sha256",
]  # fmt: skip


def lines(text, tmp_path, error=ModelError):
    path = tmp_path / "a.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(path, error)


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "line 2: aliases are not allowed"),
        ("a: &a {x: 1}\nb:\n  <<: *a", "line 3: aliases are not allowed"),
        ("b:\n  <<: {x: 1}", "line 2: merge keys are not allowed"),
        ("a: 1\nb: 2\na: 3", "line 3: a stands twice"),
        ("16: a\n0x10: b", "line 2: 0x10 stands twice"),
        ("a:\n  b: 1\n  b: 2", "line 3: b stands twice"),
        ("[" * 33 + "]" * 33, "line 1: values are nested deeper than 32 levels"),
        ("a: " + "[" * 5_000, "line 1: values are nested deeper than 32 levels"),
        ("- " * 5_000, "line 1: values are nested deeper than 32 levels"),
        ("x" * (MOST_BYTES + 1), "longer than 256 kB"),
        ("a: " + "9" * 5_000, "line 1: a number has too many digits"),
        ("a: 1" + ":1" * 5_000, "line 1: a number has too many digits"),
        ("a: 2001-02-31", "line 1: 2001-02-31 is no timestamp"),
        ("a: 2001-01-01 99:99:99", "is no timestamp"),
        ("a: !!timestamp soon", "line 1: soon is no timestamp"),
        ("a: !!int many", "line 1: many is no int"),
        ('a: !!int ""', "is no int"),
        ("a: !!bool maybe", "line 1: maybe is no bool"),
        ("a: !!float x", "line 1: x is no float"),
        ("a: !!map [b]", "expected a mapping"),
        ('a: "\\e[2J"', r"line 1: a text has the character '\\x1b'"),
        ('a: "\\ud800"', r"line 1: a text has the character '\\ud800'"),
        ('a: "\\0"', r"line 1: a text has the character '\\x00'"),
        ("a: !!python/object/apply:os.getcwd []", "line 1: could not determine a constructor"),
        ("a: 1\nb: \x00", "line 2: special characters are not allowed"),
        (b"a: \xff", "cannot be read as YAML"),
        ("a: 1\n---\nb: 2", "line 2: but found another document"),
    ],
)
@pytest.mark.parametrize("error", [ModelError, LabelError])
def test_what_is_refused_is_one_sentence_with_its_line(text, message, error, tmp_path):
    begun = time.perf_counter()
    with pytest.raises(error, match=message) as caught:
        lines(text, tmp_path, error)
    assert "a.yaml cannot be read as YAML (" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"k{i}:\n" for i in range(MOST_BYTES // 9)),
        "[" + "a," * (MOST_BYTES // 2 - 2) + "]",
        "{" + "a," * (MOST_BYTES // 2 - 2) + "}",
        "\n" * MOST_BYTES,
        "&a " * (MOST_BYTES // 3),
        '"' + "\\n" * (MOST_BYTES // 2 - 1) + '"',
    ],
    ids=["keys", "list", "equal keys", "lines", "anchors", "escapes"],
)
def test_no_file_within_the_limit_takes_long(text, tmp_path):
    begun = time.perf_counter()
    with contextlib.suppress(ModelError):
        lines(text, tmp_path)
    assert time.perf_counter() - begun < 60  # 5 s on an idle core; a reader of quadratic time took minutes


def test_plain_values_are_read_as_they_are_meant(tmp_path):
    text = "\ufeffa: [1, 2.5, yes, ~, x, 2001-02-03]\nb: {c: 'ä\\n', 1: \"\\t\"}"
    date = datetime.date(2001, 2, 3)
    assert lines(text, tmp_path) == {"a": [1, 2.5, True, None, "x", date], "b": {"c": "ä\\n", 1: "\t"}}
    assert lines("", tmp_path) is None


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    with contextlib.suppress(ModelError):
        lines(text if isinstance(text, bytes) else text.encode("utf-8", "replace"), tmp_path_factory.getbasetemp())


@given(value=PLAIN)
def test_whatever_is_written_comes_back_or_is_refused(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "value.yaml"
    path.write_text(yaml.safe_dump(value), encoding="utf-8", errors="replace")
    try:
        found = read_yaml(path, ModelError)
    except ModelError:
        return
    assert repr(found) == repr(yaml.safe_load(path.read_text("utf-8")))


@settings(max_examples=400)
@given(st.sampled_from(FIELDS), PLAIN)
@example("input.mean", [float("nan")] * 3)
@example("input.mean", [10**400] * 3)
@example("input.mean", [float("inf")] * 3)
@example("heads.anchors", [[[1, float("nan")]] * 3] * 2)
@example("heads.anchors", [[{1: 2, 3: 4}] * 3] * 2)
@example("source.url", 5)
@example("thresholds", None)
@example("network", None)
@example("input.size", 32 * 10**9)
@example("metrics", {1: "a", "b": 2})
@example("classes", "plane")
@example("classes", {"plane": 1})
def test_any_value_in_any_field_gives_a_usable_card_or_a_model_error(field, value):
    try:
        card = ModelCard.from_dict(changed(field, value), "here.yaml")
    except ModelError as error:
        assert str(error).startswith("here.yaml: ")
        return
    assert isinstance(card.classes, tuple)
    assert 32 <= card.input.size <= 8192
    assert 0 <= card.input.tile <= 8192
    assert all(0 < side < 1e7 for head in card.heads.anchors for size in head for side in size)
    assert all(map(math.isfinite, (*card.input.mean, *card.input.std, *(card.input.gsd or ()))))
    json.dumps(card.to_dict(), sort_keys=True, default=str)  # what journals keep
    assert dump_card(card)
    assert len(card.palette) == len(card.classes)
    hash(card.network)


@given(st.dictionaries(st.sampled_from([*VALUES, "x"]) | st.text(max_size=5), PLAIN, max_size=8) | PLAIN)
def test_any_mapping_is_a_card_or_a_model_error(values):
    with contextlib.suppress(ModelError):
        ModelCard.from_dict(values)


@pytest.mark.parametrize(
    "name",
    ["../up", "..", ".", "/etc/passwd", "a/b", "a\\b", "C:x", "C:\\x", "a\0b", "a\n", "con", "NUL.onnx", "com1.ckpt",
     "Aux .npz", "a.", "a ", "", ".hidden", "~root", "-x", "a" * 201],
)  # fmt: skip
@pytest.mark.parametrize("field", ["name", "weights.file", "onnx.file", "source.file"])
def test_no_name_in_a_card_leads_elsewhere_on_any_system(name, field):
    values = copy.deepcopy(VALUES) | {"onnx": {"file": "a.onnx", "sha256": "0" * 64}}
    section, _, last = field.rpartition(".")
    (values[section] if section else values)[last] = name
    with pytest.raises(ModelError):
        ModelCard.from_dict(values)


def test_a_card_with_a_bomb_is_refused(tmp_path):
    (tmp_path / "model.yaml").write_text(LAUGHS)
    with pytest.raises(ModelError, match="line 2: aliases"):
        read_card(tmp_path / "model.yaml")


def test_settings_with_a_bomb_are_refused(tmp_path):
    (tmp_path / "run.yaml").write_text(LAUGHS)
    with pytest.raises(ConfigError, match="line 2: aliases"):
        DetectConfig.from_yaml(tmp_path / "run.yaml")


@given(st.sampled_from([*DetectConfig.__dataclass_fields__, "x"]), PLAIN)
@example("gsd", "1e308")
@example("gsd", [])
@example("overlap", 10**400)
@example("max_gigapixels", float("nan"))
def test_any_setting_is_taken_or_a_config_error(name, value):
    with contextlib.suppress(ConfigError):
        DetectConfig.from_dict({name: value})
