"""The model card of a run, so that its checkpoints can be used as they are.

geodetect SCENE --model RUN/best.ckpt --card RUN/model.yaml
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geodetect.card import ANCHORS, Heads, Input, ModelCard, Network, Thresholds
from geodetect.errors import ConfigError
from training.run.config import TrainConfig
from training.run.transfer import variant

if TYPE_CHECKING:
    from training.data.index import Index
    from training.scoring import Scores

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_FILL = 114  # 0..255, grey
_DEFAULT_ANCHORS = {  # width, height, px, small to large; of the families' authors, found on COCO
    "yolov3": (10, 13, 16, 30, 33, 23, 30, 61, 62, 45, 59, 119, 116, 90, 156, 198, 373, 326),
    "yolov4": (12, 16, 19, 36, 40, 28, 36, 75, 76, 55, 72, 146, 142, 110, 192, 243, 459, 401),
    "yolov3-tiny": (10, 14, 23, 27, 37, 58, 81, 82, 135, 169, 344, 319),
    "3l": (4, 7, 7, 15, 13, 25, 25, 42, 41, 75, 75, 94, 91, 162, 158, 205, 250, 332),  # of YOLOv3-Tiny's variant
}
_SCALE_XY = {"yolov3": (1.0, 1.0, 1.0), "yolov4": (1.05, 1.1, 1.2), "yolov3-tiny": (1.1, 1.2), "3l": (1.1, 1.2, 1.2)}
_SCORES = (0.05, 0.95)  # a default threshold is kept within


def family_heads(family: str, anchors: Sequence[float] = (), variant: str = "mindspore") -> Heads:
    """Return how the heads of a family are decoded, as the model zoo has it.

    Args:
        family: one of `geodetect.card.FAMILIES`.
        anchors: widths and heights in turn, canvas px, small to large; empty: the authors'.
        variant: one of `geodetect.card.VARIANTS` of the family.

    Raises:
        ConfigError: there are not three anchors a head.
    """
    strides, known = Network(family, variant).strides, variant if variant in _DEFAULT_ANCHORS else family
    values, needed = anchors or _DEFAULT_ANCHORS[known], 2 * ANCHORS * len(strides)
    if len(values) != needed:
        raise ConfigError(f"anchors has {len(values)} numbers, {family} of variant {variant} needs {needed}")
    pairs = np.asarray(values, np.float64).reshape(-1, ANCHORS, 2)
    levels = tuple(tuple((float(w), float(h)) for w, h in level) for level in pairs[::-1])
    return Heads(levels, strides, _SCALE_XY[known])


def make_card(config: TrainConfig, index: Index, start: ModelCard | None, folder: Path) -> ModelCard:
    """Return the card of a run.

    What the settings leave open is that of the model it starts from, whose weights were trained so; else ImageNet's
    mean and deviation, letterbox, and the family's anchors.

    Args:
        config: of the run.
        index: of the training images.
        start: card of the model that the run starts from.
        folder: of the run.
    """
    family = config.network
    same = start.input if start else Input(config.canvas, mean=IMAGENET_MEAN, std=IMAGENET_STD, fill=_FILL)
    model_input = dataclasses.replace(
        same,
        size=config.canvas,
        tile=usual_side(index.sizes),
        mean=config.mean or same.mean,
        std=config.std or same.std,
        resize=config.resize or same.resize,
        fill=same.fill if config.fill is None else config.fill,
        gsd=(config.gsd[0], config.gsd[1]) if config.gsd else prepared_gsd(index.root),
    )
    network = Network(family, variant(config, start))
    kept = start is not None and not config.anchors and start.network.strides == network.strides
    heads = start.heads if start and kept else family_heads(family, config.anchors, network.variant)
    terms = f"as {start.name}, from which it was fine-tuned: {start.licence}" if start and start.licence else ""
    return ModelCard(
        name=model_name(config.name or folder.name),
        network=network,
        classes=index.classes,
        input=model_input,
        heads=heads,
        description=f"{family} for {', '.join(index.classes)}"[:200],
        licence=terms,
        attribution=start.attribution if start else "",
        training_data=f"{len(index)} images with {int((~index.ignored).sum())} objects",
    )


def with_scores(card: ModelCard, scores: Scores) -> ModelCard:
    """Return the card with an evaluation's figures, and with the score of the best F1 as each class's threshold."""
    least = {
        item.name: round(float(np.clip(item.best_score, *_SCORES)), 2)
        for item in scores.per_class
        if item.name in card.classes and np.isfinite(item.best_score)
    }
    before = card.thresholds.score
    others = before if isinstance(before, Mapping) else dict.fromkeys(card.classes, before)
    figures = {"AP": round(scores.ap, 3), "AP50": round(scores.ap50, 3)}
    thresholds: Thresholds = dataclasses.replace(card.thresholds, score={**others, **least})
    return dataclasses.replace(
        card, thresholds=thresholds, metrics={f"all classes, {scores.images} validation images": figures}
    )


def prepared_gsd(root: Path) -> tuple[float, float] | None:
    """Return the finest and coarsest ground sample distance, m/px, that `geodetect prepare` found in a data set."""
    try:
        gsd = json.loads((root / "report.json").read_text("utf-8"))["gsd"]
        finest, coarsest = float(gsd[0]), float(gsd[-1])
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None  # the report is for people: a data set is as good without
    return (finest, coarsest) if 0 < finest <= coarsest < float("inf") else None


def usual_side(sizes: np.ndarray) -> int:
    """Return the longer side, px, that most images have, 0 where less than half agree.

    Args:
        sizes: (N, 2) widths and heights, px.
    """
    sides, counts = np.unique(sizes.max(axis=1), return_counts=True)
    return int(sides[counts.argmax()]) if 2 * counts.max() >= len(sizes) else 0


def model_name(text: str) -> str:
    """Return a text as the name of a model: letters, digits, dots, dashes and underscores."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")
    return name or "model"
