"""Which bands of a raster the network sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from geodetect.errors import SceneError


@dataclass(frozen=True)
class BandChoice:
    """The bands to read, counted from 1, and one sentence on how they were chosen."""

    indexes: tuple[int, ...]
    reason: str


def choose_bands(
    wanted: Sequence[str | int] | None,
    needed: Sequence[str],
    interpretations: Sequence[str],
    descriptions: Sequence[str | None],
    scene: str,
) -> BandChoice:
    """Return the bands for the network's inputs.

    Args:
        wanted: the user's choice, numbers from 1 or names; None chooses by the raster's own description.
        needed: what the network takes, such as ("red", "green", "blue").
        interpretations: the raster's colour interpretation, one lower-case name a band.
        descriptions: the raster's band descriptions.
        scene: the raster's name, for messages.

    Raises:
        SceneError: too few bands, a band that is not there, or a wrong number of them.
    """
    names = [(description or "").strip().lower() for description in descriptions]
    if wanted:
        indexes = tuple(_find(band, interpretations, names, scene) for band in wanted)
        if len(indexes) != len(needed):
            raise SceneError(
                f"{len(indexes)} bands were chosen for {scene}, but the model takes {len(needed)} "
                f"({', '.join(needed)}); give as many with --bands"
            )
        return BandChoice(indexes, "as chosen")
    for known, how in ((list(interpretations), "colour interpretation"), (names, "band descriptions")):
        if all(name in known for name in needed):
            return BandChoice(tuple(known.index(name) + 1 for name in needed), f"by {how}")
    colours = [i for i, kind in enumerate(interpretations, 1) if kind != "alpha"]
    if len(colours) < len(needed):
        repeated = ",".join(["1"] * len(needed))
        raise SceneError(
            f"{scene} has {len(colours)} band{'s' if len(colours) != 1 else ''}, but the model takes {len(needed)} "
            f"({', '.join(needed)}); to use a band more than once, give --bands {repeated}"
        )
    return BandChoice(
        tuple(colours[: len(needed)]),
        f"the first {len(needed)}, since the raster does not say which are {', '.join(needed)}; choose with --bands",
    )


def _find(band: str | int, interpretations: Sequence[str], names: Sequence[str], scene: str) -> int:
    text = str(band).strip().lower()
    if text.isdecimal():
        if 1 <= int(text) <= len(interpretations):
            return int(text)
        raise SceneError(f"{scene} has no band {text}, only 1 to {len(interpretations)}; choose others with --bands")
    for known in (list(interpretations), list(names)):
        if text in known:
            return known.index(text) + 1
    known_names = sorted({*interpretations, *filter(None, names)})
    raise SceneError(f"{scene} has no band {text!r}, only {', '.join(known_names)}; choose by number with --bands")
