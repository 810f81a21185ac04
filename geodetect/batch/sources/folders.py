"""Rasters in folders, and of patterns such as `scenes/**/*.tif`."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from geodetect.errors import SceneError
from geodetect.progress import SILENT, Caution, Reporter

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
RASTERS = (
    *(".tif", ".tiff", ".gtiff", ".jp2", ".j2k", ".jpx", ".vrt", ".img", ".ntf", ".nitf", ".pix", ".ecw", ".sid"),
    *(".bil", ".bip", ".bsq", *PICTURES),
)
_ASIDE = {"lost+found", "system volume information", "$recycle.bin", "@eadir", "__macosx"}  # systems' own folders
RESULT = "_detections"  # what the names of geodetect's own outputs end with


def rasters_in(folder: str, reporter: Reporter = SILENT) -> list[str]:
    """Return the rasters in a folder and its subfolders, each folder once, however links lead round.

    Hidden files are left out, and what `rasters_of` leaves out. Of subfolders that cannot be read the reporter is told.

    Raises:
        SceneError: the folder cannot be read.
    """
    found = (os.path.join(where, name) for where in _folders(folder, reporter) for name in _names(where, folders=False))
    return rasters_of(list(found), folder)


def rasters_of(files: Sequence[str], folder: str = "") -> list[str]:
    """Return the rasters of a folder's files, sorted as people count.

    Left out are geodetect's results, and a picture beside a raster of the same name, which is a preview of it.

    Args:
        files: paths or addresses below the folder.
        folder: what they all begin with.
    """
    named = [(file, *_split(file)) for file in files]
    rasters = {stem for _, stem, ending in named if ending in RASTERS and ending not in PICTURES}
    kept = (
        file
        for file, stem, ending in named
        if ending in RASTERS and not (ending in PICTURES and stem in rasters) and not stem.endswith(RESULT)
    )
    return sorted(kept, key=lambda file: natural_key(file[len(folder) :]))


def matches(pattern: str, reporter: Reporter = SILENT) -> list[str]:
    """Return what a pattern matches, sorted: rasters, those of matching folders, and files of an ending it names.

    `*`, `?` and `[abc]` stand within a name, `**` for folders. Hidden files match only where the pattern has the dot.
    """
    path = Path(os.path.expanduser(pattern))
    found = dict.fromkeys(_expand(path.anchor, path.parts[1:] if path.anchor else path.parts, reporter))
    ending = path.suffix
    named = bool(ending) and not has_magic(ending)
    files = [file for file in found if os.path.isfile(file)]
    kept = files if named else rasters_of(files)
    inside = [raster for file in found if os.path.isdir(file) for raster in rasters_in(file, reporter)]
    return sorted(dict.fromkeys([*kept, *inside]), key=natural_key)


def has_magic(text: str) -> bool:
    """Return whether a text has characters that make it a pattern."""
    return bool(re.search(r"[*?\[]", text))


def natural_key(path: str) -> tuple:
    """Return what to sort paths by: folder by folder, numbers by their size, `scene2` before `scene10`."""
    return tuple(_counted(part) for part in re.split(r"[\\/]+", path)), path


def _counted(part: str) -> tuple:
    pieces = re.split("([0-9]+)", part.casefold())
    numbers = ((len(number.lstrip("0")), number.lstrip("0")) for number in pieces[1::2])
    return tuple(zip(pieces[::2], (*numbers, (0, "")), strict=True))


def _split(file: str) -> tuple[str, str]:
    """Return a file's path without its ending, and that, both in small letters."""
    ending = PurePosixPath(file.replace("\\", "/")).suffix
    return file[: len(file) - len(ending)].lower(), ending.lower()


def _expand(folder: str, parts: Sequence[str], reporter: Reporter) -> Iterator[str]:
    """Yield the files and folders that the rest of a pattern matches below a folder."""
    if not parts:
        yield folder
        return
    part, rest = parts[0], parts[1:]
    if folder and not os.path.isdir(folder):
        return
    if part == "**":
        while rest and rest[0] == "**":
            rest = rest[1:]
        for below in _folders(folder, reporter) if rest else [folder]:
            yield from _expand(below, rest, reporter)
    elif has_magic(part):
        for is_folder in (True,) if rest else (True, False):
            for name in fnmatch.filter(_names(folder, is_folder, part.startswith(".")), part):
                yield from _expand(os.path.join(folder, name), rest, reporter)
    elif os.path.exists(os.path.join(folder, part)):
        yield from _expand(os.path.join(folder, part), rest, reporter)


def _folders(top: str, reporter: Reporter) -> Iterator[str]:
    """Yield a folder and all below it that can be read, links too, each once."""
    seen, waiting = set(), [top]
    while waiting:
        folder = waiting.pop()
        try:
            below = _names(folder, folders=True)
        except SceneError as error:
            if folder == top:
                raise
            reporter.note(Caution(f"left out: {error}"))
            continue
        state = os.stat(folder or ".")
        if (state.st_dev, state.st_ino) in seen:
            continue
        seen.add((state.st_dev, state.st_ino))
        yield folder
        waiting += [os.path.join(folder, name) for name in reversed(below)]


def _names(folder: str, folders: bool, is_hidden_too: bool = False) -> list[str]:
    """Return the names of a folder's folders or files, sorted."""
    try:
        with os.scandir(folder or ".") as entries:
            names = [entry.name for entry in entries if _is_wanted(entry, folders)]
    except OSError as error:
        problem = f"the folder {folder or '.'} cannot be read ({error.strerror})"
        raise SceneError(f"{problem}; check that you may read it") from error
    return sorted(_visible(names, is_hidden_too), key=natural_key)


def _is_wanted(entry: os.DirEntry, folders: bool) -> bool:
    try:
        return entry.is_dir() if folders else entry.is_file()
    except OSError:  # a link that leads to itself
        return False


def _visible(names: Iterable[str], is_hidden_too: bool) -> list[str]:
    return [name for name in names if (is_hidden_too or not name.startswith(".")) and name.lower() not in _ASIDE]
