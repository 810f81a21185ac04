"""Detections on many images: independent of batches and threads, and those of the core's own pipeline."""

import numpy as np
import pytest
from PIL import Image
from scored import MODEL, MadeEngine, card, make_index

import geodetect
from geodetect.demo.scene import CLASSES, draw_scene
from geodetect.engines import open_engine
from geodetect.errors import Cancelled, InputError, ModelError
from geodetect.progress import Reporter
from training.scoring import ScoreSettings, find, score


@pytest.fixture
def images(tmp_path):
    """Seven noisy images of two sizes, without objects."""
    rng, sizes = np.random.default_rng(0), [(64, 64), (50, 40)]
    index = make_index([([], [], [])] * 7, root=tmp_path)
    for number in range(7):
        width, height = sizes[number % 2]
        index.sizes[number] = width, height
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(tmp_path / f"{number}.png")
    return index


def same(a, b):
    for name in ("boxes", "scores", "labels", "tiles"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize("postprocess", ["geodetect", "upstream"])
def test_neither_batches_nor_threads_change_what_is_found(images, postprocess):
    model = card()
    engines = [MadeEngine(model, batch_size) for batch_size in (1, 3, 7, 16)]
    readers = (1, 2, 5, 3)
    found = [
        find(engine, model, images, ScoreSettings(postprocess=postprocess, readers=number))
        for engine, number in zip(engines, readers, strict=True)
    ]
    assert len(found[0]) > 50
    assert [engine.calls for engine in engines] == [7, 3, 1, 1]
    for other in found[1:]:
        same(found[0], other)
    assert (np.diff(found[0].tiles) >= 0).all()


def test_boxes_lie_in_their_images_and_reach_the_floor(images):
    model = card()
    found = find(MadeEngine(model), model, images, ScoreSettings(floor=0.1, max_detections=(1, 2, 5)))
    assert (found.boxes >= 0).all()
    assert (found.boxes <= np.tile(images.sizes, 2)[found.tiles]).all()
    assert found.scores.min() >= 0.1
    assert max(np.bincount(found.tiles * 3 + found.labels)) == 5


def test_the_last_batch_may_be_left_out(images):
    model = card()
    settings = ScoreSettings(postprocess="upstream", drop_last=4)
    assert set(find(MadeEngine(model), model, images, settings).tiles) == {0, 1, 2, 3}
    whole = find(MadeEngine(model), model, images, ScoreSettings(postprocess="upstream"))
    assert set(whole.tiles) == set(range(7))


def test_a_missing_or_cut_image_is_one_clear_error(images):
    model = card()
    path = images.path(4)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"4\.png"):  # GDAL reads a cut PNG as black: an index is checked beforehand
        find(MadeEngine(model), model, images, ScoreSettings(postprocess="upstream"))
    path.unlink()
    for postprocess in ("geodetect", "upstream"):
        with pytest.raises(InputError, match=r"4\.png"):
            find(MadeEngine(model), model, images, ScoreSettings(postprocess=postprocess))


def test_heads_of_another_number_of_classes_are_refused(images):
    with pytest.raises(ModelError, match="card"):
        find(MadeEngine(card()), card(classes=("plane", "ship")), images)


def test_a_run_can_be_cancelled(images):
    class Impatient(Reporter):
        def progress(self, stage, done, total, found=0):
            if done >= 3:
                raise Cancelled("enough")

    model, engine = card(), MadeEngine(card())
    with pytest.raises(Cancelled):
        find(engine, model, images, reporter=Impatient())
    assert engine.calls == 1


def test_tiles_are_found_as_the_pipeline_finds_them_and_score_well(tmp_path):
    package = geodetect.resolve(MODEL)
    objects, pictures = [], [draw_scene(size, seed=seed, gsd=0.5) for seed, size in ((0, 640), (1, 512))]
    for number, (pixels, placed) in enumerate(pictures):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        drawn = [(item.sprite.box, CLASSES.index(item.name)) for item in placed if item.name]
        objects.append(([box for box, _ in drawn], [label for _, label in drawn], [False] * len(drawn)))
    index = make_index(objects, CLASSES, root=tmp_path)
    index.sizes[:] = [[640, 640], [512, 512]]
    engine = open_engine(package, "openvino", precision="float32")
    settings = ScoreSettings(floor=0.1)
    found = find(engine, package.card, index, settings)
    for number in range(2):
        run = geodetect.detect(index.path(number), model=MODEL, engine="openvino", precision="float32", score=0.1)
        own = found[found.tiles == number]
        order = np.argsort(-own.scores, kind="stable")
        np.testing.assert_allclose(own.boxes[order], run.detections.boxes, atol=1e-3)
        np.testing.assert_array_equal(own.labels[order], run.detections.labels)
    scores = score(engine, package.card, index, settings)
    engine.close()
    assert scores.ap50 > 0.8
    assert scores.per_class[0].best_f1 > 0.9
