"""Augmentation: boxes stay with their pixels, and each formula has its law."""

from __future__ import annotations

import colorsys
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL.Image import Resampling

from geodetect.errors import ConfigError
from training.data.augment import (
    Augment,
    Placement,
    arrange,
    choose_placement,
    draw_placement,
    ignore_cut,
    mirror,
    place,
    turn,
)
from training.data.colour import draw_shift, shift_colours
from training.data.mosaic import draw_centre, mosaic
from training.data.sample import Sample, cut
from training.data.sizes import ELEVEN_SIZES, TEN_SIZES, canvas_size

FILL = 114
COLOURS = np.array([[250, 10, 10], [10, 250, 10], [10, 10, 250], [250, 250, 10], [250, 10, 250], [10, 250, 250]])
seeds = st.integers(0, 2**32)
STILL = replace(Augment.none(), keep_cut=True)


def drawn(rng: np.random.Generator, count: int = 6) -> Sample:
    """Return a black image with rectangles that do not touch, each of its label's colour."""
    height, width = rng.integers(90, 140, 2)
    image = np.zeros((height, width, 3), np.uint8)
    boxes = []
    for k in range(count):
        left, top = 2 + width // 3 * (k % 3), 2 + height // 2 * (k // 3)
        box_width, box_height = rng.integers(8, width // 3 - 3), rng.integers(8, height // 2 - 3)
        image[top : top + box_height, left : left + box_width] = COLOURS[k]
        boxes.append([left, top, left + box_width, top + box_height])
    return Sample.of(image, np.array(boxes), np.arange(count), rng.random(count) < 0.3)


def found(sample: Sample, label: int, tolerance: float = 90) -> np.ndarray | None:
    """Return the box around the pixels of a label's colour."""
    near = np.abs(sample.image.astype(int) - COLOURS[label]).max(axis=2) < tolerance
    rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) if len(rows) else None


def assert_boxes_fit(sample: Sample, within: float) -> None:
    for box, label in zip(sample.boxes, sample.labels, strict=True):
        seen = found(sample, label)
        if seen is None:  # a sliver may vanish between two pixels
            assert min(box[2:] - box[:2]) <= 2 * within
        else:
            np.testing.assert_allclose(seen, box, atol=within)


@given(seeds, st.integers(-3, 8))
def test_mirror_and_turn_move_boxes_with_their_pixels_exactly(seed, quarters):
    sample = drawn(np.random.default_rng(seed))
    assert_boxes_fit(mirror(sample), 0)
    assert_boxes_fit(turn(sample, quarters), 0)
    assert_boxes_fit(turn(mirror(sample), quarters), 0)


@given(seeds)
def test_mirror_twice_and_four_quarters_give_the_sample_back(seed):
    sample = drawn(np.random.default_rng(seed))
    for back in (mirror(mirror(sample)), turn(turn(sample, 1), 3), turn(turn(sample, 2), 2), turn(sample, 4)):
        assert (back.image == sample.image).all()
        assert (back.boxes == sample.boxes).all()
    around = mirror(turn(mirror(sample), 1))  # a mirror reverses the sense of a turn
    assert (around.image == turn(sample, -1).image).all()
    assert (around.boxes == turn(sample, -1).boxes).all()


placements = st.builds(Placement, *[st.integers(-120, 120)] * 2, *[st.integers(20, 300)] * 2)


@given(seeds, placements, st.sampled_from(list(Resampling)))
def test_placing_moves_boxes_with_their_pixels(seed, placement, sampling):
    sample = drawn(np.random.default_rng(seed))
    placed = place(sample, placement, 128, FILL, sampling)
    assert placed.image.shape == (128, 128, 3)
    blur = 1 + max(1, placement.width / sample.image.shape[1], placement.height / sample.image.shape[0])
    assert_boxes_fit(placed, blur if sampling == Resampling.NEAREST else 1.5 * blur)


