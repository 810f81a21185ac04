"""The plugin's translations: `python -m tools.translate` brings the .ts files up to the source, and says what lacks.

English is the source. A .ts file is Qt's XML, for Qt Linguist or a text editor; a text that is new in the source comes
in as unfinished, one that has left it goes, and `--check` changes nothing.
"""

from __future__ import annotations

import argparse
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

from tools.qm import compile_qm
from tools.source_strings import Text, gather

PLUGIN = Path(__file__).parents[1] / "qgis_plugin"
LANGUAGES = {"zh": "zh_CN"}  # file geodetect_zh.ts, and the language that it names to Qt
PLACES = re.compile(r"\{[^{}]*\}|%\w|</?\w+")  # what a translation must have as often as its source
# Chinese has no letters to underline, so that mnemonics follow in brackets: 检测(&D)
MNEMONIC = re.compile(r"&(?!&|\w+;)\w")


def main() -> int:
    """Update or check all languages; return the exit code."""
    parser = argparse.ArgumentParser(prog="tools.translate", description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="change no file")
    check = parser.parse_args().check
    texts = gather(PLUGIN)
    problems = list(texts.problems)
    for code, language in LANGUAGES.items():
        path = ts_path(code)
        known = read_ts(path) if path.exists() else {}
        if not check:
            known = merged(texts.found, known)
            write_ts(path, known, language)
        problems += [f"{path.name}: {problem}" for problem in faults(texts.found, known)]
    print("\n".join(problems) if problems else f"{len(texts.found)} texts, all translated")
    return 1 if problems else 0


def ts_path(code: str) -> Path:
    """Return where a language's translations are kept."""
    return PLUGIN / "i18n" / f"geodetect_{code}.ts"


def compiled(code: str) -> bytes:
    """Return a language's .qm; what is not translated is left out and shows in English."""
    known = read_ts(ts_path(code))
    return compile_qm({text: done for text, done in known.items() if done}, LANGUAGES[code])


def merged(found: set[Text], known: Mapping[Text, str]) -> dict[Text, str]:
    """Return the texts of the source with their translations, "" for none; an equal text elsewhere lends its own."""
    lent = {text.source: done for text, done in known.items()}
    return {text: known.get(text) or lent.get(text.source, "") for text in sorted(found)}


def faults(found: set[Text], known: Mapping[Text, str]) -> list[str]:
    """Return what a language lacks, keeps too long, or has wrong."""
    said = [f"no translation of {text.source!r} ({text.context})" for text in sorted(found) if not known.get(text)]
    said += [f"no longer in the source: {text.source!r} ({text.context})" for text in sorted(set(known) - found)]
    for text, done in sorted(known.items()):
        if done and Counter(PLACES.findall(text.source)) != Counter(PLACES.findall(done)):
            said.append(f"other placeholders or tags than {text.source!r}: {done!r}")
        if done and len(MNEMONIC.findall(text.source)) != len(MNEMONIC.findall(done)):
            said.append(f"another number of mnemonics than {text.source!r}: {done!r}")
    return said


def read_ts(path: Path) -> dict[Text, str]:
    """Return the texts of a .ts file with their translations, "" for those not finished."""
    known = {}
    for context in ElementTree.parse(path).iter("context"):
        for message in context.iter("message"):
            text = Text(context.findtext("name", ""), message.findtext("source", ""), message.findtext("comment", ""))
            translation = message.find("translation")
            finished = translation is not None and translation.get("type") is None
            known[text] = (translation.text or "") if translation is not None and finished else ""
    return known


def write_ts(path: Path, known: Mapping[Text, str], language: str) -> None:
    """Write a .ts file, sorted, so that a change of the source changes few lines."""
    root = ElementTree.Element("TS", version="2.1", language=language, sourcelanguage="en")
    for name, texts in groupby(sorted(known), key=lambda text: text.context):
        context = ElementTree.SubElement(root, "context")
        ElementTree.SubElement(context, "name").text = name
        for text in texts:
            message = ElementTree.SubElement(context, "message")
            ElementTree.SubElement(message, "source").text = text.source
            if text.comment:
                ElementTree.SubElement(message, "comment").text = text.comment
            translation = ElementTree.SubElement(message, "translation")
            if known[text]:
                translation.text = known[text]
            else:
                translation.set("type", "unfinished")
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n{body}\n', "utf-8", newline="\n")


if __name__ == "__main__":
    sys.exit(main())
