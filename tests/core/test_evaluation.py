from __future__ import annotations

import contextlib
import io
import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geodetect import vectors
from geodetect.errors import ConfigError, InputError
from geodetect.evaluation import MapObjects, Outcome, average_precision, compare, evaluate

CLASSES = ("plane", "ship")


def random_case(seed: int, truths: int = 30, noise: float = 3.0):
    """Truth boxes, and detections that are jittered copies, doubles and inventions, all scores unlike."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 400, (truths, 2))
    truth = np.concatenate([low, low + rng.uniform(10, 40, (truths, 2))], 1)
    labels = rng.integers(0, 2, truths)
    picked = rng.integers(0, truths, round(truths * 1.6))
    boxes = truth[picked] + rng.normal(0, noise, (len(picked), 4))
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 2)
    kinds = np.where(rng.random(len(picked)) < 0.9, labels[picked], 1 - labels[picked])
    names, truth_names = np.array(CLASSES)[kinds], np.array(CLASSES)[labels]
    return boxes, rng.permutation(len(picked)) / len(picked), names, truth, truth_names


def coco(boxes, scores, names, truth, truth_names, difficult):
    """AP50 and AP of each class by pycocotools, crowds and areas left aside."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def xywh(box):
        return [*box[:2], box[2] - box[0], box[3] - box[1]]

    index = {name: i + 1 for i, name in enumerate(CLASSES)}
    true = COCO()
    true.dataset = {
        "images": [{"id": 1}],
        "categories": [{"id": i, "name": name} for name, i in index.items()],
        "annotations": [
            {"id": i + 1, "image_id": 1, "category_id": index[n], "bbox": xywh(b), "area": 1e6 if skip else 1,
             "iscrowd": 0}
            for i, (b, n, skip) in enumerate(zip(truth.tolist(), truth_names, difficult, strict=True))
        ],
    }  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        true.createIndex()
        found = true.loadRes(
            [
                {"image_id": 1, "category_id": index[n], "bbox": xywh(b), "score": s}
                for b, n, s in zip(boxes.tolist(), names, scores.tolist(), strict=True)
            ]
        )
        run = COCOeval(true, found, "bbox")
        run.params.maxDets = [10_000]
        run.params.areaRng, run.params.areaRngLbl = [[0, 1e5]], ["all"]  # an area out of range is how COCO ignores
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"][:, :, :, 0, 0]  # (IoU, recall, class)
    return {name: (precision[0, :, i].mean(), precision[:, :, i].mean()) for i, name in enumerate(CLASSES)}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("share_difficult", [0.0, 0.2])
def test_average_precision_equals_pycocotools(seed, share_difficult):
    pytest.importorskip("pycocotools")
    case = random_case(seed)
    difficult = np.random.default_rng(seed).random(len(case[3])) < share_difficult
    expected = coco(*case, difficult)
    for result in compare(*case, difficult=difficult).classes:
        assert (result.ap50, result.ap) == pytest.approx(expected[result.name], abs=1e-9)


def test_average_precision_by_hand():
    # precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1: 51 recalls read 1, 50 read 2/3
    assert average_precision(np.array([True, False, True]), 2) == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert average_precision(np.zeros(0, bool), 3) == 0
    assert math.isnan(average_precision(np.zeros(2, bool), 0))


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_what_is_perfect_scores_one(seed):
    _, _, _, truth, names = random_case(seed, truths=12)
    result = compare(truth, np.linspace(0.5, 1, 12), names, truth, names)
    assert all(r.precision == r.recall == r.ap50 == r.ap == r.f1 == 1 for r in result.classes)
    assert result.total.misses == result.total.false_alarms == result.total.duplicates == 0


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_order_scale_and_shift_change_nothing(seed):
    boxes, scores, names, truth, truth_names = random_case(seed)
    rng = np.random.default_rng(seed)
    a, b = rng.permutation(len(boxes)), rng.permutation(len(truth))
    shift = np.array([5e5, 4e6, 5e5, 4e6])
    one = compare(boxes, scores, names, truth, truth_names)
    two = compare(boxes[a] * 0.5 + shift, scores[a], names[a], truth[b] * 0.5 + shift, truth_names[b])
    for x, y in zip(one.classes, two.classes, strict=True):
        assert (x.hits, x.misses, x.false_alarms, x.duplicates) == (y.hits, y.misses, y.false_alarms, y.duplicates)
        assert x.ap == pytest.approx(y.ap)
    assert (one.outcomes[a] == two.outcomes).all()


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_counts_add_up(seed):
    case = random_case(seed)
    result = compare(*case)
    assert result.total.detections == len(case[0])
    assert result.total.truths == len(case[3]) == result.total.hits + result.total.misses
    assert (result.truth_outcomes == Outcome.FOUND).sum() == (result.outcomes == Outcome.HIT).sum()


def test_a_detection_that_is_dropped_is_a_miss():
    _, _, _, truth, names = random_case(3, truths=8)
    kept = np.arange(8) != 5
    result = compare(truth[kept], np.ones(7), names[kept], truth, names)
    assert result.total.misses == 1
    assert result.truth_outcomes[5] == Outcome.MISS


