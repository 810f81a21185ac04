"""Scoring the weights of a run that goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geodetect.card import ModelCard
from geodetect.engines import Engine, available, open_engine
from geodetect.package import ModelPackage
from geodetect.progress import SILENT, Reporter
from training.data.index import Index

if TYPE_CHECKING:
    from training.scoring import Scores


@dataclass(frozen=True)
class _Live(ModelPackage):
    """A package whose parameters are in memory."""

    arrays: Mapping[str, np.ndarray]

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the network's parameters by name."""
        return dict(self.arrays)


def evaluate(network: Any, card: ModelCard, index: Index, reporter: Reporter = SILENT) -> Scores:
    """Return how good a network in training is on a split.

    On CPUs OpenVINO computes, where it is installed: it is several times faster than the network itself, in float32
    and to 1e-5 the same.

    Args:
        network: in training; it stays so.
        card: of the model.
        index: of the split.
        reporter: may cancel.
    """
    from training.scoring import LiveNetwork, ScoreSettings, score

    live = LiveNetwork(network, card.input.size, batch_size=8)
    engine: Engine = live
    if live.device == "CPU" and "openvino" in available():
        arrays = {item.name: item.asnumpy() for item in network.get_parameters()}
        engine = open_engine(_Live(card, Path(), arrays), "openvino", precision="float32")
    try:
        return score(engine, card, index, ScoreSettings(), reporter)
    finally:
        engine.close()
