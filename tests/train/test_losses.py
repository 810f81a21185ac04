"""Losses and gradients against the reference's, and what ignored boxes do to them."""

import functools

import loss_golden
import numpy as np
import pytest

from geodetect.errors import ConfigError
from training.losses import make_loss

mindspore = pytest.importorskip("mindspore")
nn = mindspore.nn

SUMS = {"xy": "XYLoss", "wh": "WHLoss", "objectness": "ConfidenceLoss", "class": "ClassLoss"}
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


@functools.cache
def compiled(family, n_classes, threshold):
    loss = make_loss(family, loss_golden.heads(family), n_classes, threshold)
    return WithGradients(loss, len(loss_golden.heads(family).strides))


def run(family, golden, targets):
    """Return loss, terms by name, gradients."""
    cell = compiled(family, int(golden["num_classes"]), float(golden["ignore_threshold"]))
    raw = [golden[f"raw_{scale}"] for scale in loss_golden.scales(golden)]
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


def test_padding_rows_and_more_of_them_change_nothing(shared):
    golden = loss_golden.reference(shared, "yolov3")
    plain = loss_golden.reference_targets(golden)
    longer = [np.pad(a, ((0, 0), (0, 130), (0, 0))) if a.ndim == 3 and i < len(plain) - 1 else a
              for i, a in enumerate(plain)]  # fmt: skip
    longer = [np.roll(a, 100, axis=1) if a.ndim == 3 else a for a in longer]  # boxes in the second block
    loss, _, gradients = run("yolov3", golden, longer)
    expected, _, before = run("yolov3", golden, plain)
    assert loss == pytest.approx(expected, rel=1e-6)
    for a, b in zip(gradients, before, strict=True):
        np.testing.assert_array_equal(a, b)


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
