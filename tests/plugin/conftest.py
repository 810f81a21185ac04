"""Tests of the QGIS plugin: here those that need no QGIS; those in qgis/ run in QGIS's own Python, see there."""

collect_ignore = ["qgis", "desktop"]
