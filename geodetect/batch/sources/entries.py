"""What a list of scenes may name: a list may come from anybody, and GDAL understands much more than files."""

from __future__ import annotations

import functools
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from geodetect.errors import ConfigError
from geodetect.shown import shown_path

SCHEMES = ("http", "https", "s3", "gs", "az")
_LONGEST = 8192  # characters of an entry; signed addresses have some 2,000
_SHOWN = 120  # characters of an entry in a message
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]+:")  # two characters at least: C: is a drive
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_DEVICE = re.compile(r"[\\/]{2}[.?][\\/]")  # such as \\.\PhysicalDrive0
_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # control characters, halves of characters
_VSI_ROOT = re.compile(r"[\\/]+vsi", re.IGNORECASE)
_VSI = re.compile(
    r"^[\\/]+vsi|(?:^|[\\/])vsi(?:zip|gzip|tar|7z|rar|curl|s3|gs|az|adls|oss|swift|webhdfs|hdfs|stdin|stdout|mem|"
    r"subfile|sparse|crypt|cached|file|plugin)(?:_streaming)?(?:[\\/?]|$)",
    re.IGNORECASE,
)
_IS_VSI = "is a path of GDAL's virtual file systems"
_ADVICE = "name a file or an http(s), s3, gs or az address, or give --allow-vsi if you trust the list"


@dataclass(frozen=True)
class Origin:
    """The list that entries come from.

    Attributes:
        document: its absolute path or its address.
        allow_vsi: whether it is trusted to name whatever GDAL understands.
    """

    document: str
    allow_vsi: bool = False

    @property
    def is_remote(self) -> bool:
        """Whether a server sent it; it may not name files of this machine then."""
        return is_address(self.document)

    def resolve(self, entry: str, where: str) -> str:
        """Return what an entry names: an address, or an absolute path.

        Args:
            entry: a path or address, relative ones to the list's own place.
            where: what the error begins with, such as "scenes.txt, line 3".

        Raises:
            ConfigError: it is neither a path nor an address of a known kind, or a server names a local file.
        """
        entry = entry.strip()
        check_text(entry, where)
        scheme = _SCHEME.match(entry)
        kind = scheme[1].lower() if scheme else ""
        if kind == "file":
            entry = _file_path(entry, where)
        meaning = _meaning(entry)
        if meaning and not self._is_file(entry):
            if self.allow_vsi:
                return entry
            raise ConfigError(f"{where}: {meaning}, which a list may not name; {_ADVICE}")
        if kind in SCHEMES:
            return _address(entry, where)
        if self.is_remote and not _is_rooted(entry):
            return _join(self.document, entry)
        return self._local(entry, where)

    def _local(self, entry: str, where: str) -> str:
        """Return the absolute path of a file that may be named."""
        if self.is_remote and not self.allow_vsi:
            problem = "is a file of this machine, which a list from a server may not name"
            raise ConfigError(f"{where}: {printable(entry)} {problem}; give --allow-vsi if you trust it")
        if _DRIVE.match(entry) and os.name != "nt":
            return entry
        path = str(self._folder / entry)
        path = "/" + path.lstrip("/") if os.name == "posix" else path
        is_vsi = _VSI_ROOT.match(path) or _VSI_ROOT.match(os.path.normpath(path))  # of a list in the root folder, say
        if is_vsi and not self.allow_vsi:
            raise ConfigError(f"{where}: {printable(entry)} {_IS_VSI}, which a list may not name; {_ADVICE}")
        if _is_odd_file(path):  # to open a pipe may take for ever
            raise ConfigError(f"{where}: {printable(entry)} is a device or pipe; name a file")
        return path

    def _is_file(self, entry: str) -> bool:
        """Whether an entry like `scene_T10:20.tif` is a file: its absolute path begins with no driver's name."""
        if self.is_remote or _is_rooted(entry) or not _PREFIX.match(entry) or _VSI.search(entry):
            return False
        return os.path.isfile(self._folder / entry)

    @functools.cached_property
    def _folder(self) -> Path:
        return Path(os.path.abspath(self.document)).parent


def is_address(text: str) -> bool:
    """Return whether a text is an address of a known kind."""
    scheme = _SCHEME.match(text)
    return scheme is not None and scheme[1].lower() in SCHEMES


def is_special(text: str) -> bool:
    """Return whether GDAL would take a text for something else than a path or an address."""
    return bool(_meaning(text))


def check_text(text: str, where: str) -> None:
    """Raise ConfigError where a text is empty, much too long, or has characters that no name should have."""
    if not text:
        raise ConfigError(f"{where}: a scene's path is empty; fill it in or remove it")
    if len(text) > _LONGEST:
        raise ConfigError(f"{where}: a path of {len(text):,} characters is too long; at most {_LONGEST:,} are taken")
    if is_odd(text):
        raise ConfigError(f"{where}: {printable(text)} has control characters or broken text in it; rename it")


def is_odd(text: str) -> bool:
    """Return whether a text has control characters in it, or bytes that are no text."""
    return bool(_ODD.search(text))


def printable(text: str) -> str:
    """Return a path or address as it may be printed: short, on one line, without query, user and password."""
    text = _ODD.sub("�", shown_path(text))
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _is_rooted(entry: str) -> bool:
    return entry.startswith(("/", "\\")) or bool(_DRIVE.match(entry))


def _is_odd_file(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _file_path(entry: str, where: str) -> str:
    """Return the path of a file:// address."""
    host, slash, path = entry[len("file://") :].partition("/")
    path = unquote(slash + path)
    if host not in ("", "localhost") or not path:
        raise ConfigError(f"{where}: {printable(entry)} names a file of another machine; write its path instead")
    check_text(path, where)
    return path[1:] if _DRIVE.match(path[1:]) else path


def _meaning(entry: str) -> str:
    """Return what GDAL would take an entry for, if it is neither a path nor an address of a known kind, else ""."""
    scheme = _SCHEME.match(entry)
    if scheme and scheme[1].lower() not in SCHEMES:
        return f"{printable(scheme[0])}... is no address of a known kind"
    if _VSI.search(entry) or (not scheme and _VSI.search(os.path.normpath(entry))):
        return f"{printable(entry)} {_IS_VSI}"
    if _DEVICE.match(entry):
        return f"{printable(entry)} is a device"
    if entry.startswith(("<", "{")):
        return "text that begins with < or { is no path"
    prefix = None if scheme else _PREFIX.match(entry)
    return f"{printable(prefix[0])}... is a connection of a GDAL driver" if prefix else ""


def _address(entry: str, where: str) -> str:
    """Return an address with its scheme in small letters, as GDAL wants it."""
    scheme, rest = entry.split("://", 1)
    try:
        is_whole = bool(urlsplit(entry).hostname) and " " not in rest.split("/", 1)[0]
    except ValueError:
        is_whole = False
    if not is_whole:
        raise ConfigError(f"{where}: {printable(entry)} is not a valid address; correct it")
    return f"{scheme.lower()}://{rest}"


def _join(document: str, entry: str) -> str:
    """Return the address of an entry beside a document; `..` leads no higher than the server's or bucket's root."""
    scheme, rest = re.split("[?#]", document)[0].split("://", 1)
    host, *folders = rest.split("/")[:-1] or [rest]
    path, mark, query = (entry.replace(" ", "%20") if scheme.startswith("http") else entry).partition("?")
    for part in path.split("/"):
        if part == "..":
            folders = folders[:-1]
        elif part != ".":
            folders = [*folders, part]
    return f"{scheme}://{'/'.join([host, *folders])}{mark}{query}"
