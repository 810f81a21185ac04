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
    max_detections: tuple[int, int, int] = (1, 10, 100)  # an image and class, as COCO counts them
    postprocess: str = "geodetect"  # or "upstream"
    drop_last: int = 0  # images a batch; the last batch, where it is not full, gets no detections, as in the model zoo
    confusion_score: float | None = None  # least score in the confusion matrix; None: the card's of each class
    readers: int = 2  # threads that read images while the engine works

    def __post_init__(self) -> None:
        for name in ("floor", "iou", "confusion_score"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"{name} is {value}, give a number from 0 to 1")
        most = self.max_detections
        if len(most) != 3 or not 0 < most[0] < most[1] < most[2]:
            raise ConfigError(f"max_detections is {most}, give three rising numbers such as 1, 10, 100")
        if self.postprocess not in POSTPROCESSES:
            raise ConfigError(f"postprocess is {self.postprocess!r}, give one of {', '.join(POSTPROCESSES)}")
        if self.drop_last < 0 or self.readers < 1:
            raise ConfigError(f"drop_last is {self.drop_last} and readers {self.readers}, 0 and 1 are the least")
