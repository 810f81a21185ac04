"""Which images an epoch has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_dataset import annotation, edit_labels, write_dataset

from training.data.balance import draw_images, objects, shares
from training.data.index import read_index


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Image 0 has no object, 1 to 8 have a plane, 9 and 10 a ship as well."""
    root = write_dataset(tmp_path_factory.mktemp("unbalanced") / "set", count=11)

    def change(coco):
        boxes = [(image, 1) for image in range(1, 11)] + [(image, 2) for image in (9, 10)]
        coco["annotations"] = [
            annotation(number, 10 + image, label, [5, 5, 20, 20]) for number, (image, label) in enumerate(boxes)
        ]

    edit_labels(root, change)
    return read_index(root, "train")


@given(st.integers(0, 2**32), st.floats(0.01, 1), st.floats(0, 1))
def test_an_image_comes_as_often_as_its_share_says(index, seed, balance, crowds):
    drawn = draw_images(index, balance, crowds, np.random.default_rng(seed))
    share = shares(index) ** balance * np.array([1.0] * 9 + [2.0] * 2) ** crowds
    expected = share * len(index) / share.sum()
    counts = np.bincount(drawn, minlength=len(index))
    assert len(drawn) == len(index)
    assert (np.abs(counts - expected) < 1).all()


def test_balance_makes_rare_classes_come_oftener(index):
    np.testing.assert_allclose(shares(index), [1, *[11 / 10] * 8, *[11 / 2] * 2])
    np.testing.assert_array_equal(draw_images(index, 0.0, 0.0, np.random.default_rng(0)), np.arange(11))
    drawn = np.concatenate([draw_images(index, 1.0, 0.0, np.random.default_rng(seed)) for seed in range(300)])
    assert (drawn >= 9).mean() == pytest.approx(11 / 20.8, rel=0.02)


def test_crowds_make_an_image_with_two_objects_come_twice_as_often(index):
    np.testing.assert_array_equal(objects(index), [0, *[1] * 8, 2, 2])
    drawn = np.concatenate([draw_images(index, 0.0, 1.0, np.random.default_rng(seed)) for seed in range(300)])
    assert (drawn >= 9).mean() == pytest.approx(4 / 13, rel=0.04)
