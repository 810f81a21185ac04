"""Who makes the environment: uv, or a Python with venv and pip; and the commands of either."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Callable

from .environment import clean_environment
from .install_errors import InstallError, venv_hint
from .pythons import BasePython, find_pythons
from .requirements import Order, wheel_versions
from .texts import translate

MANAGED = "3.11"  # Python that uv fetches where none is here
RETRIES = "2"  # at least one: without any, pip does not say why it found nothing
LIFELINE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lifeline.py")
INDEX_VARIABLES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_CONFIG_FILE")


@dataclass(frozen=True)
class Maker:
    """What an environment is made with.

    Attributes:
        uv: path of uv, "" for venv and pip.
        base: the Python it is made of; None where uv is to fetch one.
    """

    uv: str
    base: BasePython | None

    @property
    def name(self) -> str:
        """In words, for the log."""
        python = (
            f"{self.base.path} ({'.'.join(map(str, self.base.version))})" if self.base else "a Python that uv fetches"
        )
        return f"{self.uv or 'venv and pip'}, {python}"

    def environment(self, order: Order, home: str) -> list[str]:
        """Return the command that makes an environment without packages."""
        if self.uv:
            python = self.base.path if self.base else MANAGED
            command = [self.uv, "venv", "--color", "never", "--python", python, *_offline_uv(order), home]
            return _tied(self.base.path, command) if self.base else command
        path = self.base.path if self.base else ""
        return _tied(path, [path, "-I", "-X", "utf8", "-m", "venv", home])

    def packages(self, order: Order, python: str) -> list[str]:
        """Return the command that installs geodetect into the environment of a Python."""
        # a source package among the dependencies would want compilers and GDAL's headers; geodetect's own wants neither
        binary = [] if os.path.isdir(order.source) else ["--only-binary", ":all:"]
        if self.uv:
            command = [self.uv, "pip", "install", "--color", "never", "--no-progress", "--python", python]
            offline = [*_offline_uv(order), *(["--no-index", "--find-links", order.wheels] if order.wheels else [])]
        else:
            pip = [python, "-I", "-X", "utf8", "-m", "pip", "--disable-pip-version-check", "--no-input", "--no-color"]
            command = [
                *pip,
                "install",
                "--retries",
                RETRIES,
                "--no-user",
                "--progress-bar",
                "off",
                "--no-warn-script-location",
            ]
            offline = ["--no-index", "--find-links", order.wheels] if order.wheels else []
        return _tied(python, [*command, *binary, *offline, order.requirement])


def choose_maker(
    order: Order,
    listen: Callable[[str], None] = lambda line: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Maker:
    """Return what to make the environment with: uv where it is here, else the first Python that can.

    Where pip was told of another index than the public one, pip is taken if it can be: uv does not read its settings.

    Raises:
        InstallError: nothing here can.
        Cancelled: `is_cancelled` said so.
    """
    wanted = wheel_versions(order.wheels) if order.wheels else set()
    uv = find_uv()
    prefer_pip = not order.wheels and pip_is_configured()
    passed_over = []
    for python in find_pythons(listen, is_cancelled):
        if wanted and python.version[:2] not in wanted:
            listen(f"{python.path}: the wheel files are for other versions of Python")
        elif python.has_venv and (prefer_pip or not uv):
            return Maker("", python)
        elif uv and not prefer_pip:
            return Maker(uv, python)
        else:
            listen(f"{python.path}: its modules venv and ensurepip are missing")
            passed_over.append(python)
    if uv and (passed_over or not order.wheels):
        return Maker(uv, passed_over[0] if passed_over else None)
    raise _nothing_found(passed_over, wanted)


def find_uv() -> str:
    """Return the path of uv, "" where it is not here."""
    home = os.path.expanduser("~")
    folders = [clean_environment().get("PATH", ""), *(os.path.join(home, name, "bin") for name in (".local", ".cargo"))]
    return shutil.which("uv", path=os.pathsep.join(folders)) or ""


def pip_is_configured() -> bool:
    """Return whether pip was told where to take packages from, by variables or its settings."""
    return any(os.environ.get(name) for name in INDEX_VARIABLES) or any(map(_names_index, _pip_settings()))


def variables(order: Order, work: str, pythons: str) -> dict[str, str]:
    """Return the environment variables of the commands.

    Args:
        order: names the proxy.
        work: folder for all that they leave lying about, downloads included.
        pythons: folder for a Python that uv fetches.
    """
    own = {"PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1", "UV_PYTHON_INSTALL_DIR": pythons}
    own.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), os.path.join(work, "tmp")))
    own.update(dict.fromkeys(("PIP_CACHE_DIR", "UV_CACHE_DIR"), os.path.join(work, "cache")))
    if order.proxy:
        own.update(dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), order.proxy))
    if order.proxy and order.no_proxy:
        own.update(dict.fromkeys(("NO_PROXY", "no_proxy"), order.no_proxy))
    return {**clean_environment(), **own}


def _tied(python: str, command: list[str]) -> list[str]:
    """Return the command run so that it ends when QGIS does."""
    return [python, "-I", LIFELINE, *command]


def _offline_uv(order: Order) -> list[str]:
    return ["--offline"] if order.wheels else []


def _pip_settings() -> Iterable[str]:
    """Return where pip looks for its settings."""
    home, name = os.path.expanduser("~"), "pip.ini" if sys.platform == "win32" else "pip.conf"
    folders = [os.path.join(home, "pip"), os.path.join(home, ".pip"), "/etc"]
    folders += [os.path.join(os.environ.get(variable, ""), "pip") for variable in ("APPDATA", "PROGRAMDATA")]
    folders += [os.path.join(os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "pip"), "/etc/xdg/pip"]
    folders += [os.path.join(root, "Library", "Application Support", "pip") for root in (home, "/")]
    return (os.path.join(folder, name) for folder in folders if os.path.isabs(folder))


def _names_index(path: str) -> bool:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return False
    return any(word in text for word in ("index", "find-links", "find_links"))


def _nothing_found(passed_over: list[BasePython], wanted: set[tuple[int, int]]) -> InstallError:
    if passed_over:
        message = _tr("{python} cannot make environments: its modules venv and ensurepip are missing.")
        return InstallError("venv", message.format(python=passed_over[0].path), venv_hint())
    if wanted:
        versions = ", ".join("{}.{}".format(*version) for version in sorted(wanted))
        message = _tr("The wheel files are for Python {versions}, which is not here.").format(versions=versions)
        return InstallError(
            "python", message, _tr("Install that Python, or fill the folder for the Python that is here.")
        )
    return InstallError(
        "python",
        _tr("No Python 3.10, 3.11 or 3.12 (64 bits) is found on this computer."),
        _tr("Install Python 3.12 from python.org, or uv from docs.astral.sh/uv, then try again."),
    )


def _tr(text: str) -> str:
    return translate("Installer", text)
