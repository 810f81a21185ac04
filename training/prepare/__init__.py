"""From labelled images to a data set of tiles: `prepare(PrepareSettings(...))`."""

from training.prepare.report import Report
from training.prepare.run import prepare
from training.prepare.settings import PrepareSettings

__all__ = ["PrepareSettings", "Report", "prepare"]
