"""What the outputs of a batch are called: each its own name, safe on all systems, whatever the scenes are called."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath
from urllib.parse import unquote

_LONGEST = 120  # bytes of UTF-8 before _detections: what is written beside an output adds to its name, 255 are allowed
_UNSAFE = re.compile(r'[<>:"/\\|?*%]')
_ODD = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])", re.IGNORECASE)


def output_names(scenes: Sequence[str], ending: str = ".gpkg", taken: Collection[str] = ()) -> list[str]:
    """Return a file name for each scene's output, `STEM_detections.gpkg`.

    No two are alike, nor like one of `taken`, on systems that do not tell large from small letters either. Scenes of
    one name get their folders' names before it, as many as it takes, and at last a number. Which name a scene gets
    does not depend on the others' order.

    Args:
        scenes: paths and addresses.
        ending: of the file.
        taken: names that are in use.

    Example:
        >>> output_names(["a/scene.tif", "b/scene.tif", "b/harbour.tif"])
        ['a_scene_detections.gpkg', 'b_scene_detections.gpkg', 'harbour_detections.gpkg']
    """
    ending = ending if ending.startswith(".") else f".{ending}"
    used = {_folded(name) for name in taken}
    parts = [_parts(scene) for scene in scenes]
    depths = [1] * len(parts)
    keys = [""] * len(parts)
    changed: Collection[int] = range(len(parts))
    while changed:
        for index in changed:
            keys[index] = _folded(_name(parts[index], depths[index], ending))
        groups: dict[str, list[int]] = defaultdict(list)
        for index, key in enumerate(keys):
            groups[key].append(index)
        alike = [index for key, group in groups.items() if len(group) > 1 or key in used for index in group]
        changed = [index for index in alike if depths[index] < len(parts[index])]
        for index in changed:
            depths[index] += 1
    names = [_name(part, depth, ending) for part, depth in zip(parts, depths, strict=True)]
    return _numbered(names, scenes, ending, used)


def _numbered(names: Sequence[str], scenes: Sequence[str], ending: str, taken: set[str]) -> list[str]:
    """Return the names, those that are still alike or taken with numbers, in the order of the scenes' own text."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        groups[_folded(name)].append(index)
    used = taken | {key for key, group in groups.items() if len(group) == 1}
    result = list(names)
    for key in sorted(key for key, group in groups.items() if len(group) > 1 or key in taken):
        number = 1
        for index in sorted(groups[key], key=lambda index: (scenes[index], index)):
            stem = names[index].removesuffix(f"_detections{ending}")
            while _folded(result[index]) in used:
                number += 1
                result[index] = f"{stem}_{number}_detections{ending}"
            used.add(_folded(result[index]))
    return result


def _name(parts: Sequence[str], depth: int, ending: str) -> str:
    """Return the name that the last `depth` parts of a path make."""
    text = "_".join(filter(None, parts[-depth:])) or "scene"
    if "." in text and _RESERVED.fullmatch(text.split(".")[0].rstrip()):  # Windows looks at no more than that
        text = f"_{text}"
    if len(text.encode()) > _LONGEST:
        mark = hashlib.sha256(text.encode()).hexdigest()[:8]
        text = f"{text.encode()[: _LONGEST - 9].decode(errors='ignore')}_{mark}"
    return f"{text}_detections{ending}"


def _parts(scene: str) -> list[str]:
    """Return the safe names of a scene's folders and, last, of its file without ending; none of a URL's secrets."""
    _, mark, rest = scene.partition("://")
    if mark:
        host, slash, path = re.split("[?#]", rest)[0].rstrip("/").partition("/")
        scene = host.rpartition("@")[2] + slash + path
    *folders, file = re.split(r"[\\/]+", scene.rstrip("\\/"))
    names = [unquote(name) if mark else name for name in (*folders, file)]
    return [_safe(name) for name in (*names[:-1], PurePosixPath(names[-1].replace("/", "_")).stem)]


def _safe(name: str) -> str:
    """Return a name without what any system has another use for; "" where nothing is left."""
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", name))
    name = "".join("_" if unicodedata.category(character) in _ODD else character for character in name)
    return name.lstrip(".- ").rstrip(". ")


def _folded(name: str) -> str:
    """Return what a system that does not tell large from small letters, or forms of one letter, may know a name by."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).upper().casefold())
