"""Files from the web: resumed, checked, never half there.

A transfer goes to `TARGET.part`, beside it `TARGET.part.json` holds what tells one version of the remote file from the
next (ETag or Last-Modified). A later call goes on from there; the file gets its name only when it is whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from geodetect.checksum import file_sha256
from geodetect.errors import Cancelled, DownloadError

if TYPE_CHECKING:
    import requests

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all where known

_CHUNK = 1 << 18  # bytes; small enough that a slow line still moves the bar
MOST_BYTES = 4 << 30  # of one file, where nothing better is known
_DIGITS = "[0-9]{1,15}"  # of a number of bytes
_REDIRECTIONS = 10
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Retry:
    """How patient a transfer is."""

    attempts: int = 4  # in a row that bring no new byte
    backoff: float = 0.5  # s before the second attempt, doubled each time
    connect_timeout: float = 10.0  # s
    read_timeout: float = 30.0  # s without a byte


class _BrokenError(Exception):
    """This attempt failed, the next one may not."""


@dataclass(frozen=True, slots=True)
class _Part:
    """The unfinished file and what it is a part of."""

    url: str
    path: Path
    validator: str = ""  # strong ETag or Last-Modified, for If-Range

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def note(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    @classmethod
    def load(cls, url: str, path: Path) -> _Part:
        """Return the part with what its note says; one of another URL or without a validator starts anew."""
        part = cls(url, path)
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, RecursionError):
            note = json.loads(part.note.read_text(encoding="utf-8"))
            if note.get("url") == url and note.get("validator"):
                return cls(url, path, str(note["validator"]))
        part.discard()
        return part

    def begin(self, validator: str) -> _Part:
        """Return an empty part of the version of the file that `validator` names."""
        self.discard()
        part = _Part(self.url, self.path, validator)
        note = {key: value for key, value in asdict(part).items() if key != "path"}
        part.note.write_text(json.dumps(note), encoding="utf-8")
        return part

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def fetch(
    url: str,
    target: str | Path,
    sha256: str | None = None,
    progress: Progress | None = None,
    retry: Retry | None = None,
    most_bytes: int = MOST_BYTES,
) -> Path:
    """Download `url` to `target` and return it; a transfer that broke off, now or in an earlier call, is resumed.

    A target that has the right checksum already is left alone. `progress(done, total)` is told of every chunk.

    Raises:
        DownloadError: the file cannot be had; or it is not the one that `sha256` names, or is of more than
            `most_bytes` (then nothing is kept).
        Cancelled: Ctrl-C; what has arrived is kept for the next call.
    """
    target = Path(target)
    if not url.startswith(("http://", "https://")):
        raise DownloadError(f"{url} cannot be fetched: only http and https addresses can")
    if sha256 and target.is_file() and file_sha256(target) == sha256.lower():
        return target
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _transfer_patiently(_Part.load(url, part), progress, retry or Retry(), most_bytes)
        return _finish(_Part(url, part), target, sha256)
    except KeyboardInterrupt:
        size = _Part.load(url, part).size
        kept = (
            f"{size / 1e6:.1f} MB are kept in {part} and the same command goes on from there"
            if size
            else "nothing is kept"
        )
        raise Cancelled(f"the download of {url} was stopped: {kept}") from None
    except OSError as error:
        raise DownloadError(f"{url} cannot be saved as {target} ({error.strerror or error})") from error


def _transfer_patiently(part: _Part, progress: Progress | None, retry: Retry, most: int) -> None:
    """Fill the part; only attempts in a row that bring no new byte count against the limit."""
    import requests

    failures, longest = 0, part.size
    with requests.Session() as session:
        # else it would read the bodies of redirections, which could be endless
        session.get_redirect_target = lambda _: None  # type: ignore[assignment,method-assign]
        while True:
            try:
                return _transfer(session, part, progress, retry, most)
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                problem = _reason(error)
            except requests.RequestException as error:
                raise DownloadError(f"{part.url} cannot be fetched ({_reason(error)})") from error
            except _BrokenError as error:
                problem = str(error)
            part = _Part.load(part.url, part.path)
            failures = 1 if part.size > longest else failures + 1
            longest = max(longest, part.size)
            if failures >= retry.attempts:
                raise DownloadError(f"{part.url} cannot be fetched ({problem}, after {failures} attempts)")
            time.sleep(retry.backoff * 2 ** (failures - 1))


def _transfer(session: requests.Session, part: _Part, progress: Progress | None, retry: Retry, most: int) -> None:
    """One attempt: ask for what is missing and write it; raises _BrokenError when another attempt makes sense."""
    start = part.size
    headers = {"Accept-Encoding": "identity", "User-Agent": "geodetect"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": part.validator}
    timeout = (retry.connect_timeout, retry.read_timeout)
    with _answer(session, part.url, headers, timeout) as response:
        if response.status_code == 416 and response.headers.get("Content-Range") == f"bytes */{start}":
            return  # the part was whole already
        _check_status(response, part)
        total: int | None
        if response.status_code == 206:
            total = _total_of_range(response, part, start)
        else:
            start, total = 0, _content_length(response)
            part = part.begin(_validator(response))
        _check_size(part, total, most)
        _check_space(part.path.parent, None if total is None else total - start)
        done = start
        with open(part.path, "ab") as file:
            for chunk in response.iter_content(_CHUNK):
                done += len(chunk)
                _check_size(part, done, most)
                file.write(chunk)
                if progress is not None:
                    progress(done, total)
    if total is not None and (size := part.size) != total:
        if size > total:  # somebody else was writing it too
            part.discard()
        raise _BrokenError(f"broken off at {size} of {total} bytes")


@contextlib.contextmanager
def _answer(
    session: requests.Session, url: str, headers: dict[str, str], timeout: tuple[float, float]
) -> Iterator[requests.Response]:
    """Yield what the server answers, unread, after redirections."""
    address = url
    for _ in range(_REDIRECTIONS + 1):
        with _ask(session, address, headers=headers, stream=True, timeout=timeout) as response:
            if not response.is_redirect:
                yield response
                return
            address = _next_address(response, url)
    raise DownloadError(f"{url} cannot be fetched (it leads from one address to the next, more than {_REDIRECTIONS})")


def _ask(session: requests.Session, address: str, **options: Any) -> requests.Response:
    try:
        return session.get(address, **options)
    except ValueError as error:  # some addresses are none in ways that requests does not expect
        if isinstance(error, OSError):  # its own errors are both
            raise
        raise DownloadError(f"{address} cannot be fetched (it is no address)") from error


def _next_address(response: requests.Response, url: str) -> str:
    """Return where a redirection leads; raises DownloadError where it is no web address, or one less safe."""
    try:
        address = urljoin(response.url, response.headers["location"].encode("latin1").decode("utf-8"))
    except ValueError as error:
        raise DownloadError(f"{url} leads to what is no address") from error
    # whoever sits on an open line could send us anywhere from there
    if url.startswith("https://") and not address.startswith("https://"):
        raise DownloadError(f"{url} leads to {address}, which is not encrypted")
    if not address.startswith(("http://", "https://")):
        raise DownloadError(f"{url} leads to {address}; only http and https addresses can be fetched")
    return address


def _check_status(response: requests.Response, part: _Part) -> None:
    status = response.status_code
    if status == 416:  # the remote file is now shorter than the part
        part.discard()
        raise _BrokenError("the file has changed")
    if status in _RETRIED:
        raise _BrokenError(f"the server answers {status} {response.reason}")
    if status not in (200, 206):
        raise DownloadError(f"{part.url} cannot be fetched (the server answers {status} {response.reason})")
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity":  # it was asked for; what is packed can unpack to any size
        raise DownloadError(f"{part.url} cannot be fetched (the server sends it packed, as {encoding})")


def _total_of_range(response: requests.Response, part: _Part, start: int) -> int:
    """Return the whole file's size from `Content-Range: bytes FIRST-LAST/TOTAL`, which must begin where we asked."""
    told = response.headers.get("Content-Range", "").strip()
    found = re.fullmatch(f"bytes ({_DIGITS})-({_DIGITS})/({_DIGITS})", told)
    if found is None or int(found[1]) != start or int(found[2]) + 1 != int(found[3]):
        part.discard()
        raise _BrokenError("the server sent another range than asked for")
    if part.validator not in (response.headers.get("ETag"), response.headers.get("Last-Modified")):
        part.discard()  # some servers ignore If-Range
        raise _BrokenError("the file has changed")
    return int(found[3])


