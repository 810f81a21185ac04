"""A network in training, with its optimiser; what of it goes into a checkpoint and comes out again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from geodetect.card import ModelCard
from geodetect.networks import build
from geodetect.networks.runtime import mindspore, nn
from training.devices.parallel import Devices, broadcast, make_reducer
from training.losses import make_loss
from training.run.average import Average
from training.run.inputs import Inputs
from training.run.optimiser import load_optimiser_state, make_optimiser, optimiser_state
from training.run.state import Progress, save
from training.run.step import TrainStep
from training.run.transfer import BACKBONE, first_layers

_TRAINED = "moments.trained."  # before the names of parameters in training, where a checkpoint's own are averages


class Trainer:
    """Makes steps.

    Attributes:
        network: being trained.
        rates: learning rate of each step of the run.
        terms: names of the loss's terms.
    """

    def __init__(self, inputs: Inputs, devices: Devices, steps: int) -> None:
        """Make the network with the inputs' parameters, the same on all devices; `steps` is an epoch's number."""
        config, card = inputs.config, inputs.card
        self.config, self._devices = config, devices
        self.network = _network(card, lambda name: inputs.optimiser.get(_TRAINED + name, inputs.parameters[name]))
        broadcast(self.network, devices)
        self._average: Average | None = None
        if config.ema:
            averaged = _network(card, inputs.parameters.__getitem__)
            self._average = Average(averaged, self.network, config.ema)
        if config.sync_norm and devices.size > 1:
            from training.devices.sync_norm import use_sync_norm

            use_sync_norm(self.network)
        self._loss = make_loss(config.network, card.heads, len(card.classes), config.ignore_threshold)
        self.terms: tuple[str, ...] = self._loss.terms
        self.rates = config.schedule.rates(steps)
        self._kept = first_layers(config.network, config.freeze_layers)
        self._state = inputs.optimiser
        self._optimiser: Any = None
        self._step: Any = None
        self._frozen: bool | None = None

    @property
    def best_network(self) -> nn.Cell:
        """What is evaluated and kept: the network in training, or its moving average where the settings ask for one."""
        return self.network if self._average is None else self._average.network

    def begin(self, epoch: int) -> None:
        """Get ready for an epoch, counted from 0: the first ones may leave the backbone as it is."""
        frozen = epoch < self.config.freeze_epochs
        if frozen == self._frozen:
            self._step.set_train()
            return
        if self._optimiser is not None:
            self._state = optimiser_state(self._optimiser)
        for item in self.network.get_parameters():
            statistics = item.name.endswith((".moving_mean", ".moving_variance"))
            kept = (frozen and item.name.startswith(BACKBONE)) or item.name.startswith(self._kept)
            item.requires_grad = not statistics and not kept
        parameters = self.network.trainable_params()
        settings = self.config
        self._optimiser = make_optimiser(
            parameters, self.rates, settings.momentum, settings.weight_decay, settings.optimiser
        )
        load_optimiser_state(self._optimiser, self._state)
        reducer = make_reducer(self._optimiser.parameters, self._devices)
        self._step = TrainStep(
            self.network, self._loss, self._optimiser, reducer, settings.loss_scale, settings.clip_norm
        )
        self._frozen = frozen

    def step(self, batch: tuple[Any, ...]) -> tuple[float, ...]:
        """Make one step and return loss, terms and gradient norm, of before the update."""
        loss, terms, norm = self._step(*batch)
        if self._average is not None:
            self._average.update(int(self._optimiser.global_step.asnumpy()[0]))
        return (float(loss.asnumpy()), *map(float, terms.asnumpy()), float(norm.asnumpy()))

    def save(self, path: Path, at: Progress) -> None:
        """Write a checkpoint: the weights that are to be used, and all that a resumed run needs beside them."""
        state = optimiser_state(self._optimiser) if self._optimiser is not None else self._state
        if self._average is not None:
            trained = {_TRAINED + item.name: item.asnumpy() for item in self.network.get_parameters()}
            state = {**state, **trained}
        save(path, {item.name: item.asnumpy() for item in self.best_network.get_parameters()}, state, at)


def _network(card: ModelCard, value: Callable[[str], np.ndarray]) -> nn.Cell:
    """Return the card's network with the parameters that `value` gives by name."""
    network = build(card.network.family, len(card.classes), card.network.variant)
    for item in network.get_parameters():
        item.set_data(mindspore.Tensor(value(item.name)))
    return network
