"""What is shown of paths and messages: a URL's query may hold a key, and a name may be no text."""

from __future__ import annotations

import re

# No scheme begins amid a word and what follows ? is taken at once: else a long text is looked through from each place.
_URL = re.compile(r"(?<![A-Za-z0-9+.-])([A-Za-z0-9+.-]+://)(?:[^\s/?#]*@)?([^\s?#]*)(?:[?#](\S*))?")
_STOPS = ".,;:)]'\""  # at a URL's end they are the sentence's
_VIRTUAL = re.compile(r"(/vsi\w+)\?\S*")  # GDAL's options, headers among them
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def shown(text: str) -> str:
    """Return text as it may be shown: URLs without query, user and password, and nothing that UTF-8 cannot hold."""
    text = _URL.sub(_without_query, _VIRTUAL.sub(r"\1", text))
    return _CONTROL.sub("�", text.encode("utf-8", "backslashreplace").decode("utf-8"))


def shown_path(scene: str) -> str:
    """Return a scene's path or URL as it may be shown."""
    if "://" in scene:
        before, after = scene.split("://", 1)
        scene = f"{before}://{re.split('[?#]', after)[0]}"  # a query may hold spaces
    return shown(scene)


def _without_query(url: re.Match[str]) -> str:
    query = url[3] or ""
    return url[1] + url[2] + query[len(query.rstrip(_STOPS)) :]
