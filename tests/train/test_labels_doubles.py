"""Objects that are labelled twice are told of, and counted once on request."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labels_made import dota, line

from geodetect.boxes import iou
from training.labels import LabelledImage, read_labels
from training.labels.doubles import MOST_IOU, find_doubles
from training.labels.labelled import box_corners
from training.scoring.images import open_images

TWICE = "\n".join([line(10, 10, 40, 40), line(12, 11, 42, 41), line(10, 10, 40, 40, "plane"), line(60, 60, 90, 90)])


def labelled(boxes, names=None, ignored=None) -> LabelledImage:
    corners = np.array([box_corners(*box) for box in boxes], np.float64).reshape(-1, 4, 2)
    names = np.full(len(boxes), "ship") if names is None else np.array(names)
    ignored = np.zeros(len(boxes), bool) if ignored is None else np.array(ignored)
    return LabelledImage("a", "a.png", "a.txt", "", corners, names, ignored, np.arange(len(boxes)))


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(8, 12), st.sampled_from("ab")), max_size=12),
    st.randoms(use_true_random=False),
)
def test_each_is_near_one_that_stays_and_none_that_stay_are_near(rows, random):
    boxes = np.array([(x, y, x + side, y + side) for x, y, side, _ in rows], np.float64).reshape(-1, 4)
    names = np.array([name for *_, name in rows], "U1")
    twice = find_doubles(labelled(boxes, names))
    count = len(boxes)
    near = (iou(boxes.repeat(count, axis=0), np.tile(boxes, (count, 1))) > MOST_IOU).reshape(count, count)
    near &= names[:, None] == names
    np.fill_diagonal(near, False)
    assert not near[~twice][:, ~twice].any()
    assert near[twice][:, ~twice].any(axis=1).all()


def test_hulls_count_and_not_the_boxes_around_them():
    """Ships moored side by side and at an angle have boxes that overlap, and are two."""
    one = np.array([[0, 0], [40, 40], [44, 36], [4, -4]], np.float64)
    image = dataclasses.replace(labelled([(0, 0, 1, 1)] * 2), corners=np.stack([one, one + np.array([6, -6])]))
    around = np.concatenate([image.corners.min(axis=1), image.corners.max(axis=1)], axis=1)
    assert iou(around[:1], around[1:])[0] > MOST_IOU
    assert not find_doubles(image).any()
    assert find_doubles(dataclasses.replace(image, corners=np.stack([one, one + 0.5]))).tolist() == [False, True]


def test_ignored_objects_neither_are_nor_make_doubles():
    same = [(0, 0, 9, 9)] * 3
    assert find_doubles(labelled(same, ignored=[True, False, False])).tolist() == [False, False, True]
    assert find_doubles(labelled(same, ignored=[False, True, True])).sum() == 0


@pytest.mark.parametrize(("doubles", "left"), [("keep", 4), ("drop", 3)])
def test_labels_and_evaluation_tell_of_them(tmp_path, doubles, left):
    root = dota(tmp_path, {"a": TWICE, "b": line(1, 1, 9, 9)})
    found, index = read_labels([root], doubles=doubles), open_images(root, "val", doubles)
    assert [len(image) for image in found.images] == [left, 1]
    assert len(index.boxes) == left + 1
    for notes in (found.notes, index.notes):
        (note,) = notes
        assert note.startswith("1 object in 1 image on another of the same class")
        assert ("--doubles drop" in note) == (doubles == "keep")
