"""Pictures of figures: they are drawn whatever the figures are."""

import sys

import numpy as np
import pytest
from PIL import Image
from scored import card, make_index, random_found, random_index

from geodetect.detections import Detections
from geodetect.errors import OutputError, TrainingError
from training.scoring import score_found
from training.scoring.pictures import draw_confusion, draw_curves


def made(kind):
    if kind == "many":
        classes = tuple(f"class-{i}" for i in range(30))
        index = random_index(0, images=40, classes=classes)
        return score_found(random_found(index), card(classes), index)
    index = make_index([([], [], [])]) if kind == "without objects" else random_index(0)
    found = random_found(index) if kind == "usual" else Detections.empty()
    return score_found(found, card(), index)


@pytest.mark.parametrize("kind", ["usual", "many", "without objects", "without detections"])
def test_pictures_are_drawn(kind, tmp_path):
    scores = made(kind)
    draw_curves(tmp_path / "c.png", scores)
    draw_confusion(tmp_path / "m.png", scores)
    for name in ("c.png", "m.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 300
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.png", "m.png"]


def test_the_dot_lies_on_the_curve():
    for row in made("without detections").per_class:
        assert np.isnan(row.best_score)
    for row in made("usual").per_class:
        precision, recall, score = row.curve.T
        at = np.flatnonzero(score >= row.best_score)[-1]
        assert 2 * precision[at] * recall[at] / (precision[at] + recall[at]) == pytest.approx(row.best_f1)


def test_what_is_missing_or_not_writable_is_said(tmp_path, monkeypatch):
    scores = made("usual")
    with pytest.raises(OutputError):
        draw_curves(tmp_path / "none" / "c.png", scores)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(TrainingError, match="matplotlib"):
        draw_curves(tmp_path / "c.png", scores)