@given(seeds, placements)
def test_placing_keeps_what_shows_and_knows_its_share(seed, placement):
    sample = drawn(np.random.default_rng(seed))
    height, width = sample.image.shape[:2]
    scale = np.array([placement.width / width, placement.height / height] * 2)
    whole = sample.boxes * scale + np.array([placement.left, placement.top] * 2)
    inner = np.clip(whole, 0, 128)
    sides, whole_sides = inner[:, 2:] - inner[:, :2], whole[:, 2:] - whole[:, :2]
    keep = (sides > 1).all(axis=1)
    placed = place(sample, placement, 128, FILL)
    np.testing.assert_allclose(placed.boxes, inner[keep])
    np.testing.assert_allclose(placed.shown, (sides.prod(axis=1) / whole_sides.prod(axis=1))[keep])
    assert placed.labels.tolist() == sample.labels[keep].tolist()
    assert placed.ignored.tolist() == sample.ignored[keep].tolist()


def test_only_the_seen_part_is_resampled_yet_it_looks_the_same():
    sample = drawn(np.random.default_rng(1))
    whole = place(sample, Placement(0, 0, 300, 300), 300, FILL).image[50:178, 70:198]
    part = place(sample, Placement(-70, -50, 300, 300), 128, FILL).image
    assert np.abs(whole.astype(int) - part).max() <= 2


def test_the_rest_of_the_canvas_is_grey_whatever_the_colours_become():
    placed = place(drawn(np.random.default_rng(1)), Placement(30, 40, 50, 60), 128, FILL, shift=(0.3, 1.4, 0.7))
    outside = np.ones((128, 128), bool)
    outside[40:100, 30:80] = False
    assert (placed.image[outside] == FILL).all()
    assert not (placed.image[~outside] == FILL).all(axis=1).any()


def test_an_object_is_ignored_where_less_than_seven_tenths_of_it_show():
    boxes = np.array([[0.0, 0, 100, 10], [0, 20, 100, 30], [0, 40, 100, 50]])
    sample = Sample.of(np.zeros((100, 100, 3), np.uint8), boxes, np.arange(3), np.array([False, True, False]))
    part = replace(cut(sample, np.array([29, 0, 100, 100])), shown=np.array([0.71, 0.71, 0.69]))
    assert ignore_cut(part).ignored.tolist() == [False, True, True]
    assert cut(sample, np.array([29, 0, 100, 100])).shown.tolist() == pytest.approx([0.71] * 3)
    twice = cut(cut(sample, np.array([29, 0, 100, 100])), np.array([0, 0, 64.5, 100]))
    assert twice.shown.tolist() == pytest.approx([0.355] * 3)  # of the labelled box, not of what was left of it


@given(seeds, st.sampled_from([64, 96, 160]), st.booleans())
def test_a_whole_arrangement_keeps_boxes_on_their_pixels(seed, size, keep_cut):
    rng = np.random.default_rng(seed)
    sample = drawn(rng)
    settings = Augment(scale=(0.7, 1.6), hue=0, saturation=1, value=1, keep_cut=keep_cut)
    arranged = arrange(sample, size, (size, size), settings, FILL, rng)
    assert arranged.image.shape == (size, size, 3)
    assert_boxes_fit(arranged, 5)
    assert (arranged.boxes >= 0).all()
    assert (arranged.boxes <= size).all()
    assert ((arranged.boxes[:, 2:] - arranged.boxes[:, :2]) > 1).all()
    kept = sample.ignored[arranged.labels]
    cut_short = np.zeros_like(kept) if keep_cut else arranged.shown < 0.7
    assert arranged.ignored.tolist() == (kept | cut_short).tolist()