def test_a_half_at_a_seam_is_a_duplicate_and_a_stranger_a_false_alarm():
    truth = [[0, 0, 100, 20]]
    boxes = [[0, 0, 100, 20], [60, 0, 100, 20], [300, 0, 340, 20]]
    result = compare(boxes, [0.9, 0.8, 0.7], ["ship"] * 3, truth, ["ship"])
    assert result.outcomes.tolist() == [Outcome.HIT, Outcome.DUPLICATE, Outcome.FALSE_ALARM]
    assert result.matches.tolist() == [0, 0, -1]
    assert result.overlaps == pytest.approx([1, 0.4, 0])


def test_a_difficult_object_counts_nowhere():
    boxes = [[0, 0, 10, 10], [50, 50, 60, 60]]
    result = compare(boxes, [0.9, 0.8], ["ship"] * 2, boxes, ["ship"] * 2, difficult=np.array([True, False]))
    assert result.outcomes.tolist() == [Outcome.IGNORED, Outcome.HIT]
    assert (result.classes[0].truths, result.classes[0].precision, result.classes[0].ap) == (1, 1, 1)


def test_objects_of_other_images_and_classes_do_not_match():
    box = [[0, 0, 10, 10]]
    assert compare(box, [1], ["ship"], box, ["ship"], images=np.array([0]), truth_images=np.array([1])).total.hits == 0
    assert compare(box, [1], ["ship"], box, ["plane"]).total.hits == 0


def objects(boxes, names, scores=None, affine=(1, 0, 0, 1, 0, 0), crs="EPSG:32631"):
    """Map objects of pixel boxes under a geotransform."""
    return MapObjects.of(shapely.affinity.affine_transform(shapely.MultiPolygon(list(shapely.box(*boxes.T))),
                         affine).geoms, names, scores, crs=crs)  # fmt: skip


def case_on_map(affine):
    boxes, scores, names, truth, truth_names = random_case(7)
    return objects(boxes, names, scores, affine), objects(truth, truth_names, None, affine)


@pytest.mark.parametrize("degrees", [0, 30, 75])
def test_a_rotated_scene_gives_what_its_pixels_give(degrees):
    sine, cosine = math.sin(math.radians(degrees)) / 2, math.cos(math.radians(degrees)) / 2
    found, true = case_on_map((cosine, sine, sine, -cosine, 500_000, 4_600_000))
    expected, result = compare(*random_case(7)), evaluate(found, true)
    assert (result.outcomes == expected.outcomes).all()
    assert [r.ap for r in result.classes] == pytest.approx([r.ap for r in expected.classes])


def test_the_truth_may_be_in_another_crs():
    found, true = case_on_map((0.5, 0, 0, -0.5, 500_000, 4_600_000))
    expected, result = evaluate(found, true), evaluate(found, true.to_crs("EPSG:4326"))
    assert (result.outcomes == expected.outcomes).all()
    assert result.overlaps == pytest.approx(expected.overlaps, abs=1e-4)


def test_points_are_found_by_the_box_that_holds_them():
    found = objects(np.array([[0, 0, 10, 10], [20, 0, 30, 10]]), ["ship", "ship"], [0.9, 0.8])
    true = MapObjects.of(shapely.points([[5, 5], [50, 5]]), ["Ship", "ship"], crs="EPSG:32631")
    result = evaluate(found, true).total
    assert (result.hits, result.misses, result.false_alarms) == (1, 1, 1)


def test_classes_without_a_common_name_are_an_error():
    box = np.array([[0, 0, 10, 10]])
    with pytest.raises(InputError, match=r"boat.*ship.*class field"):
        evaluate(objects(box, ["ship"], [0.9]), objects(box, ["Boat"]))


def test_nothing_found_and_nothing_there():
    empty = objects(np.zeros((0, 4)), [], [])
    box = objects(np.array([[0.0, 0, 10, 10]]), ["ship"])
    assert evaluate(empty, box).total.misses == 1
    assert evaluate(box, empty).total.false_alarms == 1
    assert evaluate(empty, empty).classes == ()


def test_the_layer_of_errors_holds_every_outcome(tmp_path):
    found, true = case_on_map((0.5, 0, 0, -0.5, 500_000, 4_600_000))
    result = evaluate(found, true)
    vectors.write_errors(tmp_path / "errors.gpkg", result, found, true)
    again = vectors.read_objects(tmp_path / "errors.gpkg", "outcome")
    counts = {name: int((again.names == name).sum()) for name in ("hit", "miss", "false alarm", "duplicate")}
    total = result.total
    assert counts == {
        "hit": total.hits, "miss": total.misses, "false alarm": total.false_alarms, "duplicate": total.duplicates,
    }  # fmt: skip
    assert "32631" in again.crs


@pytest.mark.parametrize("iou", [0, -0.1, 1.5, float("nan")])
def test_an_iou_out_of_range_is_an_error(iou):
    box = objects(np.array([[0.0, 0, 10, 10]]), ["ship"])
    with pytest.raises(ConfigError, match="iou is"):
        evaluate(box, box, iou)
