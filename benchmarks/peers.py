"""SAHI and GeoDeep on one scene; runs in an environment of their own, see bench_peers.py.

`python peers.py {sahi|geodeep} {onnxruntime|openvino} SCENE MODEL.onnx SCORE OVERLAP` prints JSON: seconds, cpu, boxes
(N, 4) in scene px, scores, labels. The model has one output (1, N, 5 + C): centre, size, score, classes.
"""

from __future__ import annotations

import json
import os
import sys
import time

import numpy as np

TILE = 640
THREADS = os.cpu_count() or 1


def opened(engine: str, path: str):
    """Return a function from (1, 3, S, S) float32 to the model's output."""
    if engine == "openvino":
        import openvino

        options = {"INFERENCE_NUM_THREADS": THREADS, "INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.Core().compile_model(path, "CPU", options)
        return lambda images: compiled(images)[0]
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {session.get_inputs()[0].name: images})[0]


def sahi(engine: str, scene: str, model: str, score: float, overlap: float):
    from sahi.models.base import DetectionModel
    from sahi.predict import get_sliced_prediction
    from sahi.prediction import ObjectPrediction

    class Network(DetectionModel):
        """The wrapper that SAHI asks for, with suppression a tile as its own wrappers have it."""

        def load_model(self) -> None:
            self.model = opened(engine, self.model_path)

        def perform_inference(self, image: np.ndarray) -> None:
            planes = np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32) / 255
            self._original_predictions = self.model(planes)[0]

        def _create_object_prediction_list_from_original_predictions(
            self, shift_amount_list=None, full_shape_list=None
        ) -> None:
            rows = self._original_predictions
            rows = rows[rows[:, 4] >= self.confidence_threshold]
            half = rows[:, 2:4] / 2
            corners = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1)
            labels = rows[:, 5:].argmax(axis=1)
            kept = suppressed(corners, rows[:, 4], labels)
            self._object_prediction_list_per_image = [
                [
                    ObjectPrediction(
                        bbox=np.clip(corners[i], 0, TILE).tolist(),
                        category_id=int(labels[i]),
                        category_name=str(labels[i]),
                        score=float(rows[i, 4]),
                        shift_amount=shift_amount_list[0],
                        full_shape=full_shape_list[0],
                    )
                    for i in kept
                ]
            ]

    network = Network(model_path=model, confidence_threshold=score, device="cpu")
    result = get_sliced_prediction(
        scene,
        network,
        slice_height=TILE,
        slice_width=TILE,
        overlap_height_ratio=overlap,
        overlap_width_ratio=overlap,
        perform_standard_pred=False,  # it would run the network once on the whole scene
        verbose=0,
    )
    found = result.object_prediction_list
    return [o.bbox.to_xyxy() for o in found], [o.score.value for o in found], [o.category.id for o in found]


def suppressed(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, iou: float = 0.45) -> list[int]:
    """Return the rows that greedy suppression, class by class, keeps."""
    area, kept = (boxes[:, 2:] - boxes[:, :2]).prod(1), []
    order = np.argsort(-scores)
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        low, high = np.maximum(boxes[best, :2], boxes[order, :2]), np.minimum(boxes[best, 2:], boxes[order, 2:])
        both = np.clip(high - low, 0, None).prod(1)
        order = order[(both / (area[best] + area[order] - both) <= iou) | (labels[best] != labels[order])]
    return kept


def geodeep(engine: str, scene: str, model: str, score: float, overlap: float):
    del engine, overlap  # it has ONNX Runtime only; the overlap is in the model's metadata
    from geodeep import detect

    rows = detect(scene, model, output_type="raw", conf_threshold=score, max_threads=THREADS)
    if not len(rows):
        return [], [], []
    return rows[:, :4].tolist(), rows[:, 4].tolist(), rows[:, 5:].argmax(axis=1).tolist()


def main() -> None:
    peer, engine, scene, model, score, overlap = sys.argv[1:]
    clock, cpu = time.perf_counter(), time.process_time()
    boxes, scores, labels = {"sahi": sahi, "geodeep": geodeep}[peer](engine, scene, model, float(score), float(overlap))
    seconds, cpu = time.perf_counter() - clock, time.process_time() - cpu
    boxes = [[float(v) for v in box] for box in boxes]
    print(json.dumps({"seconds": seconds, "cpu": cpu, "boxes": boxes, "scores": [float(s) for s in scores],
                      "labels": [int(label) for label in labels]}))  # fmt: skip


if __name__ == "__main__":
    main()
