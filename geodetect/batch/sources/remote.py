"""Lists and catalogues on servers, and what lies in a bucket: read within limits of bytes and of time."""

from __future__ import annotations

import os
import threading
import time
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin

from geodetect.batch.sources.entries import is_address, printable
from geodetect.errors import ConfigError, DownloadError, EngineError

if TYPE_CHECKING:
    import requests

_CONNECT, _READ = 10, 30  # s until a server that does not answer counts as gone
_DOCUMENT, _LISTING = 120, 600  # s in all: a server may send a byte now and then for ever
_REDIRECTS = 10
_CHUNK = 1 << 16  # bytes

Result = TypeVar("Result")


def read(place: str, most: int) -> tuple[bytes, str]:
    """Return a document's content, and the place that it came from in the end.

    Args:
        place: a path, or an http(s), s3, gs or az address.
        most: bytes that it may have, unpacked.

    Raises:
        ConfigError: it cannot be read, or is larger.
        DownloadError: the server does not give it.
        EngineError: what reads such an address is not installed.
    """
    if not is_address(place):
        return _checked(_read_file(place, most), place, most), place
    if place.lower().startswith(("http://", "https://")):
        content, place = _within(_DOCUMENT, lambda: _get(place, most), place)
    else:
        store = _store(place)
        content = _within(_DOCUMENT, lambda: _from_store(store, place, most), place)
    return _checked(content, place, most), place


def list_bucket(prefix: str) -> list[str]:
    """Return the addresses of all that lies under a prefix such as `s3://bucket/scenes/`.

    Raises:
        DownloadError: the store does not list it.
        EngineError: what reads such an address is not installed.
    """
    store = _store(prefix)
    scheme = prefix.split("://", 1)[0].lower()

    def found() -> list[str]:
        try:
            return list(store.find(prefix))
        except Exception as error:  # botocore, aiohttp and the rest have no base in common
            raise DownloadError(f"{printable(prefix)} cannot be listed ({_reason(error)})") from error

    return [f"{scheme}://{key.split('://', 1)[-1].lstrip('/')}" for key in _within(_LISTING, found, prefix)]


def _checked(content: bytes, place: str, most: int) -> bytes:
    if len(content) > most:
        raise ConfigError(f"{printable(place)} has more than {most >> 20} MiB; split it into several")
    return content


