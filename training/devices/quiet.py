"""Keeping MindSpore's own log lines off the terminal where ours say the same in one sentence."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def hushed(level: int = logging.ERROR) -> Iterator[None]:
    """Drop the log lines of this process up to a level; MindSpore's Python side logs as everybody does."""
    before = logging.root.manager.disable
    logging.disable(max(level, before))
    try:
        yield
    finally:
        logging.disable(before)
