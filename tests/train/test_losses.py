"""Losses and gradients against the reference's, and what ignored boxes do to them."""

import functools

import loss_golden
import loss_naive
import numpy as np
import pytest

from geodetect.errors import ConfigError
from training.losses import make_loss
from training.losses.targets import RULES, Targets

mindspore = pytest.importorskip("mindspore")
nn = mindspore.nn

from training.losses.head import background  # noqa: E402

SUMS = {"xy": "XYLoss", "wh": "WHLoss", "objectness": "ConfidenceLoss", "class": "ClassLoss"}
# of the reference; cells of other shapes would be compiled anew
THRESHOLD = {"yolov3": 0.1, "yolov4": 0.7, "yolov3-tiny": 0.7}
CLASSES = {"yolov3": 16, "yolov4": 16, "yolov3-tiny": 80}
BIG_WEIGHT = {"yolov3": 1, "yolov4": 1, "yolov3-tiny": 4}


@pytest.fixture(autouse=True, scope="module")
def graph_mode():
    mindspore.set_context(mode=mindspore.GRAPH_MODE)


class WithGradients(nn.Cell):
    """raw heads and targets -> loss, terms, gradients of the raw heads."""

    def __init__(self, loss, levels):
        super().__init__()
        self.loss, self.levels = loss, levels
        self.gradient = mindspore.value_and_grad(self.forward, tuple(range(levels)), None, has_aux=True)

    def forward(self, *arrays):
        return self.loss(arrays[: self.levels], arrays[self.levels :])

    def construct(self, *arrays):
        return self.gradient(*arrays)


class Background(nn.Cell):
    """`background` alone, which compiles in a tenth of the time."""

    def construct(self, cx, cy, w, h, boxes, ignored):
        return background((cx, cy, w, h), boxes, ignored, 0.5)


@functools.cache
def compiled(family):
    loss = make_loss(family, loss_golden.heads(family), CLASSES[family], THRESHOLD[family])
    return WithGradients(loss, len(loss_golden.heads(family).strides))


def run(family, golden, targets):
    """Return loss, terms by name, gradients."""
    raw = [golden[f"raw_{scale}"] for scale in loss_golden.scales(golden)]
    assert (golden["num_classes"], golden["ignore_threshold"]) == (CLASSES[family], THRESHOLD[family])
    return call(compiled(family), raw, targets)


def call(cell, raw, targets):
    """Return loss, terms by name, gradients."""
    (loss, terms), gradients = cell(*(mindspore.Tensor(array) for array in [*raw, *targets]))
    named = dict(zip(cell.loss.terms, terms.asnumpy(), strict=True))
    return float(loss), named, [gradient.asnumpy() for gradient in gradients]


def weights(family, golden):
    return [BIG_WEIGHT[family] if scale == "big" else 1 for scale in loss_golden.scales(golden)]


@pytest.mark.parametrize("family", loss_golden.FAMILIES)
def test_losses_and_gradients_are_the_references(family, shared):
    golden = loss_golden.reference(shared, family)
    loss, terms, gradients = run(family, golden, loss_golden.reference_targets(golden))
    assert loss == pytest.approx(float(golden["loss_total"]), rel=1e-6)
    assert sum(terms.values()) == pytest.approx(loss, rel=1e-6)
    pairs = list(zip(loss_golden.scales(golden), weights(family, golden), strict=True))
    for name in SUMS.keys() & terms.keys():
        expected = sum(weight * float(golden[f"sum_{SUMS[name]}_{scale}"]) / 2 for scale, weight in pairs)
        assert terms[name] == pytest.approx(expected, rel=1e-5), name
    for found, (scale, weight) in zip(gradients, pairs, strict=True):
        expected = weight * golden[f"grad_{scale}"]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("family", loss_golden.FAMILIES)
