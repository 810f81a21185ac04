"""Where the engine lives, and an environment for it that is free of QGIS's own Python, GDAL, PROJ and Qt."""

from __future__ import annotations

import os
from collections.abc import Mapping

# What QGIS, its launchers and the user's shells set for their own libraries, and what would lead the engine's astray:
# PYTHONHOME and PYTHONPATH replace its packages, PYTHONEXECUTABLE breaks its virtual environment even with -I,
# PROJ_LIB and GDAL_DATA are of another version, LD_LIBRARY_PATH brings other libraries of the same name.
_PYTHON = """PYTHONHOME PYTHONPATH PYTHONEXECUTABLE PYTHONSTARTUP PYTHONUSERBASE PYTHONPLATLIBDIR __PYVENV_LAUNCHER__
    VIRTUAL_ENV CONDA_PREFIX CONDA_DEFAULT_ENV PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV"""
_LIBRARIES = """GDAL_DATA GDAL_DRIVER_PATH GDAL_PAM_PROXY_DIR PROJ_LIB PROJ_DATA PROJ_NETWORK GEOTIFF_CSV
    QGIS_PREFIX_PATH QGIS_PLUGINPATH QGIS_CUSTOM_CONFIG_PATH QT_PLUGIN_PATH QT_QPA_PLATFORM_PLUGIN_PATH
    LD_LIBRARY_PATH LD_PRELOAD DYLD_LIBRARY_PATH DYLD_FRAMEWORK_PATH DYLD_INSERT_LIBRARIES"""
_LEFT_OUT = frozenset((_PYTHON + " " + _LIBRARIES).split())


def clean_environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return environment variables for the engine, from `base` or this process's."""
    given = os.environ if base is None else base
    kept = {name: value for name, value in given.items() if name.upper() not in _LEFT_OUT}
    root = kept.get("OSGEO4W_ROOT")
    if root:  # Windows: the folders of QGIS's libraries must not come before the engine's own
        folders = kept.get("PATH", "").split(os.pathsep)
        kept["PATH"] = os.pathsep.join(folder for folder in folders if not _lies_in(folder, root))
    kept["PYTHONNOUSERSITE"] = "1"
    return kept


def _lies_in(folder: str, root: str) -> bool:
    inner, outer = (os.path.normcase(os.path.abspath(path)) for path in (folder, root))
    return inner == outer or inner.startswith(outer.rstrip(os.sep) + os.sep)
