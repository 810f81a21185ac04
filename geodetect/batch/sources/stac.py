"""Scenes of STAC items, item collections, collections and catalogues."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from geodetect.batch.sources.entries import Origin, is_address, printable
from geodetect.batch.sources.folders import RASTERS
from geodetect.batch.sources.lists import MOST_SCENES
from geodetect.batch.sources.remote import read
from geodetect.errors import ConfigError

if TYPE_CHECKING:
    import pystac

MOST_BYTES = 16 << 20  # of a document
MOST_DOCUMENTS = 10_000
_DEEPEST = 64  # levels of a document; those of real items are 10 or so
_IMAGE_TYPES = ("image/tiff", "image/vnd.stac.geotiff", "image/jp2", "image/png", "image/jpeg", "image/webp", "geotiff")
_ASIDE = {"thumbnail", "metadata"}  # roles of what shows or describes the scene but is not it


def stac_scenes(address: str, allow_vsi: bool = False) -> list[str]:
    """Return the scene of each item that a STAC document is or leads to, in its order.

    Of an item's assets `visual` is taken, else the one that is meant to be looked at, else the one with the data; links
    to items, children and next pages are followed, each document is read once.

    Args:
        address: of the document, a path or an address.
        allow_vsi: see `Origin`.

    Raises:
        ConfigError: a document is no STAC or too large, there are too many of them, or an item has several assets
            that could be meant.
        DownloadError: a server does not give a document.
    """
    walk = _Walk(allow_vsi)
    waiting, seen = [address], {address}
    while waiting:
        here = waiting.pop()
        if walk.read >= MOST_DOCUMENTS:
            advice = "give an item collection of the scenes that you need, or a part of the catalogue"
            raise ConfigError(f"{printable(address)} leads to more than {MOST_DOCUMENTS:,} documents; {advice}")
        links = [link for link in dict.fromkeys(walk.visit(here)) if link not in seen]
        seen.update(links)
        waiting += reversed(links)
    if not walk.scenes:
        raise ConfigError(f"{printable(address)} has no items; check that the catalogue is complete")
    return walk.scenes


@dataclass
class _Walk:
    """What the documents visited so far hold."""

    allow_vsi: bool
    scenes: list[str] = field(default_factory=list)
    read: int = 0

    def visit(self, address: str) -> list[str]:
        """Keep a document's scenes and return what it leads to."""
        document, place = _document(address)
        self.read += 1
        if document.get("type") == "FeatureCollection":
            features = document.get("features")
            for number, item in enumerate(features if isinstance(features, list) else []):
                self._keep(item, _own_place(item) or place, f"{printable(place)}, item {number + 1}")
            return self._links(document, place, ("next",))
        if _kind(document, place) == "item":
            self._keep(document, place, printable(place))
            return []
        links = self._links(document, place, ("item", "child"))
        return links or self._links(document, place, ("items",))  # of an API

    def _keep(self, item: Any, place: str, where: str) -> None:
        if len(self.scenes) >= MOST_SCENES:
            raise ConfigError(f"{where}: there are more than {MOST_SCENES:,} items; split the collection into several")
        self.scenes.append(Origin(place, self.allow_vsi).resolve(_scene_of(item, where), where))

    def _links(self, document: Mapping[str, Any], place: str, kinds: Sequence[str]) -> list[str]:
        """Return where a document's links of some kinds lead."""
        origin = Origin(place, self.allow_vsi)
        links = document.get("links")
        found = []
        for link in links if isinstance(links, list) else []:
            if isinstance(link, dict) and link.get("rel") in kinds:
                if link.get("method", "GET") != "GET" or not isinstance(link.get("href"), str):
                    problem = f"the link to its {link['rel']} cannot be followed"
                    raise ConfigError(f"{printable(place)}: {problem}; save the items as a file and give that")
                found.append(origin.resolve(link["href"], printable(place)))
        return found