def test_losses_and_gradients_are_those_of_their_description(family):
    random = np.random.default_rng(7)
    heads, classes, threshold = loss_golden.heads(family), CLASSES[family], THRESHOLD[family]
    boxes = [loss_golden.random_boxes(random, 9, 128) for _ in range(2)]
    make = Targets(heads, classes, RULES[family], max_boxes=16, max_ignored=4)
    images = [make(each, random.integers(0, classes, 9), np.arange(9) > 6, 128) for each in boxes]
    targets = [np.stack(parts) for parts in zip(*images, strict=True)]
    grids = [128 // stride for stride in heads.strides]
    raw = [random.normal(0, 1, (2, 3 * (5 + classes), grid, grid)).astype(np.float32) for grid in grids]
    loss, terms, gradients = call(compiled(family), raw, targets)
    expected = loss_naive.loss(family, heads, raw, targets, threshold)
    assert terms == pytest.approx(expected, rel=1e-5)
    assert loss == pytest.approx(sum(expected.values()), rel=1e-5)
    way = [random.normal(0, 1, array.shape) for array in raw]
    moved = ([a + share * w for a, w in zip(raw, way, strict=True)] for share in (-1e-6, 1e-6))
    ends = [sum(loss_naive.loss(family, heads, each, targets, threshold).values()) for each in moved]
    slope = sum(float((gradient * w).sum()) for gradient, w in zip(gradients, way, strict=True))
    assert slope == pytest.approx((ends[1] - ends[0]) / 2e-6, rel=1e-3)


@pytest.mark.parametrize("family", loss_golden.FAMILIES)
def test_an_ignored_object_only_takes_from_objectness(family, shared):
    golden = loss_golden.reference(shared, family)
    plain = loss_golden.reference_targets(golden)
    ignored = plain[-1].copy()
    ignored[0, 1] = [0.25, 0.25, 0.5, 0.5]  # of image 0 the upper left quarter
    _, terms, gradients = run(family, golden, plain)
    _, fewer, changed = run(family, golden, [*plain[:-1], ignored])
    assert fewer.pop("objectness") < terms.pop("objectness") * (1 - 1e-3)
    assert fewer == terms
    gone = 0
    for before, after, truth in zip(gradients, changed, plain[:-1:2], strict=True):
        before, after = (array.reshape(2, 3, -1, *array.shape[2:]) for array in (before, after))
        differs = before != after
        assert not np.delete(differs, 4, axis=2).any()  # no channel but objectness
        assert not differs[1].any()
        assert (after[:, :, 4][differs[:, :, 4]] == 0).all()
        assert (truth[:, :, 4][differs[:, :, 4]] == 0).all()  # objects are learnt wherever they are
        gone += differs.sum()
    assert gone > 0


def test_the_share_of_the_predictions_own_area_decides(shared):
    """A prediction that fills its image is freed by an ignored box of more than half of it, not by a smaller one."""
    golden = dict(loss_golden.reference(shared, "yolov3-tiny"))
    for scale in ("big", "small"):
        golden[f"raw_{scale}"] = np.zeros_like(golden[f"raw_{scale}"])
        golden[f"raw_{scale}"].reshape(2, 3, -1, *golden[f"raw_{scale}"].shape[2:])[:, :, 2:4] = -20
    anchor = golden["raw_big"].reshape(2, 3, 85, 4, 4)
    anchor[0, 2, 2, 1, 1] = np.log(128 / 344)  # 128 px wide and high, centred at 48, 48
    anchor[0, 2, 3, 1, 1] = np.log(128 / 319)
    targets = [np.zeros_like(array) for array in loss_golden.reference_targets(golden)]
    for share, freed in ((0.45, 0), (0.55, 1)):
        # of the prediction, which reaches from row -16 to 112, it covers the upper part
        targets[-1][0, 0] = [48 / 128, -16 / 128 + share / 2, 1, share]
        _, _, gradients = run("yolov3-tiny", golden, targets)
        gradient = gradients[0].reshape(2, 3, 85, 4, 4)[0, 2, 4, 1, 1]
        assert (gradient == 0) == bool(freed), share


def test_background_is_what_no_box_frees_however_many_there_are():
    """In three blocks of boxes, padding rows between them."""
    random = np.random.default_rng(3)
    predicted = random.uniform(0.05, 0.6, (4, 2, 3, 6, 6)).astype(np.float32)  # cx, cy, w, h of B, A, G, G
    boxes, ignored = np.zeros((2, 150, 4), np.float32), np.zeros((2, 100, 4), np.float32)
    for rows, places in ((boxes, (0, 70, 149)), (ignored, (99,))):
        rows[:, places] = random.uniform(0.1, 0.5, (2, len(places), 4))
    found = Background()(*map(mindspore.Tensor, [*predicted, boxes, ignored])).asnumpy()
    for place in np.ndindex(predicted.shape[1:]):
        box = predicted[(slice(None), *place)].astype(np.float64)
        image, anchor, row, column = place
        expected = loss_naive.is_background(box, boxes[image], ignored[image], 0.5)
        assert found[image, anchor, 0, row, column] == expected
    assert 0 < found.mean() < 1


def test_wild_values_stay_finite(shared):
    for family in loss_golden.FAMILIES:
        golden = loss_golden.reference(shared, family)
        wild = {name: np.sign(a) * 80 if name.startswith("raw") else a for name, a in golden.items()}
        loss, _, gradients = run(family, wild, loss_golden.reference_targets(golden))
        assert np.isfinite(loss)
        assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize(("family", "threshold"), [("yolov5", 0.7), ("yolov3", 0.0), ("yolov3", 1.5)])
def test_settings_out_of_range_are_refused(family, threshold):
    with pytest.raises(ConfigError):
        make_loss(family, loss_golden.heads("yolov3"), 2, threshold)
