"""Detections on whole images, as a run of geodetect gives them: cut into tiles, merged."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import geodetect
from geodetect.config import DetectConfig
from geodetect.detections import Detections
from geodetect.package import CARD, ModelPackage, dump_card
from geodetect.progress import SILENT, Reporter
from training.scoring.find import strongest
from training.scoring.settings import ScoreSettings

if TYPE_CHECKING:
    from training.data.index import Index
    from training.scoring.job import EngineChoice


def find_in_scenes(
    package: ModelPackage,
    index: Index,
    choice: EngineChoice,
    settings: ScoreSettings = ScoreSettings(),  # noqa: B008 - frozen
    reporter: Reporter = SILENT,
) -> Detections:
    """Return what runs of geodetect find in the images of an index, labels of the model, `tiles` the image's number.

    Raises:
        GeodetectError: as `geodetect.detect` does.
    """
    parts, count = [], 0
    with tempfile.TemporaryDirectory(prefix="geodetect-") as scratch:
        described = Path(scratch) / CARD
        described.write_text(dump_card(package.card), "utf-8")
        config = DetectConfig(
            model=str(_file(package, choice)),
            card=str(described),
            score=settings.floor,
            iou=settings.iou,
            engine=choice.engine,
            device=choice.device,
            precision=choice.precision,
            batch_size=choice.batch_size,
            threads=choice.threads,
        )
        reporter.progress("detect", 0, len(index))
        for number in range(len(index)):
            found = geodetect.detect(index.path(number), config=config).detections
            parts.append(Detections(found.boxes, found.scores, found.labels, np.full(len(found), number, np.int32)))
            count += len(found)
            reporter.progress("detect", number + 1, len(index), count)
    return strongest(Detections.concatenate(parts), settings.counts(scenes=True)[-1])


def _file(package: ModelPackage, choice: EngineChoice) -> Path | None:
    """Return the file of a package that an engine runs."""
    if choice.precision == "int8" and package.int8_path is not None:
        return package.int8_path
    files = package.weights_path, package.onnx_path
    return files[0] or files[1] if choice.engine == "mindspore" else files[1] or files[0]
