"""A training step: what it updates and by how much, and that the three families learn."""

import loss_golden
import numpy as np
import pytest

from geodetect.errors import ConfigError, ModelError
from geodetect.networks import build
from training.losses import make_loss

mindspore = pytest.importorskip("mindspore")

from geodetect.networks import yolov3, yolov4  # noqa: E402
from geodetect.networks.layers import HalvingPool  # noqa: E402
from training.run.optimiser import load_optimiser_state, make_optimiser, optimiser_state  # noqa: E402
from training.run.step import TrainStep  # noqa: E402

nn, ops = mindspore.nn, mindspore.ops


@pytest.fixture(autouse=True, scope="module")
def graph_mode():
    mindspore.set_context(mode=mindspore.GRAPH_MODE)


class Line(nn.Cell):
    """A network of one convolution, normalised: three parameters that train."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1, has_bias=True)
        self.norm = nn.BatchNorm2d(1)

    def construct(self, x):
        return self.norm(self.conv(x))


class Gap(nn.Cell):
    """Half the squared difference, as a loss of one term."""

    def construct(self, raw, targets):
        loss = 0.5 * ops.square(raw - targets[0]).sum()
        return loss, loss.reshape((1,))


def line(step_of=TrainStep, frozen=(), kind="momentum", **settings):
    network = Line()
    for item in network.get_parameters():
        item.set_data(mindspore.Tensor(np.full(item.shape, 0.5, np.float32)))
        item.requires_grad = item.requires_grad and not item.name.startswith(frozen)
    optimiser = make_optimiser(network.get_parameters(), np.array([0.1, 0.01, 0.01]), 0.9, 0.2, kind)
    return network, optimiser, step_of(network, Gap(), optimiser, **settings)


def batch(seed):
    random = np.random.default_rng(seed)
    return [mindspore.Tensor(random.standard_normal((2, 1, 3, 3)).astype(np.float32)) for _ in range(2)]


def values(network):
    return {item.name: item.asnumpy().copy() for item in network.get_parameters()}


def test_an_update_is_momentum_with_true_rate_and_decay():
    network, _, step = line(frozen=("norm",))  # then y = gamma * (w x + b - mean) / sqrt(variance) + beta, all known
    weight, bias, moment = 0.5, 0.5, np.zeros(2)
    scale = 0.5 / np.sqrt(0.5 + 1e-5)
    for number, rate in enumerate((0.1, 0.01)):
        x, y = batch(number)
        loss, terms, norm = step(x, y)
        error = scale * (weight * x.asnumpy() + bias - 0.5) + 0.5 - y.asnumpy()
        gradient = np.array([(error * scale * x.asnumpy()).sum(), (error * scale).sum()])
        assert float(loss) == pytest.approx(0.5 * (error**2).sum(), rel=1e-5)
        assert float(terms[0]) == float(loss)
        assert float(norm) == pytest.approx(np.sqrt((gradient**2).sum()), rel=1e-4)
        moment = 0.9 * moment + gradient + [0.2 * weight, 0]
        weight, bias = np.array([weight, bias]) - rate * moment
        found = values(network)
        assert found["conv.weight"].item() == pytest.approx(weight, rel=1e-4)
        assert found["conv.bias"].item() == pytest.approx(bias, rel=1e-4)


def test_adamw_steps_by_the_rate_and_decays_by_itself():
    network, _, step = line(frozen=("norm",), kind="adamw")
    value, mean, square = np.array([0.5, 0.5]), np.zeros(2), np.zeros(2)
    scale = 0.5 / np.sqrt(0.5 + 1e-5)
    for number, rate in enumerate((0.1, 0.01)):
        x, y = batch(number)
        step(x, y)
        error = scale * (value[0] * x.asnumpy() + value[1] - 0.5) + 0.5 - y.asnumpy()
        gradient = np.array([(error * scale * x.asnumpy()).sum(), (error * scale).sum()])
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        value = value - rate * (mean / (np.sqrt(square) + 1e-8) + [0.2, 0] * value)
        found = values(network)
        np.testing.assert_allclose([found["conv.weight"].item(), found["conv.bias"].item()], value, rtol=1e-4)


@pytest.mark.parametrize("share", [0.5, 2.0])
def test_a_gradient_is_cut_to_the_greatest_norm(share):
    whole, _, step = line(frozen=("norm",))
    norm = float(step(*batch(0))[2])
    cut, _, step = line(frozen=("norm",), clip_norm=share * norm)
    assert float(step(*batch(0))[2]) == pytest.approx(norm, rel=1e-6)  # what is told is the length before
    moved = [values(network)["conv.bias"].item() - 0.5 for network in (whole, cut)]
    assert moved[1] == pytest.approx(min(share, 1) * moved[0], rel=1e-4)


def test_what_is_frozen_stays_and_normalises_by_its_running_statistics():
    network, _, step = line(frozen=("norm",))
    before = values(network)
    step(*batch(0))
    after = values(network)
    assert {name for name in before if not np.array_equal(before[name], after[name])} == {"conv.weight", "conv.bias"}
    network.set_train(False)
    step.set_train()
    assert network.training
    assert not network.norm.training


def test_normalisation_that_trains_learns_its_statistics():
    network, _, step = line()
    before = values(network)
    step(*batch(0))
    after = values(network)
    assert all(not np.array_equal(before[name], after[name]) for name in before if name != "conv.bias")


def test_a_loss_scale_changes_nothing_in_float32():
    found = []
    for scale in (1.0, 1024.0):
        network, _, step = line(loss_scale=scale)
        results = [step(*batch(number)) for number in range(3)]
        found.append([*values(network).values(), *(np.float32(value) for result in results for value in result)])
    assert all(map(np.array_equal, *found))


def test_a_reducer_is_given_the_gradients():
    class Half(nn.Cell):
        def construct(self, gradients):
            return tuple([gradient * 0.5 for gradient in gradients])

    norms = [float(line(reducer=reducer)[2](*batch(0))[2]) for reducer in (None, Half())]
    assert norms[1] == pytest.approx(0.5 * norms[0], rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "prefixes"), [("momentum", ["moments."]), ("adamw", ["moments.", "moments.squared."])]
)
def test_a_restored_optimiser_goes_on_as_if_it_had_not_stopped(kind, prefixes):
    network, optimiser, step = line(kind=kind)
    step(*batch(0))
    state, weights = optimiser_state(optimiser), values(network)
    names = ("conv.weight", "conv.bias", "norm.gamma", "norm.beta")
    assert set(state) == {"global_step", *(prefix + name for prefix in prefixes for name in names)}
    assert state["global_step"].tolist() == [1]
    step(*batch(1))
    again, fresh, other = line(kind=kind)
    for item in again.get_parameters():
        item.set_data(mindspore.Tensor(weights[item.name]))
    load_optimiser_state(fresh, state)
    other(*batch(1))
    assert all(np.array_equal(a, b) for a, b in zip(values(network).values(), values(again).values(), strict=True))


def test_frozen_first_and_all_later_keeps_the_moments():
    network, optimiser, step = line(frozen=("norm",))
    step(*batch(0))
    for item in (network.norm.gamma, network.norm.beta):
        item.requires_grad = True
    later = make_optimiser(network.get_parameters(), np.full(3, 0.1), 0.9)
    load_optimiser_state(later, optimiser_state(optimiser))
    state = optimiser_state(later)
    assert np.any(state["moments.conv.weight"])
    assert not np.any(state["moments.norm.gamma"])
    before = values(network)
    TrainStep(network, Gap(), later)(*batch(1))
    assert not np.array_equal(before["norm.gamma"], values(network)["norm.gamma"])


def test_a_state_of_other_shapes_is_refused():
    with pytest.raises(ModelError, match=r"moments\.conv\.weight has shape \(2,\)"):
        load_optimiser_state(line()[1], {"moments.conv.weight": np.zeros(2)})


@pytest.mark.parametrize("settings", [{"rates": []}, {"rates": [np.nan]}, {"momentum": 1.0}, {"weight_decay": -1.0}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ConfigError):
        make_optimiser(Line().get_parameters(), **{"rates": np.ones(2)} | settings)


def test_nothing_left_to_train_is_refused():
    with pytest.raises(ConfigError, match="frozen"):
        line(frozen=("conv", "norm"))


@pytest.fixture
def shallow(monkeypatch):
    """Networks with one residual block where there would be up to eight: they compile in half the time."""
    monkeypatch.setattr(yolov3, "STAGES", tuple((channels, 1) for channels, _ in yolov3.STAGES))
    monkeypatch.setattr(yolov4, "LAYERS", tuple((1, channels) for _, channels in yolov4.LAYERS))


@pytest.mark.parametrize("family", loss_golden.FAMILIES)
def test_a_few_steps_on_one_batch_lower_the_loss(family, shallow):
    mindspore.set_seed(1)
    network = build(family, 2)
    optimiser = make_optimiser(network.get_parameters(), np.full(8, 3e-4), 0.9, 5e-4)
    step = TrainStep(network, make_loss(family, loss_golden.heads(family), 2, 0.7), optimiser)
    arrays = [mindspore.Tensor(array) for array in loss_golden.batch(family, 64)]
    before = values(network)
    losses = [float(step(*arrays)[0]) for _ in range(8)]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.75 * losses[0], losses
    still = {name for name, value in values(network).items() if np.array_equal(before[name], value)}
    unused = ("feature_map.backblock0.conv5.", "feature_map.backblock0.conv6.")  # in YOLOv4's checkpoints, see there
    decayed = {name for name in before if name.startswith(unused) and name.endswith("weight")}
    expected = {name for name in before if name.startswith(unused)} - decayed if family == "yolov4" else set()
    assert still == expected  # running means and variances have moved as well


class PoolGradient(nn.Cell):
    """The gradient of a weighted sum of what a pool gives."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool
        self.gradient = mindspore.grad(self.forward)

    def forward(self, x, weights):
        return (self.pool(x) * weights).sum()

    def construct(self, x, weights):
        return self.gradient(x, weights)


def test_the_pool_has_the_gradient_of_mindspore_also_where_pixels_are_equal():
    random = np.random.default_rng(0)
    x = mindspore.Tensor(random.integers(0, 3, (2, 3, 8, 12)).astype(np.float32))
    weights = mindspore.Tensor(random.standard_normal((2, 3, 4, 6)).astype(np.float32))
    found, expected = (PoolGradient(pool)(x, weights).asnumpy() for pool in (HalvingPool(), nn.MaxPool2d(2, 2)))
    np.testing.assert_array_equal(found, expected)
