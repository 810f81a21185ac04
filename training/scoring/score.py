"""From a model and labelled images to its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geodetect.card import ModelCard
from geodetect.config import ClassRules, DetectConfig
from geodetect.detections import Detections
from geodetect.errors import LabelError
from geodetect.progress import SILENT, Reporter
from training.scoring.classes import ClassMap
from training.scoring.coco import evaluate
from training.scoring.confusion import confusion
from training.scoring.find import find
from training.scoring.result import Scores
from training.scoring.settings import ScoreSettings

if TYPE_CHECKING:
    from geodetect.engines import Engine
    from training.data.index import Index


def score(
    engine: Engine,
    card: ModelCard,
    index: Index,
    settings: ScoreSettings = ScoreSettings(),  # noqa: B008 - frozen
    reporter: Reporter = SILENT,
) -> Scores:
    """Return the figures of a model on the images of an index, each image taken as one canvas.

    Args:
        engine: runs the network on canvases of `card.input.size` px; for a network in training see `LiveNetwork`.
        card: of the model.
        index: images and objects.
        settings: how detections are made and counted.
        reporter: is told progress and notes, and may cancel.

    Raises:
        LabelError: the index holds no image, shares no class with the model, or an image cannot be read.
        ModelError: the network's heads are not what the card says.
    """
    check(card, index)
    return score_found(find(engine, card, index, settings, reporter), card, index, settings, reporter)


def check(card: ModelCard, index: Index) -> ClassMap:
    """Return which classes model and data share; raises LabelError where there is nothing to score."""
    if not len(index):
        raise LabelError(f"{index.root} holds no image to score the model on; choose another split")
    return ClassMap.of(card.classes, index.classes)


def score_found(
    found: Detections,
    card: ModelCard,
    index: Index,
    settings: ScoreSettings = ScoreSettings(),  # noqa: B008 - frozen
    reporter: Reporter = SILENT,
) -> Scores:
    """Return the figures of detections that are there already; see `score` and `find`."""
    classes = check(card, index)
    notes = list(classes.notes)
    if not len(index.boxes):
        notes.append("the images hold no object, so that no figure but the false alarms is defined")
    for note in notes:
        reporter.note(note)
    of_data = classes.apply(found)
    least = _least_scores(card, classes, settings)
    figures = evaluate(index, of_data, classes.shared, settings.counts())
    return Scores.of(
        figures,
        tuple(index.classes[label] for label in classes.shared),
        tuple(least.tolist()),
        confusion=confusion(index, of_data, classes.shared, least),
        images=len(index),
        max_detections=settings.counts(),
        notes=tuple(notes),
    )


def _least_scores(card: ModelCard, classes: ClassMap, settings: ScoreSettings) -> np.ndarray:
    """Return the score from which a user would be shown what was found, of each shared class (C,)."""
    scores = np.array(ClassRules.of(DetectConfig(score=settings.score), card).scores)
    return np.array([scores[classes.labels == label].min() for label in classes.shared])
