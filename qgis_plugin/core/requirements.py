"""What is installed into the engine's environment, and from where."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

SERIES = "0.1"  # of geodetect that this plugin works with; part of the environment's folder
VERSIONS = ">=0.1,<0.2"
SIZES = {"": 700, "onnxruntime": 800, "mindspore": 3500}  # MB on disk, by extra; measured on Linux, Python 3.11
DOWNLOADS = 0.3  # MB of downloads a MB on disk
INTERPRETER = re.compile(r"-cp(\d)(\d+)-(\w+)-[^-]+\.whl$")


@dataclass(frozen=True)
class Order:
    """What the user wants installed.

    Attributes:
        folder: that environments lie in; `settings.data_folder()`.
        extra: of geodetect: "", "onnxruntime" or "mindspore".
        wheels: folder of wheel files to take all packages from, without a network; "" for the package index.
        source: wheel file or source folder of geodetect itself, in place of the index's.
        proxy: URL, with user and password where it asks for them; "" for what the environment says.
        no_proxy: hosts, with commas between, that are reached without it.
    """

    folder: str
    extra: str = ""
    wheels: str = ""
    source: str = ""
    proxy: str = field(default="", repr=False)
    no_proxy: str = ""

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        name = f"geodetect[{self.extra}]" if self.extra else "geodetect"
        return f"{name} @ {Path(self.source).absolute().as_uri()}" if self.source else name + VERSIONS

    @property
    def needed(self) -> int:
        """Bytes that must be free."""
        # downloads lie there twice: as they came, and as pip unpacks them
        return int(SIZES[self.extra] * (1 + 2 * DOWNLOADS) * 1e6)

    @property
    def origin(self) -> str:
        """Where the packages come from, as the marker tells it: "index", "folder", "file"."""
        if self.wheels:
            return "folder"
        return "file" if self.source else "index"


def wheel_versions(folder: str) -> set[tuple[int, int]]:
    """Return the versions of Python that a folder's wheel files were made for; empty where any will do."""
    names = (INTERPRETER.search(name) for name in os.listdir(folder))
    return {(int(found[1]), int(found[2])) for found in names if found and found[3] != "abi3"}
