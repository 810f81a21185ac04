"""What other packages' suppression makes of stored views; started by `bench_merge` in an environment that has them.

usage: python merge_peers.py VIEWS.npz IOU REPEATS
Writes the kept indices as TOOL.npy beside the views and prints the best seconds of each tool as one JSON object.
Needs numpy and any of lsnms, sahi.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np


def lsnms(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, iou: float) -> np.ndarray:
    """Return what lsnms keeps."""
    return importlib.import_module("lsnms").nms(boxes, scores, iou_threshold=iou, class_ids=labels)


def sahi(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, iou: float) -> np.ndarray:
    """Return what SAHI's NMS on arrays keeps."""
    combine = importlib.import_module("sahi.postprocess.combine")
    return combine.batched_nms(np.column_stack([boxes, scores, labels]), "IOU", iou)


def main(path: Path, iou: float, repeats: int) -> None:
    views = np.load(path)
    boxes, scores = views["boxes"].astype(np.float64), views["scores"].astype(np.float64)
    labels = views["labels"].astype(np.int64)
    seconds: dict[str, float] = {}
    tools: tuple[Callable[..., np.ndarray], ...] = (lsnms, sahi)
    for tool in tools:
        times = []
        try:
            tool(boxes[:100], scores[:100], labels[:100], iou)  # compiles
            for _ in range(repeats):
                start = time.perf_counter()
                kept = tool(boxes, scores, labels, iou)
                times.append(time.perf_counter() - start)
        except ImportError:
            continue
        np.save(path.with_name(f"{tool.__name__}.npy"), np.asarray(kept, np.int64))
        seconds[tool.__name__] = min(times)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
