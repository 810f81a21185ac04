"""Work that must not hold up the window: done in a thread, its answer told in the window's own thread."""

from __future__ import annotations

import threading
from typing import Any, Callable

from qgis.PyQt.QtCore import QObject, pyqtSignal

Work = Callable[[Callable[[], bool]], Any]


class Background(QObject):
    """Does one thing at a time; what was begun before is cancelled and its answer is not told.

    A plain thread, not a QgsTask: QGIS asks before it quits whether running tasks may be stopped, and these need no
    question.

    Attributes:
        answered: what `work` returned, or the exception that it raised.
    """

    answered = pyqtSignal(object)
    _came = pyqtSignal(object, object)

    def __init__(self) -> None:
        super().__init__()  # without a parent: a thread that is late must find it alive
        self._thread: threading.Thread | None = None
        self._cancelled = threading.Event()
        self._came.connect(self._tell)

    @property
    def busy(self) -> bool:
        """Whether an answer is awaited."""
        return self._thread is not None

    def start(self, work: Work) -> None:
        """Do `work`, which is given a function that says whether it was cancelled."""
        self._cancelled.set()
        cancelled = self._cancelled = threading.Event()

        def do() -> None:
            try:
                answer = work(cancelled.is_set)
            except Exception as error:  # whatever it is, it belongs to who asked, not to this thread
                answer = error
            if not cancelled.is_set():
                self._came.emit(cancelled, answer)

        self._thread = threading.Thread(target=do, name="geodetect-background", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = 0.0) -> None:
        """Cancel, and wait so long for the end."""
        self._cancelled.set()
        thread, self._thread = self._thread, None
        if thread is not None and seconds:
            thread.join(seconds)

    def _tell(self, asked: object, answer: object) -> None:
        if asked is self._cancelled and not self._cancelled.is_set():
            self._thread = None
            self.answered.emit(answer)
