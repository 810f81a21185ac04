"""Targets against the reference's, against a loop over boxes, and at their limits."""

import loss_golden
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodetect.errors import ConfigError
from training.losses.targets import RULES, Targets

SIZE = 128


def targets(family="yolov4", n_classes=3, **settings):
    return Targets(loss_golden.heads(family), n_classes, RULES[family], **{"max_boxes": 40} | settings)


def call(make, boxes, labels, ignored=None, size=SIZE):
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    ignored = np.zeros(len(boxes), bool) if ignored is None else np.asarray(ignored)
    return make(boxes, np.asarray(labels, np.int32), ignored, size)


@pytest.mark.parametrize("family", loss_golden.FAMILIES)
def test_targets_are_the_references(family, shared):
    golden = loss_golden.reference(shared, family)
    make = targets(family, int(golden["num_classes"]), max_boxes=16, max_ignored=4)
    images = [call(make, boxes[:, :4], boxes[:, 4]) for boxes in golden["boxes"]]
    for found, expected in zip(zip(*images, strict=True), loss_golden.reference_targets(golden), strict=True):
        assert np.stack(found).dtype == expected.dtype
        np.testing.assert_array_equal(np.stack(found), expected)


def naive(make, boxes, labels, size):
    """The rules in the words of their description, a box at a time."""
    anchors = [size for head in reversed(make.heads.anchors) for size in head]
    truths = [np.zeros((3, 5 + make.n_classes, size // s, size // s), np.float32) for s in make.heads.strides]
    for box, label in zip(boxes, labels, strict=True):
        w, h = (float(side) for side in box[2:] - box[:2])
        shared = [min(w, a) * min(h, b) for a, b in anchors]
        ious = [s / (w * h + a * b - s) for s, (a, b) in zip(shared, anchors, strict=True)]
        chosen = {int(np.argmax(ious))}
        if make.rule == "several":
            chosen |= {i for i, iou in enumerate(ious) if iou > 0.213}
        centre = np.floor((box[:2] + box[2:]) / 2) / np.float32(size)
        for anchor in chosen:
            truth = truths[len(truths) - 1 - anchor // 3]
            column, row = (min(int(c * truth.shape[-1]), truth.shape[-1] - 1) for c in centre)
            truth[anchor % 3, :5, row, column] = [*centre, *((box[2:] - box[:2]) / size), 1]
            truth[anchor % 3, 5 + label, row, column] = 1
    return truths


@given(st.sampled_from(loss_golden.FAMILIES), st.integers(0, 2**31), st.integers(0, 30))
def test_truth_is_that_of_a_loop_over_boxes(family, seed, count):
    random = np.random.default_rng(seed)
    boxes = loss_golden.random_boxes(random, count, SIZE)
    labels = random.integers(0, 3, count)
    make = targets(family)
    for found, expected in zip(call(make, boxes, labels)[:-1:2], naive(make, boxes, labels, SIZE), strict=True):
        np.testing.assert_array_equal(found, expected)


@given(st.integers(0, 2**31), st.integers(0, 12))
def test_a_heads_list_holds_the_boxes_of_its_truth(seed, count):
    boxes = loss_golden.random_boxes(np.random.default_rng(seed), count, SIZE)
    *arrays, _ = call(targets("yolov3"), boxes, np.zeros(count, int))
    for truth, listed in zip(arrays[::2], arrays[1::2], strict=True):
        there = truth[:, 4] > 0
        expected = {tuple(box) for box in np.moveaxis(truth[:, :4], 1, -1)[there]}
        assert {tuple(box) for box in listed[: there.sum()]} == expected
        assert not listed[there.sum() :].any()


def test_boxes_of_no_size_are_left_out_and_objects_beyond_the_limit_ignored():
    box, other = [10, 10, 60, 60], [70, 70, 120, 120]
    *plain, none = call(targets(max_boxes=1), [box], [1])
    *found, ignored = call(targets(max_boxes=1), [[5, 5, 5, 9], box, other], [0, 1, 2])
    assert all(map(np.array_equal, found, plain))
    assert not none.any()
    np.testing.assert_array_equal(ignored[ignored.any(axis=1)] * SIZE, [[95, 95, 50, 50]])


def test_ignored_boxes_are_listed_largest_first_and_no_objects():
    boxes, labels = [[0, 0, 10, 10], [10, 20, 50, 40], [64, 64, 128, 128]], [0, 1, 2]
    *arrays, ignored = call(targets(max_ignored=2), boxes, labels, [True, True, True])
    assert not any(array.any() for array in arrays)
    np.testing.assert_array_equal(ignored * SIZE, [[96, 96, 64, 64], [30, 30, 40, 20]])


def test_label_smoothing_takes_from_the_true_class():
    truth = call(targets("yolov3", 3, label_smooth=0.1), [[0, 0, 128, 128]], [2])[0]
    np.testing.assert_allclose(truth[:, 5:, 2, 2].max(axis=0), [0.05, 0.05, 0.9], rtol=1e-6)
    alone = call(targets("yolov3", 1, label_smooth=0.1), [[0, 0, 128, 128]], [0])[0]
    assert alone[:, 5, 2, 2].max() == np.float32(0.9)


def test_a_box_that_ends_where_the_canvas_ends_is_in_the_last_cell():
    truth = call(targets("yolov3"), [[127, 127, 128.5, 129]], [0])
    assert [array.sum(axis=1)[..., -1, -1].any() for array in truth[:-1:2]] == [False, False, True]


@pytest.mark.parametrize(
    "settings", [{"rule": "all"}, {"label_smooth": 1.0}, {"max_boxes": 0}, {"max_ignored": 0}, {"n_classes": 0}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ConfigError):
        Targets(**{"heads": loss_golden.heads("yolov4"), "n_classes": 2, "rule": "best", "max_boxes": 9} | settings)
