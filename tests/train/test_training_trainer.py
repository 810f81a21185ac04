"""What a trainer trains and keeps: the moving average of the weights, layers that stay as they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_dataset import write_dataset

pytest.importorskip("mindspore")

from geodetect.networks.parameters import read_parameters
from geodetect.networks.runtime import mindspore, nn
from geodetect.progress import SILENT
from training.devices.parallel import Devices
from training.run.average import Average, keep
from training.run.config import TrainConfig
from training.run.inputs import read_inputs
from training.run.state import Progress, load
from training.run.trainer import Trainer


@given(st.floats(0, 0.9999), st.integers(1, 10**6))
def test_a_step_keeps_more_and_more_but_never_more_than_the_decay(decay, step):
    assert 0 <= keep(decay, step) <= keep(decay, step + 1) <= decay


def test_the_average_is_the_weighted_sum_of_what_was():
    trained, averaged = nn.Dense(3, 2), nn.Dense(3, 2)
    for item, own in zip(averaged.get_parameters(), trained.get_parameters(), strict=True):
        item.set_data(mindspore.Tensor(own.asnumpy().copy()))
    average = Average(averaged, trained, 0.4)
    expected = trained.weight.asnumpy().astype(np.float64)
    for step in range(1, 6):
        value = np.full((2, 3), float(step), np.float32)
        trained.weight.set_data(mindspore.Tensor(value))
        average.update(step)
        share = min(0.4, step / (step + 9))
        expected = share * expected + (1 - share) * value
    np.testing.assert_allclose(average.network.weight.asnumpy(), expected, rtol=1e-6)
    np.testing.assert_array_equal(trained.weight.asnumpy(), 5)


def test_a_checkpoint_holds_the_average_and_beside_it_what_is_trained(tmp_path):
    data = write_dataset(tmp_path / "data", count=4, side=64)
    config = TrainConfig(
        data_dir=str(data), pretrained_checkpoint="none", training_shape=64, run_eval=False, ema=0.9, max_epoch=1
    )
    inputs = read_inputs(config, tmp_path / "run", Devices(), SILENT)
    trainer = Trainer(inputs, Devices(), 3)
    assert trainer.best_network is not trainer.network
    name = "feature_map.head1.bias"
    trained = {item.name: item for item in trainer.network.get_parameters()}[name]
    trained.set_data(mindspore.Tensor(np.full(trained.shape, 7, np.float32)))
    trainer.save(tmp_path / "last.ckpt", Progress())
    parameters, state, _ = load(tmp_path / "last.ckpt")
    np.testing.assert_array_equal(parameters[name], inputs.parameters[name])
    np.testing.assert_array_equal(state[f"moments.trained.{name}"], 7)
    assert set(read_parameters(tmp_path / "last.ckpt")) == set(inputs.parameters)


def test_first_layers_stay_as_they_are(tmp_path):
    data = write_dataset(tmp_path / "data", count=4, side=64)
    config = TrainConfig(
        data_dir=str(data), pretrained_checkpoint="none", training_shape=64, run_eval=False, freeze_layers=2
    )
    trainer = Trainer(read_inputs(config, tmp_path / "run", Devices(), SILENT), Devices(), 3)
    trainer.begin(0)
    fixed = {item.name for item in trainer.network.get_parameters() if not item.requires_grad}
    trained = {item.name for item in trainer.network.trainable_params()}
    kept = {name for name in fixed if not name.endswith((".moving_mean", ".moving_variance"))}
    parts = ("0.weight", "1.gamma", "1.beta")
    assert kept == {f"feature_map.backbone.conv{number}.{part}" for number in (0, 1) for part in parts}
    assert "feature_map.backbone.conv10.0.weight" in trained
