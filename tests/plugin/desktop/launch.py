"""Starts QGIS on a display of its own, with the plugin's package in a new profile, and ends it in any case."""

from __future__ import annotations

import configparser
import json
import os
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
QGIS = "/usr/bin/qgis.bin"  # not `qgis`: Debian's wrapper adds nothing that is wanted here
SCREEN = "1400x900x24"
FOLDER = "geodetect_qgis"
LEFT_OUT = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "QT_QPA_PLATFORM", "GEODETECT_PYTHON", "LANG", "LANGUAGE")


class DesktopError(Exception):
    """QGIS did not come to its end."""


@dataclass(frozen=True)
class Ended:
    """How a start of QGIS ended.

    Attributes:
        code: of its exit; negative where a signal ended it.
        seconds: that it took.
        log: what it printed.
        steps: what was done, with times.
        facts: what was seen, by name.
        errors: what QGIS's log calls critical.
    """

    code: int
    seconds: float
    log: str
    steps: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


class Desktop:
    """A profile of QGIS with the plugin, and the display that it is started on.

    Attributes:
        folder: of all that is temporary.
        pictures: what the screen showed.
    """

    def __init__(self, folder: Path, pictures: Path, package: Path, display: str) -> None:
        self.folder, self.pictures = folder, pictures
        self._display = display
        pictures.mkdir(parents=True, exist_ok=True)
        for name in ("plugins", "profile", "data", "tmp"):
            (folder / name).mkdir()
        (folder / "run").mkdir(mode=0o700)
        with zipfile.ZipFile(package) as file:
            file.extractall(folder / "plugins")
        self.set("PythonPlugins", **{FOLDER: "true", "processing": "true"})
        self.set("locale", overrideFlag="true", userLocale="en_US")
        # QGIS tells of ended tasks in the message bar where the desktop has no place for it, as here
        self.set("app", minTaskLengthForSystemNotification="600")

    def set(self, group: str, **values: str) -> None:
        """Change settings in the profile, while no QGIS runs."""
        path = self.folder / "profile/profiles/default/QGIS/QGIS3.ini"
        path.parent.mkdir(parents=True, exist_ok=True)
        settings = configparser.RawConfigParser(strict=False)
        settings.optionxform = str  # type: ignore[assignment, method-assign] - names are told apart by case
        settings.read(path, "utf-8")
        if not settings.has_section(group):
            settings.add_section(group)
        for name, value in values.items():
            settings.set(group, name, value)
        with path.open("w", encoding="utf-8") as file:
            settings.write(file, space_around_delimiters=False)

    def play(
        self,
        story: str,
        words: Sequence[object] = (),
        seconds: float = 120,
        kill_when: Callable[[dict[str, Any]], bool] | None = None,
        **more: str,
    ) -> Ended:
        """Start QGIS, let a story happen and wait for the end.

        Args:
            story: a module in this folder.
            words: files that QGIS opens.
            seconds: that it may take.
            kill_when: told the facts again and again; QGIS is killed when it says so.
            more: environment variables.

        Raises:
            DesktopError: the story went wrong, or took too long; QGIS is gone.
        """
        report, log = self.folder / f"{story}.json", self.folder / f"{story}.log"
        environment = self._environment(story, report, more)
        command = [QGIS, "--nologo", "--noversioncheck", "--nocustomization", "--code", HERE / "start.py", *words]
        begun = time.monotonic()
        with log.open("wb") as printed:
            process = subprocess.Popen(
                [str(word) for word in command],
                env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed,
                start_new_session=True,
            )  # fmt: skip
            try:
                why = _wait(process, begun + seconds, report, kill_when)
            finally:
                _end(process)
        seen = _read(report)
        took = time.monotonic() - begun
        failure = seen.get("failure") or (f"it went on after {seconds:g} s" if why == "late" else "")
        if failure:
            raise DesktopError(self._story_of(story, failure, seen, log))
        ended = Ended(process.returncode, took, log.read_text("utf-8", "replace"))
        return Ended(ended.code, took, ended.log, seen["steps"], seen["facts"], seen["errors"])

    def _environment(self, story: str, report: Path, more: dict[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
        return {
            **kept,
            "PATH": "/usr/bin:/bin",  # where a Python of another kind comes first, QGIS takes its modules
            "DISPLAY": self._display,
            "LC_ALL": "C.UTF-8",
            "TMPDIR": str(self.folder / "tmp"),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "XDG_DATA_HOME": str(self.folder / "data"),  # where the engine's private environment would be
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "QGIS_CUSTOM_CONFIG_PATH": str(self.folder / "profile"),
            "QGIS_PLUGINPATH": str(self.folder / "plugins"),
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent / "qgis")]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "GEODETECT_STORY": story,
            "GEODETECT_REPORT": str(report),
            "GEODETECT_SCREENSHOTS": str(self.pictures),
            **more,
        }

    def _story_of(self, story: str, failure: str, seen: dict[str, Any], log: Path) -> str:
        last = max(self.pictures.glob("*.png"), key=lambda path: path.stat().st_mtime, default=None)
        steps = "\n".join(seen.get("steps", [])[-8:])
        tail = "\n".join(log.read_text("utf-8", "replace").splitlines()[-15:])
        return f"{story}: {failure}\nlast steps:\n{steps}\nlast picture: {last}\nlog: {log}\n{tail}"


@contextmanager
def screen() -> Iterator[str]:
    """Give a display, such as ":7", as long as it is needed."""
    read, write = os.pipe()
    command = ["/usr/bin/Xvfb", "-displayfd", str(write), "-screen", "0", SCREEN, "-nolisten", "tcp", "-noreset"]
    process = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as told:
            number = told.readline().strip()
        if not number:
            raise DesktopError("Xvfb did not start")
        yield f":{number}"
    finally:
        process.terminate()
        process.wait(10)


def _wait(
    process: subprocess.Popen[bytes], end: float, report: Path, kill_when: Callable[[dict[str, Any]], bool] | None
) -> str:
    """Return how it ended: "done", "killed" as was wished, "late"."""
    while process.poll() is None:
        if time.monotonic() > end:
            return "late"
        if kill_when is not None and kill_when(_read(report).get("facts", {})):
            process.kill()
            process.wait(10)
            return "killed"
        time.sleep(0.05)
    return "done"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing of QGIS, whatever state it is in; engines have a group of their own, and end by themselves."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def _read(report: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(report.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found
