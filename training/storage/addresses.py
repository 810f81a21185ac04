"""Addresses of object stores: `s3://BUCKET/KEY`, and `obs://`, which is the same protocol at Huawei Cloud's endpoint.

What is read from the environment, the first that is set:

    endpoint    GEODETECT_S3_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, OBS_ENDPOINT, S3_ENDPOINT; else Amazon's
    keys        whatever Amazon's tools take (AWS_ACCESS_KEY_ID and so on, ~/.aws, roles); else OBS_ACCESS_KEY_ID,
                OBS_SECRET_ACCESS_KEY, OBS_SECURITY_TOKEN
    region      AWS_DEFAULT_REGION
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from geodetect.errors import ConfigError, EngineError

_SCHEMES = ("s3://", "obs://")
_ENDPOINTS = ("GEODETECT_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "OBS_ENDPOINT", "S3_ENDPOINT")
_CONNECT, _READ = 10, 60  # s until a server that does not answer counts as gone

Result = TypeVar("Result")


def is_remote(url: str | os.PathLike) -> bool:
    """Return whether an address is one of an object store."""
    return str(url).startswith(_SCHEMES)


def key_of(url: str) -> str:
    """Return BUCKET/KEY of an address; raises ConfigError where there is no bucket, or a `..` in it."""
    key = url.split("://", 1)[1].strip("/")
    if not key or url.split("://", 1)[1].startswith("/"):
        raise ConfigError(f"{url} names no bucket; write it as s3://BUCKET/FOLDER")
    if ".." in key.split("/"):  # would lead out of the folders that are named after addresses
        raise ConfigError(f"{url} has a part called .., which no address may have")
    return key


def connect(url: str) -> Any:
    """Return the s3fs file system of an address; nothing is sent yet.

    Raises:
        ConfigError: an obs:// address, and no endpoint.
        EngineError: s3fs is not installed.
    """
    try:
        import s3fs
    except ImportError as error:
        raise EngineError(f'{url} needs s3fs: pip install "geodetect[train]"') from error
    endpoint = _endpoint()
    if url.startswith("obs://") and not endpoint:
        raise ConfigError(f"{url} needs the store's address: set OBS_ENDPOINT to obs.REGION.myhuaweicloud.com")
    config: dict[str, Any] = {"connect_timeout": _CONNECT, "read_timeout": _READ, "retries": {"max_attempts": 0}}
    if endpoint:  # others than Amazon's refuse the checksums that today's clients add
        config |= {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required"}
    if endpoint and (urlsplit(endpoint).hostname or "").endswith((".myhuaweicloud.com", ".myhuaweicloud.eu")):
        config["s3"] = {"addressing_style": "virtual"}  # BUCKET.HOST, the only one that it takes
    store = s3fs.S3FileSystem(
        endpoint_url=endpoint, config_kwargs=config, skip_instance_cache=True, use_listings_cache=False, **_keys()
    )
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # tells of connections that broke, with a traceback each
    store.retries = 1  # we try again ourselves, and can say so
    return store


def reason(error: BaseException) -> str:
    """Return in a few words why the store refused."""
    kind, text = type(error).__name__, " ".join(str(error).split())
    if kind in ("NoCredentialsError", "PartialCredentialsError"):
        return "no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if isinstance(error, PermissionError):
        return f"access denied, are the keys right? {text}".strip()
    if isinstance(error, FileNotFoundError):
        return "no such bucket or file"
    if kind in ("EndpointConnectionError", "ConnectTimeoutError", "ConnectionError", "ConnectionClosedError"):
        return f"no answer from {_endpoint() or 'the store'}"
    if "imeout" in kind:
        return f"{_endpoint() or 'the store'} stopped answering"
    return text[:200] or kind


def is_lasting(error: BaseException) -> bool:
    """Return whether to try again is of no use."""
    names = ("NoCredentialsError", "PartialCredentialsError", "ParamValidationError")
    return isinstance(error, PermissionError | FileNotFoundError) or type(error).__name__ in names


def patiently(call: Callable[[], Result], wait: Callable[[float], Any], attempts: int, backoff: float) -> Result:
    """Return what a call returns, made again after a while (`backoff` s, doubled each time) where it failed."""
    for attempt in range(attempts):
        try:
            return call()
        except Exception as error:  # botocore, aiohttp and s3fs have no base in common
            if is_lasting(error) or attempt == attempts - 1:
                raise
            wait(backoff * 2**attempt)
    raise AssertionError("no attempt was asked for")


def _endpoint() -> str | None:
    found = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
    return f"https://{found}" if found and "://" not in found else found


def _keys() -> dict[str, str]:
    """Return Huawei's keys where Amazon's are not set; s3fs finds the latter by itself."""
    names = {"key": "OBS_ACCESS_KEY_ID", "secret": "OBS_SECRET_ACCESS_KEY", "token": "OBS_SECURITY_TOKEN"}
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return {}
    return {key: os.environ[name] for key, name in names.items() if os.environ.get(name)}
