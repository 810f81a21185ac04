"""What is ended and closed when the plugin leaves QGIS: runs and windows of its algorithms, whoever began them."""

from __future__ import annotations

import time
from collections.abc import Collection

from qgis.core import QgsApplication, QgsTask
from qgis.gui import QgsProcessingAlgorithmDialogBase
from qgis.PyQt.QtCore import QCoreApplication, QEventLoop
from qgis.PyQt.QtWidgets import QApplication

TASK = "QgsProcessingAlgRunnerTask"
STEP = 0.02  # s between looks at the runs that are waited for


def end_runs(titles: Collection[str], seconds: float) -> bool:
    """Cancel the runs of algorithms and wait so long for their end; returns whether they did.

    Args:
        titles: the algorithms' names as users know them: what QGIS tells of a run is no more than that.
        seconds: an engine needs half of one.
    """
    for task in _runs(titles):
        task.cancel()
    end = time.monotonic() + seconds
    while _runs(titles):
        if time.monotonic() > end:
            return False
        # Not waitForFinished(): it keeps Python's lock, and so the task from ending.
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
        time.sleep(STEP)
    return True


def close_dialogs(ids: Collection[str]) -> None:
    """Close Processing's dialogs of algorithms."""
    for window in QApplication.topLevelWidgets():
        algorithm = window.algorithm() if isinstance(window, QgsProcessingAlgorithmDialogBase) else None
        if algorithm is not None and algorithm.id() in ids:
            window.close()


def _runs(titles: Collection[str]) -> list[QgsTask]:
    tasks = QgsApplication.taskManager().tasks()
    runs = [task for task in tasks if task.metaObject().className() == TASK]
    return [run for run in runs if any(title in run.description() for title in titles)]
