"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import settings

# the same examples on every machine and in every run; shared machines have no deadlines to keep
settings.register_profile("geodetect", derandomize=True, deadline=None)
settings.load_profile("geodetect")

SHARED = Path(os.environ.get("GEODETECT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
UTM = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the project."""
    if not SHARED.is_dir():
        pytest.skip(f"reference data not found in {SHARED}; set GEODETECT_SHARED")
    return SHARED


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    """Keep every test's models apart from the user's."""
    monkeypatch.setenv("GEODETECT_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
def write_raster(tmp_path):
    """Return a function that writes pixels (bands, h, w) as a GeoTIFF and returns its path."""

    def write(pixels: np.ndarray, name: str = "scene.tif", crs="EPSG:32631", transform=UTM, mask=None, **profile):
        path = tmp_path / name
        bands, height, width = pixels.shape
        profile = {"driver": "GTiff", "dtype": pixels.dtype, "crs": crs, "transform": transform} | profile
        if bands == 3:
            profile.setdefault("photometric", "RGB")
        with rasterio.open(path, "w", count=bands, height=height, width=width, **profile) as file:
            file.write(pixels)
            if mask is not None:
                file.write_mask(mask)
        return path

    return write