def _read_file(path: str, most: int) -> bytes:
    if not os.path.isfile(path):
        raise ConfigError(f"{printable(path)} is no file; check the path")
    try:
        with open(path, "rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise ConfigError(f"{printable(path)} cannot be read ({error.strerror}); check that you may read it") from error


def _within(seconds: float, call: Callable[[], Result], place: str) -> Result:
    """Return what a call returns; its thread is left alone where it takes too long."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call())
        except BaseException as error:  # raised again below
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    ends = time.monotonic() + seconds
    while thread.is_alive() and time.monotonic() < ends:
        thread.join(0.5)  # Windows lets nobody interrupt a longer wait
    if errors:
        raise errors[0]
    if not results:
        raise DownloadError(f"{printable(place)} was not read within {seconds:g} s; try again, or fetch it yourself")
    return results[0]


def _get(url: str, most: int) -> tuple[bytes, str]:
    import requests
    import urllib3

    headers = {"Accept-Encoding": "identity", "User-Agent": "geodetect"}
    try:
        with requests.Session() as session:
            for _ in range(_REDIRECTS):
                options: dict[str, Any] = {"stream": True, "timeout": (_CONNECT, _READ), "allow_redirects": False}
                with session.get(url, headers=headers, **options) as response:
                    if not response.is_redirect:
                        return _content(response, url, most), url
                    url = _redirected(url, response.headers["Location"])
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:  # raw reads, odd hosts
        raise DownloadError(f"{printable(url)} cannot be fetched ({_web_reason(error)})") from error
    raise DownloadError(f"{printable(url)} cannot be fetched (the server leads round in a circle)")


def _redirected(url: str, location: str) -> str:
    target = urljoin(url, location)
    if not target.startswith("https://" if url.startswith("https://") else ("http://", "https://")):
        raise DownloadError(f"{printable(url)} leads to {printable(target)}, which is not encrypted or no web address")
    return target


def _content(response: requests.Response, url: str, most: int) -> bytes:
    if response.status_code != 200:
        raise DownloadError(f"{printable(url)} cannot be fetched (the server answers {response.status_code})")
    packing = response.headers.get("Content-Encoding", "identity").lower()
    if packing not in ("identity", "", "gzip"):
        raise DownloadError(f"{printable(url)} is packed with {printable(packing)}, which was not asked for")
    content = bytearray()
    while len(content) <= most and (chunk := response.raw.read(_CHUNK, decode_content=False)):
        content += chunk
    if packing != "gzip":
        return bytes(content)
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(content, most + 1)
    except zlib.error as error:
        raise DownloadError(f"{printable(url)} is damaged ({error}); try again") from error


def _store(address: str) -> Any:
    """Return fsspec's file system of an address, set up as GDAL is, which reads the rasters; nothing is sent yet."""
    scheme = address.split("://", 1)[0].lower()
    try:
        import fsspec

        return fsspec.filesystem(scheme, skip_instance_cache=True, use_listings_cache=False, **_options(scheme))
    except ImportError as error:
        needed = {"s3": '"geodetect[s3]"', "gs": "gcsfs", "az": "adlfs"}[scheme]
        raise EngineError(f"{printable(address)} cannot be listed or read here: pip install {needed}") from error
    except Exception as error:  # what the keys in the environment lead to
        raise DownloadError(f"{printable(address)} cannot be opened ({_reason(error)})") from error


def _options(scheme: str) -> dict[str, Any]:
    """Return what the environment tells GDAL of a store, in fsspec's words."""
    has = os.environ.get
    if scheme == "gs":
        return {"token": "anon"} if _is_yes(has("GS_NO_SIGN_REQUEST")) else {}
    if scheme == "az":
        account = has("AZURE_STORAGE_ACCOUNT")
        return {"account_name": account} if account and not has("AZURE_STORAGE_ACCOUNT_NAME") else {}
    options: dict[str, Any] = {
        "anon": _is_yes(has("AWS_NO_SIGN_REQUEST")),
        "requester_pays": has("AWS_REQUEST_PAYER") == "requester",
        "config_kwargs": {"connect_timeout": _CONNECT, "read_timeout": _READ, "retries": {"max_attempts": 2}},
    }
    endpoint = has("AWS_S3_ENDPOINT")
    if endpoint and not (has("AWS_ENDPOINT_URL_S3") or has("AWS_ENDPOINT_URL")):
        scheme = "http" if (has("AWS_HTTPS") or "YES").upper() in ("NO", "FALSE", "OFF") else "https"
        options["endpoint_url"] = endpoint if "://" in endpoint else f"{scheme}://{endpoint}"
    return options


def _is_yes(value: str | None) -> bool:
    return (value or "").upper() in ("YES", "TRUE", "ON", "1")


def _from_store(store: Any, address: str, most: int) -> bytes:
    try:
        if (store.info(address).get("size") or 0) > most:
            return bytes(most + 1)  # too large, whatever it holds
        return store.cat_file(address)
    except Exception as error:  # botocore, aiohttp and the rest have no base in common
        raise DownloadError(f"{printable(address)} cannot be read ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    """Return in a few words why a store refused."""
    kind = type(error).__name__
    if kind in ("NoCredentialsError", "PartialCredentialsError"):
        return "no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_NO_SIGN_REQUEST=YES for open data"
    if isinstance(error, PermissionError):
        return "access denied, are the keys right?"
    if isinstance(error, FileNotFoundError):
        return "no such bucket or file"
    if "imeout" in kind or "Connect" in kind:
        return "no answer from the store"
    return printable(" ".join(str(error).split())) or kind


def _web_reason(error: BaseException) -> str:
    """Return in a few words why a request failed; what requests says holds the whole address."""
    text = str(error)
    for sign, words in (
        ("refused", "connection refused"),
        ("NameResolution", "the host is not known, or there is no network"),
        ("imed out", "timed out"),
        ("imeout", "timed out"),
        ("ertificate", "the certificate is not valid"),
        ("SSL", "the certificate is not valid"),
        ("Proxy", "the proxy does not let it through"),
        ("reset", "broken off by the server"),
        ("roken", "broken off by the server"),
    ):
        if sign in text:
            return words
    return type(error).__name__
