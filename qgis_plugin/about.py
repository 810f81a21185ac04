"""What the plugin knows of itself: its version, its addresses, its files."""

from __future__ import annotations

import configparser
import os
from functools import cache

FOLDER = os.path.dirname(os.path.abspath(__file__))


@cache
def metadata() -> dict[str, str]:
    """Return what metadata.txt says; {} where there is none."""
    # In the plugin's zip the file lies beside this one; in the source tree it lies in the folder above.
    for folder in (FOLDER, os.path.dirname(FOLDER)):
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(os.path.join(folder, "metadata.txt"), encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
        if parser.has_section("general"):
            return dict(parser.items("general"))
    return {}


def version() -> str:
    """Return the plugin's version, "" where it is not known."""
    return metadata().get("version", "")


def help_url() -> str:
    """Return the address of the plugin's pages, "" where it is not known."""
    known = metadata()
    return known.get("homepage") or known.get("repository", "")


def icon_path(name: str) -> str:
    """Return the file of one of the plugin's icons."""
    return os.path.join(FOLDER, "resources", "icons", name + ".svg")