def _content_length(response: requests.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if re.fullmatch(_DIGITS, length) else None


def _validator(response: requests.Response) -> str:
    """Return what If-Range may carry; a weak ETag may not, and a server without ranges needs none."""
    if response.headers.get("Accept-Ranges", "").lower() == "none":
        return ""
    etag = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")


def _check_size(part: _Part, size: int | None, most: int) -> None:
    if size is not None and size > most:
        part.discard()
        raise DownloadError(f"{part.url} sends more than the {most / 1e6:,.0f} MB that are expected; nothing is kept")


def _check_space(folder: Path, needed: int | None) -> None:
    free = shutil.disk_usage(folder).free
    if needed is not None and needed > free:
        raise DownloadError(f"{folder} has {free / 1e6:.0f} MB free, the download needs {needed / 1e6:.0f} MB")


def _finish(part: _Part, target: Path, sha256: str | None) -> Path:
    if sha256 and (found := file_sha256(part.path)) != sha256.lower():
        part.discard()
        raise DownloadError(f"{part.url} has another checksum than expected: {found}, not {sha256.lower()}; deleted")
    os.replace(part.path, target)
    part.note.unlink(missing_ok=True)
    return target


def _reason(error: Exception) -> str:
    """Return the innermost cause in a few words; what requests prints is several lines of wrapped exceptions."""
    text = str(error)
    for pattern, words in (
        (r"NameResolutionError|getaddrinfo|Name or service", "the host is not known, or there is no network"),
        (r"Connection refused|WinError 10061", "connection refused"),
        (r"unreachable", "network unreachable"),
        (r"ProxyError", "the proxy does not let it through"),
        (r"CERTIFICATE|SSLError", "the certificate is not valid"),
        (r"[Tt]imed out|Timeout", "timed out"),
        (r"IncompleteRead|Connection broken|RemoteDisconnected|reset by peer", "broken off by the server"),
    ):
        if re.search(pattern, text):
            return words
    return text.split("\n")[0][:200]
