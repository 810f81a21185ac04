"""Qt's compiled translations (.qm), written without Qt's tools, so that any Python can build the plugin.

The format is that of Qt's `lrelease` (qttools, src/linguist/shared/qm.cpp), the same in Qt 5 and 6: a table of hashes
of the source texts, sorted, each with the place of its message. Plural forms are not used by the plugin.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from tools.source_strings import Text

MAGIC = bytes.fromhex("3cb86418caef9c95cd211cbf60a1bddd")
LANGUAGE, HASHES, MESSAGES = 0xA7, 0x42, 0x69  # sections
END, TRANSLATION, SOURCE, CONTEXT, COMMENT = 1, 3, 6, 7, 8  # parts of a message


def compile_qm(translations: Mapping[Text, str], language: str) -> bytes:
    """Return the file's bytes; the same for the same translations, whatever their order."""
    messages = bytearray()
    places: list[tuple[int, int]] = []
    for text in sorted(translations):
        places.append((_hash(text), len(messages)))
        messages += _part(TRANSLATION, translations[text].encode("utf-16-be"))
        for tag, word in ((COMMENT, text.comment), (SOURCE, text.source), (CONTEXT, text.context)):
            messages += _part(tag, word.encode())
        messages.append(END)
    hashes = b"".join(struct.pack(">II", *place) for place in sorted(places))
    return MAGIC + _part(LANGUAGE, language.encode()) + _part(HASHES, hashes) + _part(MESSAGES, bytes(messages))


def _part(tag: int, data: bytes) -> bytes:
    return struct.pack(">BI", tag, len(data)) + data


def _hash(text: Text) -> int:
    """Return the ELF hash of source and comment; Qt keeps 0 for itself."""
    value = 0
    for byte in (text.source + text.comment).encode():
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ (high >> 24)) & ~high & 0xFFFFFFFF
    return value or 1
