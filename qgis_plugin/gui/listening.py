"""Listening to layers, which may be removed at any time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Callable


def listen(pairs: Iterable[tuple[Any, Callable[..., None]]], on: bool) -> None:
    """Connect a layer's signals with slots, or disconnect them; one that is being removed has let go itself."""
    for signal, slot in pairs:
        if on:
            signal.connect(slot)
            continue
        try:
            signal.disconnect(slot)
        except (RuntimeError, TypeError):
            return
