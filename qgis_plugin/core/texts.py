"""Texts for the user that stand in `core`, which knows nothing of Qt: translated once the plugin has said by what."""

from __future__ import annotations

from typing import Callable

_by: list[Callable[[str, str], str]] = []


def use(translator: Callable[[str, str], str]) -> None:
    """Translate by this from now on: a function of context and text, such as `QCoreApplication.translate`."""
    _by[:] = [translator]


def translate(context: str, text: str) -> str:
    """Return a text in the user's language; in English where nothing translates."""
    return _by[0](context, text) if _by else text
