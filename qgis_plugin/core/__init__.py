"""What needs no QGIS: the engine's process and where it lives. Standard library only."""
