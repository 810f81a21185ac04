"""Stochastic gradient descent with momentum, or AdamW, and their state as arrays.

The model zoo's numbers, converted. Its optimisers divide the gradient and the decay by `loss_scale`, though the
gradient was not always multiplied by it before. Here decay is decay and rate is rate:

- YOLOv3 and YOLOv3-Tiny: weight_decay / loss_scale. COCO 0.016 / 1024 = 1.6e-5, DOTA 0.0005 / 1024 = 4.9e-7.
- YOLOv4: lr / loss_scale, decay as it is. 0.012 / 64 = 1.875e-4, decay 0.0005.
- YOLOv3 on GPUs: lr / loss_scale. 0.1 / 1024 = 9.8e-5, decay 0.0005.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from geodetect.errors import ConfigError, ModelError
from geodetect.networks.runtime import mindspore, nn

if TYPE_CHECKING:
    from mindspore import Parameter

_UNDECAYED = (".bias", ".gamma", ".beta")  # ends of names
_STEP = "global_step"


_SQUARED = "moments.squared."  # before the names of AdamW's second moments in a checkpoint


def make_optimiser(
    parameters: Iterable[Parameter],
    rates: np.ndarray,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    kind: str = "momentum",
) -> nn.Optimizer:
    """Return what updates the parameters that are not frozen.

    `momentum` is v <- momentum * v + g + weight_decay * w, w <- w - rate * v. `adamw` takes steps of the size of the
    rate whatever that of the gradient; `momentum` is its first decay rate, and the decay of weights is its own term.
    Biases and the scales and shifts of batch normalisation do not decay.

    Source: Loshchilov, Hutter, "Decoupled Weight Decay Regularization", 2019, without the correction of the first
    steps, which a warm-up makes small anyway.

    Args:
        parameters: of the network; those with `requires_grad` False are left alone.
        rates: (S,) learning rate of each step of the whole run; the optimiser's step counter is the index.
        momentum: 0..1.
        weight_decay: at least 0.
        kind: one of `training.run.config.OPTIMISERS`.

    Raises:
        ConfigError: a value is out of its range, or nothing is left to train.
    """
    trained = [item for item in parameters if item.requires_grad]
    rates = np.asarray(rates, np.float32)
    if not trained:
        raise ConfigError("all parameters are frozen, so nothing is left to train; freeze fewer")
    if rates.ndim != 1 or not len(rates) or not np.isfinite(rates).all() or (rates < 0).any():
        raise ConfigError("the learning rates need one finite number a step, at least 0")
    if not 0 <= momentum < 1 or not 0 <= weight_decay < np.inf:
        raise ConfigError(f"momentum is {momentum} (0 to below 1) and weight_decay {weight_decay} (at least 0)")
    groups: list[dict[str, Any]] = [
        {"params": [item for item in trained if item.name.endswith(_UNDECAYED)], "weight_decay": 0.0},
        {"params": [item for item in trained if not item.name.endswith(_UNDECAYED)], "weight_decay": weight_decay},
    ]
    groups = [*(group for group in groups if group["params"]), {"order_params": trained}]
    if len(rates) == 1:  # MindSpore takes it for a constant with a warning
        rates = np.repeat(rates, 2)
    if kind == "adamw":
        return nn.AdamWeightDecay(groups, mindspore.Tensor(rates), beta1=momentum, beta2=0.999, eps=1e-8)
    return nn.Momentum(groups, mindspore.Tensor(rates), momentum)


def optimiser_state(optimiser: nn.Optimizer) -> dict[str, np.ndarray]:
    """Return the step counter and the moments by their names in the model zoo's checkpoints.

    `global_step` (1,) int32, and `moments.NAME` for each trained parameter; with AdamW `moments.squared.NAME` too.
    """
    return {name: item.asnumpy().copy() for name, item in _state(optimiser)}  # else the next step changes them


def load_optimiser_state(optimiser: nn.Optimizer, state: Mapping[str, np.ndarray]) -> None:
    """Set the step counter and the moments.

    A moment that `state` does not name stays as it is: zero for parameters that were frozen until now.

    Raises:
        ModelError: an array has another shape than its parameter.
    """
    for name, item in _state(optimiser):
        if name in state:
            value = np.asarray(state[name], np.int32 if name == _STEP else np.float32)
            if value.shape != tuple(item.shape):
                shape = tuple(item.shape)
                raise ModelError(f"{name} has shape {value.shape} in the checkpoint, {shape} is needed")
            item.set_data(mindspore.Tensor(value))


def _state(optimiser: nn.Optimizer) -> list[tuple[str, Parameter]]:
    """Return the step counter and the moments with their names in a checkpoint."""
    moments = [(_STEP, optimiser.global_step)]
    if isinstance(optimiser, nn.Momentum):
        return moments + [(item.name, item) for item in optimiser.moments]
    for prefix, kind in (("moments.", optimiser.moments1), (_SQUARED, optimiser.moments2)):
        pairs = zip(optimiser.parameters, kind, strict=True)
        moments += [(prefix + parameter.name, item) for parameter, item in pairs]
    return moments
