"""Scripts for developers: the QGIS plugin's package, its checks and its translations. Run as `python -m tools.NAME`."""
