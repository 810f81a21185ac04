"""How well detections meet the truth: `evaluate` on a map, `compare` on boxes."""

from geodetect.evaluation.matching import average_precision
from geodetect.evaluation.objects import MapObjects, evaluate
from geodetect.evaluation.result import ClassResult, Evaluation, Outcome, compare

__all__ = ["ClassResult", "Evaluation", "MapObjects", "Outcome", "average_precision", "compare", "evaluate"]