def test_without_changes_the_sample_stays_as_it_is():
    rng = np.random.default_rng(3)
    sample = drawn(rng)
    height, width = sample.image.shape[:2]
    size = max(height, width)
    arranged = arrange(sample, size, (width, height), STILL, FILL, rng)
    order = np.argsort(arranged.labels)
    seen = found(arranged, 0)
    left, top = seen[0] - sample.boxes[0, 0], seen[1] - sample.boxes[0, 1]  # where the free side put it
    left, top = int(left), int(top)
    assert (arranged.image[top : top + height, left : left + width] == sample.image).all()
    np.testing.assert_array_equal(arranged.boxes[order], sample.boxes + np.array([left, top, left, top]))
    assert arranged.ignored[order].tolist() == sample.ignored.tolist()


@given(seeds, st.tuples(st.integers(20, 400), st.integers(20, 400)))
def test_placements_follow_the_formula(seed, reference):
    settings = Augment(jitter=0.3, scale=(0.25, 2.0))
    placement = draw_placement(128, reference, settings, np.random.default_rng(seed))
    aspect = placement.width / placement.height * reference[1] / reference[0]
    slack = 1 + 1 / placement.width + 1 / placement.height  # whole pixels
    assert 0.7 / 1.3 / slack <= aspect <= 1.3 / 0.7 * slack
    longer = max(placement.width, placement.height) / max(reference)
    assert 0.25 - 1 / max(reference) <= longer <= 2 + 1 / max(reference)
    for at, side in ((placement.left, placement.width), (placement.top, placement.height)):
        assert min(0, 128 - side) <= at <= max(0, 128 - side)


@given(seeds)
def test_a_placement_shows_an_object_where_it_can(seed):
    rng = np.random.default_rng(seed)
    image = np.zeros((100, 100, 3), np.uint8)
    sample = Sample.of(image, np.array([[90.0, 90, 98, 98]]), np.array([0]), np.array([False]))
    placement = choose_placement(sample, 64, (64, 64), Augment(scale=(1.0, 8.0)), rng)
    assert len(place(sample, placement, 64, FILL).labels) == 1
    none = sample.rows(np.array([False]))
    assert choose_placement(none, 64, (64, 64), Augment(), rng).width > 0


@pytest.mark.parametrize("k", range(4))
def test_a_mosaic_has_each_image_at_its_inner_corner(k):
    samples = [drawn(np.random.default_rng(i)) for i in range(4)]
    parts = [sample.rows(sample.labels < 0) for sample in samples]
    parts[k] = samples[k]
    x, y = 70, 90
    made = mosaic(parts, (x, y), 160, FILL)
    height, width = samples[k].image.shape[:2]
    left, top = x - width * (k in (0, 2)), y - height * (k in (0, 1))
    low, high = (x * (k in (1, 3)), y * (k in (2, 3))), (160 if k in (1, 3) else x, 160 if k in (2, 3) else y)
    whole = samples[k].boxes + np.array([left, top, left, top])
    inner = np.clip(whole, [*low, *low], [*high, *high])
    keep = ((inner[:, 2:] - inner[:, :2]) > 0).all(axis=1)
    assert keep.any()
    np.testing.assert_array_equal(made.boxes, inner[keep])
    assert made.ignored.tolist() == samples[k].ignored[keep].tolist()
    for box in made.boxes.astype(int):
        assert (made.image[box[1] : box[3], box[0] : box[2]] > 5).any(axis=2).all()  # nothing of it is black


def test_a_mosaic_is_grey_where_an_image_is_too_small():
    small = Sample.of(np.zeros((10, 10, 3), np.uint8), np.zeros((0, 4)), np.zeros(0, int), np.zeros(0, bool))
    image = mosaic([small] * 4, (50, 40), 100, FILL).image
    assert (image[30:50, 40:60] == 0).all()
    assert (image == FILL).all(axis=2).sum() == 100 * 100 - 400


@given(seeds)
def test_the_centre_of_a_mosaic_lies_in_its_middle_half(seed):
    x, y = draw_centre(768, np.random.default_rng(seed))
    assert 192 <= min(x, y) <= max(x, y) <= 576


noise = st.builds(lambda seed: np.random.default_rng(seed).integers(0, 256, (6, 7, 3), np.uint8), seeds)


