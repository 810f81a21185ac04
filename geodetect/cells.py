"""Text in tables that people open with a spreadsheet."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_SKIPPED = "\"'`\\s\\x00-\\x1f\\u200b\\ufeff"  # what a spreadsheet may drop before it looks for a formula
_FORMULA = "=+\\-@＝＋－＠"  # the wide ones count where East Asian text is typed
# A cell begins with the text; or after a semicolon, where that parts columns, as in much of Europe; or on a new line.
_DANGER = re.compile(f"(?:^|(?<=[;\\t\\r\\n]))(?=[{_SKIPPED}]*[{_FORMULA}])|^(?=[{_SKIPPED}]*[\\t\\r\\n])")


def plain_cell(text: str) -> str:
    """Return the text with an apostrophe before whatever a spreadsheet would take for a formula.

    Texts that differ stay different, and a plain number stays one: ``-5`` is no formula.
    """
    return text if _NUMBER.fullmatch(text) else _DANGER.sub("'", text)
