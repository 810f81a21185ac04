"""From what a user gives to the scenes of a batch: files, folders, patterns, lists, STAC, buckets."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from geodetect.batch.sources.entries import check_text, is_address, is_odd, is_special, printable
from geodetect.batch.sources.folders import RASTERS, has_magic, matches, rasters_in, rasters_of
from geodetect.batch.sources.lists import MOST_SCENES, listed
from geodetect.batch.sources.remote import list_bucket
from geodetect.batch.sources.stac import stac_scenes
from geodetect.errors import ConfigError, SceneError
from geodetect.progress import SILENT, Caution, Reporter

__all__ = ["find_scenes"]

_API = re.compile(r"/collections/[^/]+(/items(/[^/]+)?)?$|/search$")  # of a STAC server, whose addresses have no ending
_LISTS, _TABLES, _STAC = (".txt", ".lst"), (".csv", ".tsv"), (".json", ".geojson")


def find_scenes(sources: Sequence[str | Path], *, allow_vsi: bool = False, reporter: Reporter = SILENT) -> list[str]:
    """Return the paths and addresses of all scenes, in the sources' order, each once.

    A source is a raster, a folder, a pattern such as `scenes/**/*.tif`, a list (.txt or .csv), STAC (.json or
    .geojson), a prefix in a bucket (`s3://bucket/scenes/`), or whatever else GDAL opens. Lists and STAC may lie on a
    web server or in a bucket.

    Args:
        sources: as given on the command line.
        allow_vsi: trust lists to name whatever GDAL understands, and those from servers to name local files;
            otherwise they may name paths and http(s), s3, gs and az addresses only.
        reporter: is told what of a folder is left out: files of names that cannot be taken, subfolders that cannot be
            read.

    Raises:
        ConfigError: a list cannot be read or names what it may not; names file and line.
        SceneError: a source does not exist, or there are no scenes in it.
        DownloadError: a server does not give or list something.
        EngineError: what reads a bucket is not installed.
    """
    scenes: dict[str, str] = {}
    for source in sources:
        found = _scenes(os.fspath(source), allow_vsi, reporter)
        odd = [scene for scene in found if is_odd(scene)]
        if odd:
            many = f" and {len(odd) - 1:,} more" if len(odd) > 1 else ""
            problem = "control characters or broken text in the name; rename it"
            reporter.note(Caution(f"left out: {printable(odd[0])}{many}, with {problem}"))
        for scene in found:
            if not is_odd(scene):
                scenes.setdefault(_identity(scene), scene)
    if not scenes:
        raise ConfigError("no scenes are given; name files, folders, patterns, lists or addresses")
    if len(scenes) > MOST_SCENES:
        raise ConfigError(
            f"these are {len(scenes):,} scenes, more than {MOST_SCENES:,}; split them into several batches"
        )
    return list(scenes.values())


def _scenes(source: str, allow_vsi: bool, reporter: Reporter) -> list[str]:
    check_text(source, "a scene")
    if not is_address(source) and not os.path.lexists(source):
        if is_special(source):
            return [source]
        if has_magic(source):
            return _some(matches(source, reporter), f"the pattern {printable(source)} matches no rasters")
        raise SceneError(f"{printable(source)} does not exist; check the path")
    ending = _ending(source)
    if ending in _LISTS or ending in _TABLES:
        return listed(source, ending in _TABLES, allow_vsi)
    if ending in _STAC:
        return stac_scenes(source, allow_vsi)
    if is_address(source):
        return _of_address(source)
    if os.path.isdir(source):
        return _some(rasters_in(source, reporter), f"the folder {printable(source)} has no rasters in it")
    return [source]


def _of_address(address: str) -> list[str]:
    """Return the rasters under a bucket's prefix, or the address of one."""
    scheme, rest = address.split("://", 1)
    if not re.split("[/?#]", rest)[0]:
        raise ConfigError(f"{printable(address)} names no server or bucket; write it as {scheme}://NAME/PATH")
    if "/" in rest and not rest.endswith("/"):
        return [address]
    if scheme.lower() in ("http", "https"):
        advice = "give the scenes' addresses in a .txt file"
        raise ConfigError(f"{printable(address)} is a folder on a web server, which nobody can list; {advice}")
    prefix = f"{scheme.lower()}://{rest.rstrip('/')}/"
    visible = [key for key in list_bucket(prefix) if "/." not in key[len(prefix) - 1 :]]
    return _some(rasters_of(visible, prefix), f"{printable(address)} has no rasters under it")


def _some(scenes: list[str], problem: str) -> list[str]:
    if not scenes:
        raise SceneError(f"{problem}; check that it is the right one")
    return scenes


def _ending(source: str) -> str:
    """Return what a source's name ends with, in small letters; .json for what a STAC server answers with that."""
    if is_address(source):
        source = re.split("[?#]", source)[0]
        if source.lower().startswith("http") and _API.search(source) and not source.lower().endswith(RASTERS):
            return ".json"
    elif os.path.isdir(source):
        return ""
    return PurePosixPath(source.replace("\\", "/")).suffix.lower()


def _identity(scene: str) -> str:
    """Return what tells that two scenes are the same; links are not followed, as each may have a georeference."""
    if is_address(scene) or is_special(scene):
        return scene
    return os.path.normcase(os.path.abspath(scene))
