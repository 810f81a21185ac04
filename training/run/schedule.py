"""The learning rate as a pure function of the step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from geodetect.errors import ConfigError

SCHEDULERS = ("exponential", "cosine_annealing")


@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes over a run, as the model zoo has it.

    Attributes:
        kind: one of `SCHEDULERS`.
        lr: base learning rate, reached at the end of the warm-up.
        epochs: of the run.
        warmup_epochs: over which the rate rises from nothing in equal steps; may be a fraction.
        lr_epochs: exponential: epochs from which on the rate is `lr_gamma` times what it was before.
        lr_gamma: exponential: that factor.
        eta_min: cosine annealing: the rate at its end.
        t_max: cosine annealing: the epoch of its end, None for the run's; the rate stays there afterwards.
    """

    kind: str = "cosine_annealing"
    lr: float = 1e-3
    epochs: int = 1
    warmup_epochs: float = 0.0
    lr_epochs: tuple[float, ...] = ()
    lr_gamma: float = 0.1
    eta_min: float = 0.0
    t_max: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in SCHEDULERS:
            raise ConfigError(f"lr_scheduler is {self.kind!r}, give one of {', '.join(SCHEDULERS)}")

    def rates(self, steps: int) -> np.ndarray:
        """Return the learning rate of each step of the run, (epochs * steps,) float32.

        Args:
            steps: an epoch.
        """
        return self.rate(np.arange(self.epochs * steps), steps).astype(np.float32)

    def rate(self, step: np.ndarray | int, steps: int) -> np.ndarray:
        """Return the learning rate, float64, of steps counted from 0 over the whole run, `steps` of them an epoch.

        The cosine is constant within an epoch and counts the epochs of the warm-up.
        """
        step = np.asarray(step)
        if self.kind == "exponential":
            passed = sum((step >= epoch * steps).astype(np.int64) for epoch in self.lr_epochs)
            annealed = self.lr * np.power(self.lr_gamma, passed, dtype=np.float64)
        else:
            end = self.t_max or self.epochs
            share = np.minimum(step // steps, end) / end
            annealed = self.eta_min + (self.lr - self.eta_min) * (1 + np.cos(math.pi * share)) / 2
        warmup = int(self.warmup_epochs * steps)
        return np.where(step < warmup, self.lr * (step + 1) / max(warmup, 1), annealed)