@given(noise, st.integers(-2, 2))
def test_colours_stay_without_a_change_and_come_back_after_full_circles(image, circles):
    assert (shift_colours(image, circles, 1, 1) == image).all()


@given(noise, st.floats(-0.5, 0.5), st.floats(0.5, 2), st.floats(0.5, 2))
def test_colours_are_those_of_the_formula(image, turn_by, saturation, value):
    """Python's own conversion in floating point, with the value and saturation that 8 bits leave."""
    shifted = shift_colours(image, turn_by, saturation, value).astype(float)
    for before, after in zip(image.reshape(-1, 3).tolist(), shifted.reshape(-1, 3).tolist(), strict=True):
        h, s, v = colorsys.rgb_to_hsv(*(np.array(before) / 255))
        new = colorsys.rgb_to_hsv(*(np.array(after) / 255))
        assert new[2] == pytest.approx(min(v * value, 1), abs=0.01)
        if new[2] > 0.15:
            assert new[1] == pytest.approx(min(s * saturation, 1), abs=0.05 / new[2])
        if s > 0.3 and v > 0.3 and new[1] > 0.3 and new[2] > 0.3:
            assert abs((new[0] - h - turn_by + 0.5) % 1 - 0.5) < 0.03


@given(seeds, st.sampled_from([1.5, 0.4]))
def test_shifts_stay_within_their_limits(seed, limit):
    turn_by, saturation, value = draw_shift(0.1, 1.5, limit, np.random.default_rng(seed))
    assert -0.1 <= turn_by <= 0.1
    assert 1 / 1.5 <= saturation <= 1.5
    assert min(limit, 1 / limit) <= value <= max(limit, 1 / limit)


@pytest.mark.parametrize("sizes", [TEN_SIZES, ELEVEN_SIZES])
def test_sizes_are_the_model_zoos(sizes):
    """The recipe word for word, with the global generator that it seeds."""
    random.seed(1234)
    keys = [random.randint(1, 1000) for _ in range(1_000_000)]
    images, rate = 1003, 10
    for epoch, batch in ((0, 0), (0, 9), (0, 10), (3, 57), (31_000, 12)):
        random.seed(keys[(epoch * -(-images // rate) + batch // rate) % 1_000_000])
        assert canvas_size(sizes, epoch, batch, images, rate) == random.choice(sizes)


def test_sizes_come_in_runs_and_all_of_them():
    seen = [canvas_size(TEN_SIZES, 0, batch, 5000, 10) for batch in range(2000)]
    assert all(len(set(seen[i : i + 10])) == 1 for i in range(0, 2000, 10))
    assert set(seen) == set(TEN_SIZES) == {320, 352, 384, 416, 448, 480, 512, 544, 576, 608}
    assert canvas_size((416,), 7, 9, 100) == 416


@pytest.mark.parametrize(
    "wrong",
    [{"flip": 1.5}, {"jitter": -0.1}, {"hue": "a"}, {"scale": (2.0, 1.0)}, {"scale": 1.0}, {"saturation": 0}],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=f"augment.{next(iter(wrong))}"):
        Augment(**wrong)


@given(seeds)
def test_anywhere_lets_a_part_without_object_be_shown(seed):
    image = np.zeros((400, 400, 3), np.uint8)
    sample = Sample.of(image, np.array([[2, 2, 22, 22]]), np.array([0]), np.array([False]))
    settings = replace(STILL, scale=(1.0, 1.0))

    def shown(anywhere: float) -> int:
        rng = np.random.default_rng(seed)
        placement = choose_placement(sample, 100, (400, 400), replace(settings, anywhere=anywhere), rng)
        return len(place(sample, placement, 100, FILL).labels)

    first = draw_placement(100, (400, 400), settings, np.random.default_rng(seed))
    assert shown(0.0) == 1
    assert shown(1.0) == len(place(sample, first, 100, FILL).labels)
