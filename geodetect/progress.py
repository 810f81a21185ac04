"""How a long run tells what it does."""

from __future__ import annotations


class Caution(str):
    """A note that the user must not miss: the result may not be what was wanted."""

    __slots__ = ()


class Reporter:
    """Receives what a run has to say; this one is silent, subclasses show it.

    `progress` may raise `Cancelled` to stop the run: it is called about ten times a second or once a batch,
    whichever is rarer, always from the thread that called the run.
    """

    def progress(self, stage: str, done: int, total: int, found: int = 0) -> None:
        """Receive that `done` of `total` units of a stage are finished and `found` objects seen so far."""

    def note(self, message: str) -> None:
        """Receive one sentence that the user should know, such as which bands were taken, or a `Caution`."""


SILENT = Reporter()
