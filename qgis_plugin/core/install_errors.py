"""Why an installation failed, in words: read from what pip and uv print."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .texts import translate


class InstallError(Exception):
    """The engine was not installed; nothing of it is left.

    Attributes:
        kind: "python" none here fits; "venv" it cannot make environments; "proxy", "certificate", "network" the
            index of packages is not reached; "disk", "denied" the folder cannot be written; "busy" another QGIS
            installs; "packages" some are not to be had; "damaged" a file is broken; "check" all is installed but
            does not run; "failed" anything else.
        hint: what the user can do.
        log: the last lines that were printed.
    """

    def __init__(self, kind: str, message: str, hint: str = "", log: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.hint = hint
        self.log = log


NO_SPACE = "No space left on device"  # as POSIX has it


@dataclass(frozen=True)
class _Reason:
    """A kind of failure, and what in the log tells it."""

    kind: str
    signs: str


# In this order: the text of a later one may stand in the log of an earlier one as its consequence.
_REASONS = (
    _Reason("disk", NO_SPACE + r"|Errno 28|os error 28|not enough space on the disk|Disk quota exceeded"),
    _Reason("venv", r"ensurepip is not available|No module named (ensurepip|venv|pip)\b|ensurepip.*non-zero exit"),
    _Reason("socks", r"Missing dependencies for SOCKS|SOCKS support"),
    _Reason(
        "proxy",
        r"\b407\b.*Proxy|Proxy Authentication|ProxyError|connect to proxy|[Tt]unnel (connection|error)"
        r"|proxy authorization",
    ),
    _Reason("certificate", r"CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerification|invalid peer certificate"),
    _Reason(
        "network",
        r"NewConnectionError|Failed to establish a new connection|ConnectTimeout|ReadTimeout|Read timed out"
        r"|ConnectionResetError|Connection (refused|broken|reset)|RemoteDisconnected|name resolution|getaddrinfo failed"
        r"|dns error|error sending request|[Nn]etwork is unreachable|HTTP error 5\d\d|\b50[234] Server Error"
        r"|Failed to download|[Nn]etwork connectivity is disabled",
    ),
    _Reason(
        "damaged",
        r"BadZipFile|not a zip file|is invalid\b|Invalid (wheel|zip|local file)|unable to locate the end of central"
        r"|DO NOT MATCH THE HASHES|[Hh]ash mismatch|CRC-32|InvalidWheel|has an invalid wheel",
    ),
    _Reason("packages", r"No matching distribution|Could not find a version|No solution found|ResolutionImpossible"),
    _Reason(
        "denied", r"Permission ?[Dd]enied|Errno 13|os error 13|Access is denied|WinError 5\b|Read-only file system"
    ),
)
_MISSING = re.compile(r"No matching distribution found for ([\w.\-\[\]]+)|[Bb]ecause ([\w.\-]+) was not found")


def explain(lines: Sequence[str], wheels: str = "") -> InstallError:
    """Return the error that the lines which pip or uv printed tell of.

    Args:
        lines: all of them, or the last ones.
        wheels: the folder that packages were taken from, "" where from the index.
    """
    log = "\n".join(lines)
    kind = next((reason.kind for reason in _REASONS if re.search(reason.signs, log)), "failed")
    if kind == "network" and wheels:  # what pip says of a folder may hold such words; there was no network
        kind = "packages"
    missing = _MISSING.search(log)
    name = next(filter(None, missing.groups()), "") if missing else ""
    message, hint = _words(kind, name, wheels)
    if kind == "failed":
        message = message.format(said=_last_error(lines))
    return InstallError("proxy" if kind == "socks" else kind, message, hint, log)


def _words(kind: str, name: str, wheels: str) -> tuple[str, str]:
    """Return message and hint."""
    if kind == "packages" and wheels:
        message = _tr("{folder} has no file of {name} that fits this computer.")
        hint = _tr("Fill it by `pip download` on a computer with the same system and Python, then try again.")
        return message.format(folder=wheels, name=name or "geodetect"), hint
    if kind == "packages":
        message = _tr("No {name} that fits this computer and its Python is offered.")
        return message.format(name=name or "geodetect"), _tr("Choose another Python, or give a package file.")
    return _general(kind)


def _general(kind: str) -> tuple[str, str]:
    """Return message and hint of what has nothing to do with one package."""
    other = (_tr("Installing failed: {said}"), _tr("The log says more: copy it into a report."))
    return {
        "disk": (_tr("The disk is full."), _tr("Make room, then try again.")),
        "venv": (_tr("This Python cannot make environments: its modules venv and pip are missing."), venv_hint()),
        "socks": (
            _tr("The proxy is of type SOCKS, which pip cannot use."),
            _tr("Choose an HTTP proxy in QGIS's network settings, or install from a folder of wheel files."),
        ),
        "proxy": (
            _tr("The proxy is not reached, or does not let through."),
            _tr("Check its address, user and password in QGIS's network settings."),
        ),
        "certificate": (
            _tr("The server's certificate is not trusted."),
            _tr("Your network may look into connections: set PIP_CERT to its certificate file, and restart QGIS."),
        ),
        "network": (
            _tr("The package index is not reached."),
            _tr("Check the connection and QGIS's proxy settings, or install from a folder of wheel files."),
        ),
        "damaged": (_tr("A package file is damaged."), _tr("Fetch it again, then try again.")),
        "denied": (
            _tr("A file cannot be written, or is in use."),
            _tr("Close other QGIS windows and programs that use the engine, then try again."),
        ),
    }.get(kind, other)


def venv_hint() -> str:
    """Return how to complete a Python that lacks venv."""
    return _tr("On Debian and Ubuntu: sudo apt install python3-venv. Elsewhere install Python from python.org, or uv.")


def _last_error(lines: Sequence[str]) -> str:
    """Return the line that says most: the last that begins as an error, else the last."""
    said = [line.strip() for line in lines if line.strip()]
    errors = [line for line in said if re.match(r"(error|ERROR|Error|\w*Error)\b", line)]
    return (errors or said or ["?"])[-1]


def _tr(text: str) -> str:
    return translate("InstallError", text)
