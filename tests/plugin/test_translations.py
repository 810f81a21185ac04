"""The plugin's texts: all of them found in the source, all translated, compiled as Qt reads them."""

from __future__ import annotations

import pytest

from tools import translate
from tools.qm import compile_qm
from tools.source_strings import Text, gather


def test_every_text_is_translated():
    texts = gather(translate.PLUGIN)
    assert texts.problems == []
    assert translate.faults(texts.found, translate.read_ts(translate.ts_path("zh"))) == []


@pytest.fixture
def found(tmp_path):
    def search(**files: str) -> tuple[set[tuple[str, str]], list[str]]:
        for name, source in files.items():
            (tmp_path / f"{name}.py").write_text(source)
        texts = gather(tmp_path)
        return {(text.context, text.source) for text in texts.found}, texts.problems

    return search


def test_a_base_class_is_looked_up_under_its_subclasses(found):
    base = "class Base(QWidget):\n    def f(self): return self.tr('a')\n"
    other = "class Leaf(Middle):\n    def g(self): return self.tr('b')\nclass Middle(Base): pass\n"
    assert found(base=base, other=other)[0] == {("Base", "a"), ("Middle", "a"), ("Leaf", "a"), ("Leaf", "b")}


def test_functions_around_translate_name_the_context(found):
    a = "def tr(text): return QCoreApplication.translate('A', text)\ntr('one')\n"
    b = (
        "class B(X):\n    def tr(self, text):\n        return QCoreApplication.translate('Bee', text)\n"
        "    def f(self): return self.tr('two')\nclass C(B):\n    def g(self): return self.tr('three')\n"
        "tr('four')\nQCoreApplication.translate('D', 'five' if x else 'six')\n"
        "QT_TRANSLATE_NOOP('E', 'seven')\n"
    )
    assert found(a=a, b=b) == (
        {("A", "one"), ("Bee", "two"), ("Bee", "three"), ("A", "four"), ("D", "five"), ("D", "six"), ("E", "seven")},
        [],
    )


def test_a_context_that_is_the_objects_class(found):
    a = (
        "class A(X):\n    def tr(self, text):\n        return QCoreApplication.translate(type(self).__name__, text)\n"
        "    def f(self): return self.tr('one')\nclass B(A): pass\n"
    )
    assert found(a=a) == ({("A", "one"), ("B", "one")}, [])


@pytest.mark.parametrize("call", ["tr('x')", "_tr('x')", "dialog.tr('x')", "super().tr('x')"])
def test_a_text_must_have_a_known_context(found, call):
    assert found(a=f"x = {call}\n", b="def _tr(text): return translate('B', text)\n")[0] == set()
    assert found()[1] == ["a.py:1: not known where this text is looked up"]


@pytest.mark.parametrize("text", ["f'{x} planes'", "'a' + x", "'{} planes'.format(x)", "x", "'a' if x else y"])
def test_a_text_must_be_a_literal(found, text):
    texts, problems = found(a=f"class A(QObject):\n    def f(self): return self.tr({text})\n")
    assert (texts, problems) == (set(), ["a.py:2: a text to translate must be a plain literal"])


def test_comments_tell_equal_texts_apart(tmp_path):
    (tmp_path / "a.py").write_text("class A(QObject):\n    def f(self): return self.tr('Plane', 'geometry')\n")
    assert gather(tmp_path).found == {Text("A", "Plane", "geometry")}


def test_ts_file_keeps_what_it_is_given(tmp_path):
    known = {Text("A", "x < y & z"): "甲 < 乙 & 丙", Text("A", "b", "of ships"): "丁", Text("B", "new"): ""}
    translate.write_ts(tmp_path / "x.ts", known, "zh_CN")
    assert translate.read_ts(tmp_path / "x.ts") == known


def test_new_texts_come_old_ones_go_equal_ones_lend():
    known = {Text("A", "Cancel"): "取消", Text("A", "gone"): "去"}
    found = {Text("A", "Cancel"), Text("B", "Cancel"), Text("B", "new")}
    merged = translate.merged(found, known)
    assert merged == {Text("A", "Cancel"): "取消", Text("B", "Cancel"): "取消", Text("B", "new"): ""}
    assert translate.faults(found, merged) == ["no translation of 'new' (B)"]
    assert translate.faults(set(), known)[0] == "no longer in the source: 'Cancel' (A)"


@pytest.mark.parametrize(
    ("source", "good", "bad"),
    [
        ("{done} of {total} tiles", "共 {total} 块，已完成 {done} 块", "共 {total} 块"),
        ("&Detect", "检测(&D)", "检测"),
        ("<b>Planes</b>", "<b>飞机</b>", "飞机"),
        ("%1 found", "找到 %1 个", "找到 {} 个"),
        ("R&D && more &amp; &lt;", "甲(&D) && 乙 &amp; &lt;", "甲 && 乙"),
    ],
)
def test_a_translation_keeps_placeholders_tags_and_mnemonics(source, good, bad):
    text = Text("A", source)
    assert translate.faults({text}, {text: good}) == []
    assert translate.faults({text}, {text: bad})


def test_compiled_bytes_are_those_of_lrelease():
    known = {
        Text("Engine", "Install it in the settings."): "请在设置中安装。",
        Text("B", "x&y <b>"): "丙",
        Text("B", "x&y <b>", "second"): "丁",
    }
    # made with Qt 5.15's lrelease from the same texts
    assert compile_qm(known, "zh_CN").hex() == LRELEASE
    assert compile_qm(dict(reversed(known.items())), "zh_CN").hex() == LRELEASE


LRELEASE = (
    "3cb86418caef9c95cd211cbf60a1bddda7000000057a685f434e42000000180adb422e000000000b87a9ae000000440f40e8"
    "740000001f690000008a03000000024e1908000000000600000007782679203c623e0700000001420103000000024e010800"
    "0000067365636f6e640600000007782679203c623e0700000001420103000000108bf757288bbe7f6e4e2d5b8988c5300208"
    "00000000060000001b496e7374616c6c20697420696e207468652073657474696e67732e0700000006456e67696e6501"
)
