"""What is ended and closed when the plugin leaves QGIS: runs and windows of its algorithms, whoever began them."""

from __future__ import annotations

from collections.abc import Collection

from qgis.core import QgsApplication, QgsTask
from qgis.gui import QgsProcessingAlgorithmDialogBase
from qgis.PyQt.QtWidgets import QApplication

from .waiting import wait_until

TASK = "QgsProcessingAlgRunnerTask"


def end_runs(titles: Collection[str], seconds: float) -> bool:
    """Cancel the runs of algorithms and wait so long for their end; returns whether they did.

    Args:
        titles: the algorithms' names as users know them: what QGIS tells of a run is no more than that.
        seconds: an engine needs half of one.
    """
    for task in _runs(titles):
        task.cancel()
    return wait_until(lambda: not _runs(titles), seconds)


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
