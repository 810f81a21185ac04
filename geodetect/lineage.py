"""What the runs behind several results tell: who made a feature, under which class names, thresholds and colours.

Rows of runs are read from files, so nothing in them is trusted to be there or of any type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from geodetect import registry
from geodetect.card import PALETTE
from geodetect.errors import ConfigError
from geodetect.features import Features

if TYPE_CHECKING:
    from rasterio.crs import CRS

Run = dict[str, Any]
_IOU = 0.45  # where a run tells of none


def gather_runs(results: Sequence[tuple[Features, Sequence[Run]]]) -> tuple[list[Run], np.ndarray]:
    """Return the rows of all runs, each once and by time, and which of them each feature comes from (N,), -1 for none.

    A run's id is no key: it is short, and the file may come from anybody. So runs are the same when all of their rows
    is, and a feature's run has its id and its scene.
    """
    import pandas

    rows: list[Run] = []
    known: dict[str, int] = {}
    numbers = [np.empty(0, np.intp)]
    for features, told in results:
        here: dict[tuple[str, str], int] = {}
        for one in told:
            run = {key: _plain(value) for key, value in one.items() if key != "fid" and value is not None}
            run.setdefault("crs", crs_name(features.crs))
            number = known.setdefault(json.dumps(run, sort_keys=True, default=repr), len(rows))
            if number == len(rows):
                rows.append(run)
            here.setdefault((str(run.get("run_id", "")), str(run.get("scene", ""))), number)
        ids, id_names = pandas.factorize(features.columns["run_id"])
        scenes, scene_names = pandas.factorize(features.columns["scene"])
        pairs, inverse = np.unique(ids * len(scene_names) + scenes, return_inverse=True)
        keys = [(id_names[pair // len(scene_names)], scene_names[pair % len(scene_names)]) for pair in pairs.tolist()]
        found = np.array([here.get(key, -1) for key in keys], np.intp)
        numbers.append(found[inverse.reshape(-1)])
    order = sorted(
        range(len(rows)), key=lambda n: [str(rows[n].get(key, "")) for key in ("created", "run_id", "scene")]
    )
    place = np.append(np.argsort(np.array(order, np.intp)), -1)
    return [rows[number] for number in order], place[np.concatenate(numbers)]


def gather_classes(
    columns: dict[str, np.ndarray], runs: Sequence[Mapping[str, Any]]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return all classes and each feature's label (N,); `class_id` becomes the label where models differ in it."""
    import pandas

    codes, names = pandas.factorize(columns["class"], sort=True)
    pairs = pandas.DataFrame({"code": codes, "id": columns["class_id"]}).drop_duplicates()
    listed = [name for run in runs if isinstance(scores := run.get("scores"), dict) for name in scores]
    told = dict.fromkeys(name for name in listed if name and name.isprintable())
    rest = pairs.sort_values(["id", "code"])["code"]
    classes = tuple(dict.fromkeys([*told, *(names[code] for code in rest)]))
    place = {name: number for number, name in enumerate(classes)}
    labels = np.array([place[name] for name in names], np.int32)[codes] if len(codes) else np.empty(0, np.int32)
    if not pairs["code"].is_unique or not pairs["id"].is_unique:
        columns["class_id"] = labels
    return classes, labels


def thresholds(
    classes: Sequence[str], runs: Sequence[Mapping[str, Any]], asked: float | Mapping[str, float] | None
) -> np.ndarray:
    """Return the IoU (K,) above which two features of a class are one object."""
    limits: dict[str, float] = {}
    for run in runs:
        ious = run.get("ious")
        for name, iou in ious.items() if isinstance(ious, dict) else ():
            if _is_share(iou):
                limits[name] = max(limits.get(name, 0.0), iou)
    wanted = asked if isinstance(asked, Mapping) else {} if asked is None else dict.fromkeys(classes, asked)
    for name, iou in wanted.items():
        if name not in classes:
            raise ConfigError(
                f"iou names {name!r}, which no result has; the classes are {', '.join(classes) or 'none'}"
            )
        if not _is_share(iou):
            raise ConfigError(f"iou is {iou!r}, give a number from 0 to 1, for all classes or each")
    limits.update(wanted)
    return np.array([limits.get(name, _IOU) for name in classes], np.float64)


def uneven_scores(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return the classes that runs had different least scores for, and these, as text; "" where there are none."""
    told: dict[str, list[float]] = {}
    for run in runs:
        scores = run.get("scores")
        for name, score in scores.items() if isinstance(scores, dict) else ():
            if _is_share(score) and name.isprintable():
                told.setdefault(name, []).append(score)
    uneven = [f"{name} {min(scores):g} to {max(scores):g}" for name, scores in told.items() if len(set(scores)) > 1]
    return ", ".join([*uneven[:8], *(["…"] if len(uneven) > 8 else [])])


def colours_of(classes: Sequence[str], runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a colour a class: that of the runs' models as far as they are known here, else one of the palette's."""
    cards = {entry.name: entry.card for entry in registry.catalogue() if entry.card}
    known: dict[str, str] = {}
    for card in filter(None, (cards.get(str(run.get("model"))) for run in runs)):
        known = dict(zip(card.classes, card.palette, strict=True)) | known
    free = cycle([colour for colour in PALETTE if colour not in known.values()] or PALETTE)
    return [known.get(name) or next(free) for name in classes]


def crs_of(run: Mapping[str, Any]) -> CRS | None:
    """Return the CRS of a run's footprint, None where it tells of none that is known."""
    return _known_text(str(run["crs"])) if run.get("crs") else None


def known_crs(told: Any) -> CRS | None:
    """Return the CRS that a text, a code or whatever else rasterio understands stands for; None where it is none."""
    import rasterio
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        with rasterio.Env():  # without it GDAL prints what it does not understand
            return CRS.from_user_input(told)
    except (CRSError, ValueError, TypeError, AttributeError, LookupError, RecursionError):  # what is told may be JSON
        return None


_known_text = lru_cache(64)(known_crs)  # many runs have one CRS


def crs_name(crs: CRS | None) -> str:
    """Return a CRS as text, its code where it has one; "" for none."""
    return "" if crs is None else crs.to_string()


def _plain(value: Any) -> Any:
    """Return a whole number as one: other rows may have made its column one of fractions."""
    return int(value) if isinstance(value, float) and abs(value) < 1 << 53 and value.is_integer() else value


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
