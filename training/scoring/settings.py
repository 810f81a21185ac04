"""What a score depends on beside model and images."""

from __future__ import annotations

from dataclasses import dataclass

from geodetect.errors import ConfigError

POSTPROCESSES = ("geodetect", "upstream")


@dataclass(frozen=True, slots=True)
class ScoreSettings:
    """How detections are made and counted.

    The defaults give COCO's figures of geodetect's own detections. `postprocess="upstream"` resizes, decodes and
    suppresses as the model zoo does, so that its published figures can be had from its checkpoints.
    """

    floor: float = 0.001  # least score of a detection, 0..1; average precision needs the weak ones too
    iou: float | None = None  # suppress above this, 0..1; None: the card's, or what the model zoo has
    max_detections: tuple[int, int, int] | None = (
        None  # an image and class; None: 1, 10, 100 as COCO has, in scenes 1000
    )
    postprocess: str = "geodetect"  # or "upstream"
    drop_last: int = 0  # images a batch; the last batch, where it is not full, gets no detections, as in the model zoo
    score: float | None = None  # least score of what a user would be shown; None: the card's of each class
    readers: int = 2  # threads that read images while the engine works

    def __post_init__(self) -> None:
        for name in ("floor", "iou", "score"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"{name} is {value}, give a number from 0 to 1")
        most = self.max_detections
        if most is not None and not (len(most) == 3 and 0 < most[0] < most[1] < most[2]):
            raise ConfigError(f"max_detections is {most}, give three rising numbers such as 1, 10, 100")
        if self.postprocess not in POSTPROCESSES:
            raise ConfigError(f"postprocess is {self.postprocess!r}, give one of {', '.join(POSTPROCESSES)}")
        if self.drop_last < 0 or self.readers < 1:
            raise ConfigError(f"drop_last is {self.drop_last} and readers {self.readers}, 0 and 1 are the least")

    def counts(self, scenes: bool = False) -> tuple[int, int, int]:
        """Return the `max_detections` that hold for tiles or for whole scenes, which may hold hundreds of objects."""
        return self.max_detections or ((1, 10, 1000) if scenes else (1, 10, 100))
