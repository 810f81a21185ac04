"""The results' columns: the contract with QGIS, scripts and later runs."""

from __future__ import annotations

LAYER = "detections"
RUNS = "geodetect_runs"

COLUMNS = {
    "id": "int64",  # from 1, by falling score
    "class": "object",  # the class's name
    "class_id": "int32",  # its place in the model's classes, from 0
    "score": "float32",  # 0..1
    "length_m": "float64",  # the box's longer side on the ground, m; null where the scene has no CRS
    "width_m": "float64",  # its shorter side
    "area_m2": "float64",
    "scene": "object",  # file name
    "model": "object",  # the package's name
    "run_id": "object",  # key into the table of runs
}
