import numpy as np
import pytest

from geodetect.card import Heads
from geodetect.decode import check_heads, decode, predictions
from geodetect.errors import ModelError
from geodetect.letterbox import Letterbox
from geodetect.window import Window

COCO = ((10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119), (116, 90), (156, 198), (373, 326))
YOLOV4 = ((12, 16), (19, 36), (40, 28), (36, 75), (76, 55), (72, 146), (142, 110), (192, 243), (459, 401))
TINY = ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319))
SPECS = {
    "yolov3": Heads((COCO[6:], COCO[3:6], COCO[:3]), (32, 16, 8), (1.0, 1.0, 1.0)),
    "yolov4": Heads((YOLOV4[6:], YOLOV4[3:6], YOLOV4[:3]), (32, 16, 8), (1.05, 1.1, 1.2)),
    "yolov3_tiny": Heads((TINY[3:], TINY[:3]), (32, 16), (1.1, 1.2)),
}
SCALES = {32: "big", 16: "medium", 8: "small"}


def tiny_scales(name, stride):
    return "small" if name == "yolov3_tiny" and stride == 16 else SCALES[stride]


@pytest.mark.parametrize("shape", [(96, 96), (64, 96)], ids=str)
@pytest.mark.parametrize("name", SPECS)
def test_decoded_heads_equal_the_reference(shared, name, shape):
    file = f"{name}_golden_small{'_nnmish' if name == 'yolov4' else ''}.npz"
    golden, spec, (height, width) = np.load(shared / "golden" / file), SPECS[name], shape
    raw = [golden[f"raw_{tiny_scales(name, stride)}_{height}x{width}"] for stride in spec.strides]
    ours, at = predictions(raw, spec), 0
    for stride in spec.strides:
        expected = golden[f"decoded_{tiny_scales(name, stride)}_{height}x{width}"]
        expected = expected.transpose(0, 3, 1, 2, 4).reshape(1, -1, expected.shape[-1])
        part, at = ours[:, at : at + expected.shape[1]], at + expected.shape[1]
        # The reference for YOLOv3 divides widths by the height and heights by the width: seen only off the square.
        sizes = (height, width) if name == "yolov3" else (width, height)
        fractions = part / np.array([width, height, *sizes, *[1] * (part.shape[-1] - 4)], np.float32)
        np.testing.assert_allclose(fractions, expected, rtol=2e-5, atol=2e-5)
    assert at == ours.shape[1]


def random_heads(spec, rng, batch=2, classes=3, size=64):
    return [rng.normal(0, 2, (batch, 3 * (5 + classes), size // s, size // s)).astype("f4") for s in spec.strides]


def test_the_sparse_way_finds_what_the_dense_way_holds():
    spec, rng = SPECS["yolov3_tiny"], np.random.default_rng(1)
    heads = random_heads(spec, rng)
    tiles = [(7, Window(0, 0, 64, 64)), (9, Window(1000, 2000, 64, 64))]
    found = decode(heads, spec, 0.3, Letterbox(1, 1), tiles)
    dense = predictions(heads, spec)
    scores = dense[..., 4] * dense[..., 5:].max(axis=-1)
    corner = np.concatenate([dense[..., :2] - dense[..., 2:4] / 2, dense[..., :2] + dense[..., 2:4] / 2], axis=-1)
    corner = np.clip(corner, 0, 64)
    wide = (corner[..., 2] - corner[..., 0] >= 1) & (corner[..., 3] - corner[..., 1] >= 1)
    expected = sorted(scores[(scores >= 0.3) & wide].tolist())
    assert sorted(found.scores.tolist()) == pytest.approx(expected)
    assert set(found.tiles) == {7, 9}
    second = found[found.tiles == 9].boxes
    assert second[:, 0].min() >= 2000
    assert second[:, 1].min() >= 1000
    assert second[:, 2].max() <= 2064


def test_a_raised_floor_gives_a_subset():
    spec, rng = SPECS["yolov4"], np.random.default_rng(2)
    heads, tiles = random_heads(spec, rng), [(0, Window(0, 0, 64, 64)), (1, Window(0, 64, 64, 64))]
    low, high = (decode(heads, spec, floor, Letterbox(1, 1), tiles) for floor in (0.1, 0.4))
    kept = low[low.scores >= 0.4]
    np.testing.assert_array_equal(kept.boxes, high.boxes)
    np.testing.assert_array_equal(kept.labels, high.labels)


def test_padding_of_the_last_batch_is_ignored():
    spec, rng = SPECS["yolov3"], np.random.default_rng(3)
    assert set(decode(random_heads(spec, rng), spec, 0.2, Letterbox(1, 1), [(5, Window(0, 0, 64, 64))]).tiles) == {5}


def test_heads_that_are_not_the_cards_are_refused():
    spec = SPECS["yolov3_tiny"]
    heads = random_heads(spec, np.random.default_rng(5), classes=3)
    check_heads(heads, spec, 3, 64)
    for wrong in ((heads, 2, 64), (heads[::-1], 3, 64), (heads[:1], 3, 64), (heads, 3, 96)):
        with pytest.raises(ModelError, match="the network gives heads of"):
            check_heads(wrong[0], spec, *wrong[1:])


def test_boxes_leave_the_canvas_through_the_letterbox():
    spec, rng = SPECS["yolov3_tiny"], np.random.default_rng(4)
    heads = random_heads(spec, rng, batch=1)
    plain = decode(heads, spec, 0.3, Letterbox(1, 1), [(0, Window(0, 0, 64, 64))])
    half = decode(heads, spec, 0.3, Letterbox(0.5, 0.25), [(0, Window(100, 10, 256, 128))])
    np.testing.assert_allclose(half.boxes, plain.boxes * [2, 4, 2, 4] + [10, 100, 10, 100])


def test_wild_values_give_finite_boxes():
    spec = SPECS["yolov3_tiny"]
    heads = [np.full((1, 24, 64 // s, 64 // s), 1e4, np.float32) for s in spec.strides]
    assert np.isfinite(decode(heads, spec, 0.5, Letterbox(1, 1), [(0, Window(0, 0, 64, 64))]).boxes).all()
