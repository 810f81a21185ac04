"""Figures of detections: COCO's own code, geodetect's, and cases that can be told by hand."""

import contextlib
import dataclasses
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scored import CLASSES, card, make_index, random_found, random_index

from geodetect.detections import Detections
from geodetect.errors import ConfigError, LabelError
from geodetect.evaluation import compare
from geodetect.progress import Reporter
from training.scoring import ScoreSettings, score_found
from training.scoring.classes import ClassMap
from training.scoring.coco import names
from training.scoring.files import write_coco
from training.scoring.find import strongest


class Listener(Reporter):
    def __init__(self):
        self.notes = []

    def note(self, message):
        self.notes.append(message)


def by_reference(index, found, tmp_path):
    """Return what pycocotools prints and figures when it reads files."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations = []
    for number in range(len(index)):
        for box, label, ignored in zip(*index.objects(number), strict=True):
            x1, y1, x2, y2 = box.astype(float).tolist()
            row = {"image_id": int(index.ids[number]), "category_id": int(label) + 1, "iscrowd": int(ignored)}
            row |= {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
            annotations.append(row | {"id": len(annotations) + 1})
    truth = {
        "images": [{"id": int(i)} for i in index.ids],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(index.classes)],
        "annotations": annotations,
    }
    boxes = np.concatenate([found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]], axis=1)
    rows = zip(index.ids[found.tiles].tolist(), (found.labels + 1).tolist(), boxes.tolist(),
               found.scores.astype(float).tolist(), strict=True)  # fmt: skip
    result = [dict(zip(("image_id", "category_id", "bbox", "score"), row, strict=True)) for row in rows]
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "found.json").write_text(json.dumps(result))
    with contextlib.redirect_stdout(io.StringIO()):
        loaded = COCO(str(tmp_path / "truth.json"))
        run = COCOeval(loaded, loaded.loadRes(str(tmp_path / "found.json")), "bbox")
        run.evaluate()
        run.accumulate()
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        run.summarize()
    return run, printed.getvalue().splitlines()


@pytest.mark.parametrize(("seed", "ignored"), [(0, 0.0), (1, 0.3), (2, 0.3)])
def test_twelve_lines_are_those_of_pycocotools(seed, ignored, tmp_path):
    index = random_index(seed, ignored=ignored)
    found = random_found(index, seed)
    scores = score_found(found, card(), index)
    run, lines = by_reference(index, found, tmp_path)
    assert list(scores.lines[:12]) == lines
    assert (len(scores.lines) > 12) == (-1 in scores.coco)
    np.testing.assert_allclose(scores.coco, run.stats, atol=1e-12)
    precision = run.eval["precision"][..., 0, -1]
    for label, row in enumerate(scores.per_class):
        assert row.ap == pytest.approx(precision[:, :, label].mean(), abs=1e-12)
        assert row.ap50 == pytest.approx(precision[0, :, label].mean(), abs=1e-12)
        assert row.recall == pytest.approx(run.eval["recall"][0, label, 0, -1], abs=1e-12)
    assert scores.ap == scores.coco[0]
    assert scores.ap50 == scores.coco[1]


@pytest.mark.parametrize("seed", range(3))
def test_classes_are_those_of_the_core_s_comparison(seed):
    index = random_index(seed)
    found = random_found(index, seed)
    images = np.repeat(np.arange(len(index)), np.diff(index.offsets))
    core = compare(
        found.boxes, found.scores, np.take(CLASSES, found.labels).tolist(), index.boxes,
        np.take(CLASSES, index.labels).tolist(), images=found.tiles, truth_images=images,
    )  # fmt: skip
    expected = {row.name: row for row in core.classes}
    for row in score_found(found, card(), index).per_class:
        for name in ("ap", "ap50", "best_f1", "best_score"):
            assert getattr(row, name) == pytest.approx(getattr(expected[row.name], name), abs=1e-9), (row.name, name)
        assert (row.truths, row.detections) == (expected[row.name].truths, expected[row.name].detections)


@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.3, 0.6, 1.0]))
def test_what_is_shown_is_counted_as_the_core_s_comparison_counts_it(seed, least):
    index = random_index(seed)
    found = random_found(index, seed)
    images = np.repeat(np.arange(len(index)), np.diff(index.offsets))
    shown = found[found.scores >= least]
    core = compare(
        shown.boxes, shown.scores, np.take(CLASSES, shown.labels).tolist(), index.boxes,
        np.take(CLASSES, index.labels).tolist(), images=shown.tiles, truth_images=images,
    )  # fmt: skip
    expected = {row.name: row for row in core.classes}
    for row in score_found(found, card(), index, ScoreSettings(score=least)).per_class:
        ours = (row.least, row.f1, row.shown_precision, row.shown_recall)
        theirs = (least, *(getattr(expected[row.name], name) for name in ("f1", "precision", "recall")))
        assert ours == pytest.approx(theirs, nan_ok=True), row.name


def test_perfect_detections_score_one():
    index = random_index(3)
    images = np.repeat(np.arange(len(index)), np.diff(index.offsets))
    found = Detections.of(index.boxes, np.full(len(index.boxes), 0.9), index.labels, images)
    scores = score_found(found, card(), index)
    assert scores.ap == scores.ap50 == pytest.approx(1)
    np.testing.assert_array_equal(scores.confusion, np.diag(np.append(np.bincount(index.labels, minlength=3), 0)))


def test_no_detection_at_all_gives_zeros():
    index = random_index(0)
    scores = score_found(Detections.empty(), card(), index)
    assert scores.ap == scores.ap50 == scores.per_class[0].recall == 0
    assert np.isnan(scores.per_class[0].best_f1)
    np.testing.assert_array_equal(scores.confusion[:-1, -1], np.bincount(index.labels))
    assert scores.confusion.sum() == len(index.boxes)


def test_images_without_any_object_give_no_figure_but_false_alarms():
    index = make_index([([], [], [])] * 3)
    found = Detections.of([[1, 1, 9, 9], [2, 2, 30, 30]], [0.9, 0.2], [0, 1], [0, 2])
    listener = Listener()
    scores = score_found(found, card(), index, reporter=listener)
    assert set(scores.coco) == {-1.0}
    assert scores.to_dict()["coco"]["AP50"] is None
    assert scores.to_dict()["classes"]["plane"]["ap"] is None
    assert scores.confusion.tolist() == [[0] * 4] * 3 + [[1, 0, 0, 0]]  # 0.2 is below the card's 0.25
    assert any("no object" in note for note in listener.notes)
    json.dumps(scores.to_dict(), allow_nan=False)


def test_an_empty_index_is_refused():
    with pytest.raises(LabelError, match="no image"):
        score_found(Detections.empty(), card(), make_index([]))


def test_detections_in_an_ignored_object_count_nowhere():
    index = make_index([([[0, 0, 20, 20], [40, 40, 90, 90]], [0, 0], [False, True])])
    boxes = [[0, 0, 20, 20], [42, 42, 60, 60], [65, 65, 88, 88], [41, 41, 90, 90]]
    scores = score_found(Detections.of(boxes, [0.6, 0.9, 0.8, 0.7], [0] * 4, [0] * 4), card(), index)
    plane = scores.per_class[0]
    assert (plane.truths, plane.detections) == (1, 1)
    assert plane.ap50 == pytest.approx(1)
    assert scores.confusion[0, 0] == scores.confusion.sum() == 1


@pytest.mark.parametrize("most", [(1, 10, 100), (1, 5, 300)])
def test_other_numbers_of_detections_have_their_lines(most):
    index = random_index(0)
    scores = score_found(random_found(index), card(), index, ScoreSettings(max_detections=most))
    assert f"maxDets={most[2]:>3d}" in scores.lines[0]
    assert scores.ap > 0
    assert list(scores.to_dict()["coco"]) == list(names(most))
    assert f"AR_{most[2]}" in names(most)


def test_classes_are_matched_by_name_and_order_does_not_matter():
    index = random_index(4)
    found = random_found(index)
    straight = score_found(found, card(), index)
    turned = Detections(found.boxes, found.scores, (2 - found.labels).astype(np.int32), found.tiles)
    model = card(classes=("Harbor ", "ship", "PLANE"))
    assert score_found(turned, model, index).to_dict() == straight.to_dict()


def test_classes_that_one_side_lacks_are_left_out_and_said():
    index, listener = random_index(4), Listener()
    model = card(classes=("plane", "ship", "bridge"))
    scores = score_found(random_found(index), model, index, reporter=listener)
    assert scores.classes == ("plane", "ship")
    assert scores.confusion.shape == (3, 3)
    assert scores.coco[0] == pytest.approx(np.mean([row.ap for row in scores.per_class]))
    assert any("model does not know" in note and "harbor" in note for note in listener.notes)
    assert any("data does not have" in note and "bridge" in note for note in listener.notes)


def test_no_common_class_is_an_error_that_names_both():
    with pytest.raises(LabelError, match=r"car, bus.*plane, ship, harbor"):
        ClassMap.of(("car", "bus"), CLASSES)


@given(st.integers(0, 10**6))
def test_the_confusion_matrix_counts_every_object_once(seed):
    index = random_index(seed, images=5, ignored=0.2)
    found = random_found(index, seed, extra=10)
    scores = score_found(found, card(), index, ScoreSettings(score=0.3))
    counted = np.bincount(index.labels[~index.ignored], minlength=3)
    np.testing.assert_array_equal(scores.confusion[:3].sum(axis=1), counted)
    assert scores.confusion[:, :3].sum() <= (found.scores >= 0.3).sum()
    assert scores.confusion[3, 3] == 0


def test_the_confusion_matrix_by_hand():
    index = make_index([([[0, 0, 20, 20], [50, 50, 80, 80]], [0, 1], [0, 0]), ([[0, 0, 20, 20]], [2], [0])])
    boxes = [[1, 0, 20, 20], [0, 1, 20, 20], [50, 50, 80, 79], [30, 0, 45, 9], [0, 0, 20, 20]]
    found = Detections.of(boxes, [0.9, 0.8, 0.7, 0.6, 0.5], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1])
    scores = score_found(found, card(), index, ScoreSettings(score=0.3))
    expected = np.zeros((4, 4), int)
    expected[0, 0] = 1  # the plane, found
    expected[3, 0] = 1  # found twice
    expected[1, 0] = 1  # the ship, taken for a plane
    expected[3, 1] = 1  # a ship where nothing is
    expected[2, 1] = 1  # the harbour of the second image, taken for a ship
    np.testing.assert_array_equal(scores.confusion, expected)


@given(st.integers(0, 10**6), st.integers(1, 6))
def test_strongest_keeps_the_best_of_each_class_and_image(seed, most):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(0, 60))
    found = Detections.of(
        rng.random((size, 4)), rng.permutation(size), rng.integers(0, 3, size), rng.integers(0, 3, size)
    )
    kept = strongest(found, most)
    same = (found.labels[:, None] == found.labels) & (found.tiles[:, None] == found.tiles)
    naive = (same & (found.scores > found.scores[:, None])).sum(axis=1) < most
    np.testing.assert_array_equal(kept.scores, found.scores[naive])


def test_cutting_at_the_last_number_of_detections_changes_no_figure():
    index = random_index(5, images=3)
    found = random_found(index, extra=80)
    settings = ScoreSettings(max_detections=(1, 3, 6))
    whole, cut = (score_found(rows, card(), index, settings) for rows in (found, strongest(found, 6)))
    assert whole.coco == cut.coco


def test_a_result_file_scores_as_the_detections_do(tmp_path):
    index = random_index(6, ignored=0.2)
    found = random_found(index)
    write_coco(tmp_path / "r.json", found, index.ids, index.category_ids)
    rows = json.loads((tmp_path / "r.json").read_text())
    corners = np.array([row["bbox"] for row in rows])
    corners[:, 2:] += corners[:, :2]
    tiles = [int(np.flatnonzero(index.ids == row["image_id"])[0]) for row in rows]
    labels = [row["category_id"] - 1 for row in rows]
    back = Detections.of(corners, [row["score"] for row in rows], labels, tiles)
    np.testing.assert_array_equal(back.scores, found.scores)
    assert score_found(back, card(), index).coco == pytest.approx(score_found(found, card(), index).coco, abs=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [{"floor": 2}, {"iou": -0.1}, {"max_detections": (1, 100, 10)}, {"postprocess": "other"}, {"drop_last": -1}],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ScoreSettings(**wrong)


def test_scores_are_frozen():
    scores = score_found(Detections.empty(), card(), random_index(0))
    with pytest.raises(dataclasses.FrozenInstanceError):
        scores.images = 3
