"""An open scene, and all that is settled before its first tile is looked at."""

from __future__ import annotations

from dataclasses import dataclass

from geodetect.card import ModelCard
from geodetect.config import ClassRules, DetectConfig
from geodetect.engines import Engine
from geodetect.package import ModelPackage
from geodetect.plan import Plan
from geodetect.scene import Scene


@dataclass(frozen=True, eq=False)
class View:
    """An open scene, what is asked of it, what will be done with it, and what with.

    Attributes:
        config: the settings as they were given.
        rules: what they mean for each class of the model.
        identity: all that decides what the network sees, see `journal.identity`; equal ones can share the work.
        begun: when, by `time.perf_counter`.
    """

    scene: Scene
    config: DetectConfig
    rules: ClassRules
    plan: Plan
    package: ModelPackage
    engine: Engine
    identity: dict[str, str]
    begun: float

    @property
    def card(self) -> ModelCard:
        """Of the model."""
        return self.package.card
