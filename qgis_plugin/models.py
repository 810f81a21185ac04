"""The models that the engine knows, as its own commands describe them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Callable

from .core.engine_process import EngineError, run_engine
from .engine import fingerprint
from .settings import recall, remember

DEFAULT = "planes-ships-yolov3-tiny"  # comes with the engine
LICENCE = "Research and other non-commercial use, with attribution"  # its licence, until the engine tells it
LICENCES = "models/licences"  # setting: names and licences known last, for dialogs that have no time to ask
SCORE = 0.25  # where a card states none, as the engine has it
OLD = 60.0  # s after which the user may have fetched or imported a model elsewhere
# The engine's colours for classes whose model states none, in its order.
PALETTE = (
    "#e6194b", "#4363d8", "#3cb44b", "#ffe119", "#f58231", "#911eb4", "#46f0f0", "#f032e6", "#bcf60c",
    "#fabebe", "#008080", "#9a6324", "#800000", "#aaffc3", "#808000", "#000075", "#ffd8b1", "#e6beff",
)  # fmt: skip

_known: dict[tuple[object, ...], tuple[float, tuple[ModelInfo, ...]]] = {}  # by engine: when it was asked, its answer
_lock = threading.Lock()


@dataclass(frozen=True)
class ModelInfo:
    """What a model says of itself.

    Attributes:
        classes: what it finds.
        colours: "#rrggbb", one a class.
        scores: least score by default, 0..1, one a class.
        gsd: ground sample distances that it works for, m/px, finest and coarsest; None where it states none.
        licence, attribution: to be shown wherever the model is chosen and with whatever it found.
        summary: a sentence or two of what it is.
        limitations: what it is known to be bad at.
        state: "bundled", "installed" or "not downloaded".
        size: bytes, 0 where unknown.
    """

    name: str
    family: str = ""
    version: str = ""
    classes: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    gsd: tuple[float, float] | None = None
    licence: str = ""
    attribution: str = ""
    summary: str = ""
    limitations: str = ""
    state: str = ""
    size: int = 0


def known_models(python: str, is_cancelled: Callable[[], bool] = lambda: False) -> list[ModelInfo]:
    """Return the models that the engine in a Python can use or fetch; asks the engine once, which takes a second.

    Callable from any thread. A model whose card is broken is left out. What is `outdated` is asked for again.

    Raises:
        EngineError: the engine does not answer.
        EngineCancelled: `is_cancelled` said so.
    """
    known = cached_models(python)
    if known is None or outdated(python):
        key = fingerprint(python)  # before asking: what changes meanwhile is asked for again
        entries = json.loads(run_engine(python, ["models", "list", "--json"], is_cancelled=is_cancelled).text)
        names = [str(entry["name"]) for entry in entries if not entry.get("problem")]
        with ThreadPoolExecutor(4) as pool:  # each is a process of its own that mostly waits for its disk
            found = list(pool.map(lambda name: _info(python, name, is_cancelled), names))
        known = [model for model in found if model is not None]
        with _lock:
            _known[key] = (time.monotonic(), tuple(known))
        remember(LICENCES, json.dumps({model.name: model.licence for model in known}))
    return known


def cached_models(python: str) -> list[ModelInfo] | None:
    """Return the models where they are known without asking the engine, else None. Takes no time."""
    with _lock:
        known = _known.get(fingerprint(python))
    return None if known is None else list(known[1])


def outdated(python: str) -> bool:
    """Whether models are known, but since so long that there may be others by now. Takes no time."""
    with _lock:
        known = _known.get(fingerprint(python))
    return known is not None and time.monotonic() - known[0] > OLD


def forget_models() -> None:
    """Ask the engine again the next time, after a model or the engine was installed or removed."""
    with _lock:
        _known.clear()


def model_info(python: str, name: str, is_cancelled: Callable[[], bool] = lambda: False) -> ModelInfo:
    """Return what one model says of itself: a name, or a model's folder.

    Raises:
        EngineError: there is no such model, its card is broken, or the engine does not answer.
        EngineCancelled: `is_cancelled` said so.
    """
    known = next((model for model in cached_models(python) or [] if model.name == name), None)
    return known if known is not None else _asked(python, name, is_cancelled)


def licences() -> dict[str, str]:
    """Return names of models with their licences, as they were known last; the default first. Takes no time."""
    try:
        known = json.loads(recall(LICENCES, "{}"))
    except ValueError:
        known = {}
    return {DEFAULT: LICENCE, **(known if isinstance(known, dict) else {})}


def _info(python: str, name: str, is_cancelled: Callable[[], bool]) -> ModelInfo | None:
    try:
        return _asked(python, name, is_cancelled)
    except EngineError as error:
        if error.kind != "failed":
            raise
        return None  # its card cannot be read, which is this model's fault alone


def _asked(python: str, name: str, is_cancelled: Callable[[], bool]) -> ModelInfo:
    words = ["models", "info", "--json", "--", name]
    return _parsed(json.loads(run_engine(python, words, is_cancelled=is_cancelled).text))


def _parsed(told: Mapping[str, Any]) -> ModelInfo:
    card: Mapping[str, Any] = told["card"]
    classes = tuple(str(name) for name in card["classes"])
    score = card.get("thresholds", {}).get("score", SCORE)
    scores = score if isinstance(score, Mapping) else dict.fromkeys(classes, score)
    gsd = card.get("input", {}).get("gsd")
    return ModelInfo(
        name=str(told["name"]),
        family=str(told.get("family", "")),
        version=str(card.get("version", "")),
        classes=classes,
        colours=tuple(card.get("colours") or (PALETTE[i % len(PALETTE)] for i in range(len(classes)))),
        scores={name: float(scores.get(name, SCORE)) for name in classes},
        gsd=(float(gsd[0]), float(gsd[1])) if gsd else None,
        licence=str(card.get("licence", "")),
        attribution=str(card.get("attribution", "")),
        summary=str(card.get("description", "")),
        limitations=str(card.get("limitations", "")),
        state=str(told.get("state", "")),
        size=int(told.get("size") or 0),
    )
