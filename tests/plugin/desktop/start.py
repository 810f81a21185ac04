"""What QGIS is told to run by --code: one of the stories in this folder, which its environment names."""

import importlib
import os

from play import Player

PLAYER = Player(importlib.import_module(os.environ["GEODETECT_STORY"]).story)  # lives as long as QGIS does
PLAYER.start()
