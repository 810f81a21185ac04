"""How good a model is: its detections on labelled images, COCO's figures of them, pictures and result files."""

from training.scoring.find import find
from training.scoring.live import LiveNetwork
from training.scoring.result import ClassScores, Scores
from training.scoring.score import score, score_found
from training.scoring.settings import ScoreSettings

__all__ = ["ClassScores", "LiveNetwork", "ScoreSettings", "Scores", "find", "score", "score_found"]
