"""Work that must not hold up the window: done in a thread, its answer told in the window's own thread."""

from __future__ import annotations

import queue
import threading
from typing import Any, Callable

from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

LOOK = 20  # ms between looks for the answer

Work = Callable[[Callable[[], bool]], Any]


class Background(QObject):
    """Does one thing at a time; what was begun before is cancelled and its answer is not told.

    A plain thread, not a QgsTask: QGIS asks before it quits whether running tasks may be stopped, and these need no
    question. The thread knows of no Qt object, which may be gone before it ends: its answer is fetched.

    Attributes:
        answered: what `work` returned, or the exception that it raised.
    """

    answered = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self._thread: threading.Thread | None = None
        self._cancelled = threading.Event()
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK)
        self._timer.timeout.connect(self._fetch)

    @property
    def busy(self) -> bool:
        """Whether an answer is awaited."""
        return self._thread is not None

    def start(self, work: Work) -> None:
        """Do `work`, which is given a function that says whether it was cancelled."""
        self.stop()
        self._cancelled, self._answers = threading.Event(), queue.SimpleQueue()
        self._thread = threading.Thread(
            target=_do, args=(work, self._cancelled, self._answers), name="geodetect-background", daemon=True
        )
        self._thread.start()
        self._timer.start()

    def stop(self, seconds: float = 0.0) -> None:
        """Cancel, and wait so long for the end."""
        self._cancelled.set()
        self._timer.stop()
        thread, self._thread = self._thread, None
        if thread is not None and seconds:
            thread.join(seconds)

    def _fetch(self) -> None:
        try:
            answer = self._answers.get_nowait()
        except queue.Empty:
            return
        self.stop()
        self.answered.emit(answer)


def _do(work: Work, cancelled: threading.Event, answers: queue.SimpleQueue[Any]) -> None:
    try:
        answers.put(work(cancelled.is_set))
    except Exception as error:  # whatever it is, it belongs to who asked, not to this thread
        answers.put(error)
