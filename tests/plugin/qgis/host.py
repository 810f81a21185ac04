"""What tests look at and make outside QGIS: processes, and large images. Standard library only."""

from __future__ import annotations

import os
from pathlib import Path


def children(pid=None):
    """Return the processes below one: those of an engine and what it started."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except OSError:  # it has ended
                continue
            state, parent = stat.rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(folder.name)] = int(parent)
    found, wanted = set(), {pid or os.getpid()}
    while wanted:
        wanted = {child for child, parent in parents.items() if parent in wanted} - found
        found |= wanted
    return found


def alive(pids):
    """Return those of some processes that still run."""
    return {pid for pid in pids if Path(f"/proc/{pid}").exists() and "Z" not in _state(pid)}


def _state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def mosaic(path, scene_file, times, size=1280):
    """Write a VRT that repeats a scene of `size` px `times` by `times`: work for some time."""
    bands = []
    for band, colour in enumerate(("Red", "Green", "Blue"), 1):
        parts = "".join(
            f'<SimpleSource><SourceFilename relativeToVRT="0">{scene_file}</SourceFilename>'
            f"<SourceBand>{band}</SourceBand>"
            f'<SrcRect xOff="0" yOff="0" xSize="{size}" ySize="{size}"/>'
            f'<DstRect xOff="{x * size}" yOff="{y * size}" xSize="{size}" ySize="{size}"/></SimpleSource>'
            for x in range(times)
            for y in range(times)
        )
        bands.append(
            f'<VRTRasterBand dataType="Byte" band="{band}"><ColorInterp>{colour}</ColorInterp>{parts}</VRTRasterBand>'
        )
    path.write_text(
        f'<VRTDataset rasterXSize="{size * times}" rasterYSize="{size * times}"><SRS>EPSG:32631</SRS>'
        f"<GeoTransform>500000, 0.5, 0, 5000000, 0, -0.5</GeoTransform>{''.join(bands)}</VRTDataset>",
        "utf-8",
    )
    return path