def _document(address: str) -> tuple[dict[str, Any], str]:
    content, place = read(address, MOST_BYTES)
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else printable(str(error))
        raise ConfigError(f"{printable(place)} is no JSON document ({reason}); check the file") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{printable(place)} is no STAC document; give an item, a collection or a catalogue")
    if _is_deep(document):
        raise ConfigError(f"{printable(place)} is nested too deeply, by more than {_DEEPEST} levels; it is no STAC")
    return document, place


def _is_deep(document: Any) -> bool:
    level = [document]
    for _ in range(_DEEPEST):
        level = [part for value in level for part in _parts(value) if isinstance(part, dict | list)]
        if not level:
            return False
    return True


def _parts(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value


def _kind(document: dict[str, Any], place: str) -> str:
    """Return "item", "collection" or "catalog"."""
    from pystac.serialization import identify_stac_object_type

    try:
        kind = identify_stac_object_type(document)
    except Exception:  # a version that is no number, or no text, or anything
        kind = None
    if kind is None:
        raise ConfigError(f"{printable(place)} is no STAC document; give an item, a collection or a catalogue")
    return "item" if kind == "Feature" else str(kind.value).lower()


def _own_place(item: Any) -> str:
    """Return the address that an item in a collection says it has, which its assets are relative to."""
    links = item.get("links") if isinstance(item, dict) else None
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("rel") == "self" and isinstance(link.get("href"), str):
            return link["href"] if is_address(link["href"]) else ""
    return ""


def _scene_of(document: Any, where: str) -> str:
    """Return the address of the asset to look for objects in, as the item has it."""
    import pystac

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of items that are marked as deprecated
            item = pystac.Item.from_dict(document)
        assets = {key: asset for key, asset in item.assets.items() if isinstance(asset.href, str)}
    except Exception as error:  # pystac takes all values for what they should be
        raise ConfigError(f"{where}: it is no valid STAC item; check it with a STAC validator") from error
    chosen = _choose(assets)
    if len(chosen) == 1:
        return document["assets"][chosen[0]]["href"]  # pystac turns its backslashes
    if not chosen:
        problem = f"has no image among its assets ({_names(assets)}); list the scenes in a .txt file"
    else:
        problem = f"has several images ({_names(chosen)}) and none is called visual; list those you mean in a .txt file"
    raise ConfigError(f"{where}: {printable(str(item.id))} {problem}, or stack bands with gdalbuildvrt -separate")


def _choose(assets: Mapping[str, pystac.Asset]) -> list[str]:
    """Return the names of the assets that may be meant: one, or those that nothing tells apart."""
    images = [key for key, asset in assets.items() if _is_image(asset) and not _roles(asset) & _ASIDE]
    choices = (
        [key for key in images if key.lower() == "visual"],
        [key for key in images if "visual" in _roles(assets[key])],
        [key for key in images if "data" in _roles(assets[key]) and _bands(assets[key]) >= 3],
        [key for key in images if "data" in _roles(assets[key])],
        [key for key in images if not _roles(assets[key])],
        [key for key in images if "overview" in _roles(assets[key])],
        images,
    )
    return next((choice for choice in choices if choice), [])


def _is_image(asset: pystac.Asset) -> bool:
    if asset.media_type:
        return any(kind in str(asset.media_type).lower() for kind in _IMAGE_TYPES)
    return asset.href.split("?")[0].lower().endswith(RASTERS)


def _roles(asset: pystac.Asset) -> set[str]:
    return {str(role).lower() for role in asset.roles} if isinstance(asset.roles, list) else set()


def _bands(asset: pystac.Asset) -> int:
    """Return how many bands an asset says it has, 0 where it says nothing."""
    told = (asset.extra_fields.get(name) for name in ("bands", "eo:bands", "raster:bands"))
    return max((len(bands) for bands in told if isinstance(bands, list)), default=0)


def _names(keys: Sequence[str] | Mapping[str, Any]) -> str:
    shown = ", ".join(printable(str(key)) for key in list(keys)[:8])
    return (shown + (", ..." if len(keys) > 8 else "")) or "none"
