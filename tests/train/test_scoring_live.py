"""A network in training as an engine."""

import time

import numpy as np
import pytest
from scored import ANCHORS, card

pytest.importorskip("mindspore")

from geodetect.networks import build
from geodetect.networks.runtime import mindspore, nn
from training.scoring import LiveNetwork

SIZE = 64


class Loss(nn.Cell):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def construct(self, images):
        big, small = self.network(images)
        return (big * big).mean() + (small * small).mean()


def test_a_live_network_computes_as_in_inference_and_goes_on_training():
    assert len(ANCHORS) == len(card().heads.strides)
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    network = build("yolov3-tiny", 3)
    step = nn.TrainOneStepCell(Loss(network), nn.Momentum(network.trainable_params(), 0.05, 0.9))
    step.set_train(True)
    images = np.random.default_rng(0).random((3, 3, SIZE, SIZE), np.float32)
    engine, seen, seconds = LiveNetwork(network, SIZE, batch_size=2), [], []
    for _ in range(3):
        step(mindspore.Tensor(images[:2]))
        started = time.perf_counter()
        seen.append([engine.predict(images[:2])[0], engine.predict(images[2:])[0]])
        seconds.append(time.perf_counter() - started)
        assert network.training  # as it was
    assert seen[0][0].shape == (2, 24, 2, 2)
    assert seen[0][1].shape == (1, 24, 2, 2)
    assert np.abs(seen[0][0] - seen[1][0]).max() > 1e-6  # the weights move
    assert max(seconds[1:]) < seconds[0] / 2  # compiled once

    fresh = build("yolov3-tiny", 3)
    for mine, its in zip(fresh.get_parameters(), network.get_parameters(), strict=True):
        mine.set_data(its.value())
    fresh.set_train(False)
    expected = fresh(mindspore.Tensor(images[[0, 1]]))[0].asnumpy()
    np.testing.assert_allclose(seen[-1][0], expected, atol=1e-5)
    with pytest.raises(ValueError, match="64 px"):
        engine.predict(images[:, :, :32, :32])
