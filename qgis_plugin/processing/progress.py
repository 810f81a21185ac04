"""What the engine says while it works, as Processing shows it."""

from __future__ import annotations

from typing import Any, Callable

from qgis.core import QgsProcessingFeedback
from qgis.PyQt.QtCore import QCoreApplication

SPANS = {  # stage: the part of the progress bar that it moves through, %
    "download": (0, 100),
    "detect": (0, 100),
    "look": (0, 10),
    "prepare": (10, 100),
}
STEP = 10  # %: a text is a line of the log, and a scene may have ten thousand tiles


class Listener:
    """Hands on the engine's messages to a feedback."""

    def __init__(self, feedback: QgsProcessingFeedback, in_plain_words: Callable[[str], str]) -> None:
        self._feedback = feedback
        self._in_plain_words = in_plain_words
        self._told: tuple[str, int] = ("", -1)
        self._hear = getattr(feedback, "hear", None)  # the dock's feedback wants every message as it comes

    def __call__(self, message: dict[str, Any]) -> None:
        """Take one message."""
        if self._hear is not None:
            self._hear(message)
        kind = message["type"]
        if kind == "progress":
            self._progress(**{key: message.get(key, 0) for key in ("stage", "done", "total", "found")})
        elif kind == "note":
            note = _sentence(self._in_plain_words(str(message.get("message", ""))))
            tell = self._feedback.pushWarning if message.get("caution") else self._feedback.pushInfo
            tell(note)
        elif kind == "log":
            self._feedback.pushDebugInfo(str(message["message"]))
        elif kind == "hello":
            told = _tr("Engine: geodetect {version}, Python {python}")
            self._feedback.pushDebugInfo(told.format(version=message.get("geodetect"), python=message.get("python")))

    def _progress(self, stage: str, done: int, total: int, found: int) -> None:
        if stage not in SPANS:
            return
        first, last = SPANS[stage]
        share = done / total if total else 0.0
        self._feedback.setProgress(first + (last - first) * share)
        step = int(share * 100 / STEP)
        if (stage, step) != self._told:
            self._told = (stage, step)
            self._feedback.setProgressText(_text(stage, done, total, found))


def _text(stage: str, done: int, total: int, found: int) -> str:
    if stage == "download":
        told = _tr("Downloading the model: {done} of {total} MB")
        return told.format(done=round(done / 1e6), total=round(total / 1e6))
    told = {
        "detect": _tr("Tile {done} of {total}, {found} found"),
        "look": _tr("Looking at image {done} of {total}"),
        "prepare": _tr("Cutting: tile {done} of {total}"),
    }[stage]
    return told.format(done=done, total=total, found=found)


def _sentence(note: str) -> str:
    """Return a note with a capital and a full stop; the engine writes some without."""
    return note[:1].upper() + note[1:] + ("" if note.endswith((".", "!", "?")) else ".")


def _tr(text: str) -> str:
    return QCoreApplication.translate("Listener", text)
