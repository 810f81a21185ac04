from __future__ import annotations

import contextlib
import io
import json
import math
import sqlite3
import warnings

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

import geodetect
from geodetect import vectors
from geodetect.errors import ConfigError, InputError, OutputError
from geodetect.evaluation import MapObjects, Outcome, average_precision, compare, evaluate

CLASSES = ("plane", "ship")


def random_case(seed: int, truths: int = 30, noise: float = 3.0):
    """Truth boxes, and detections that are jittered copies, doubles and inventions, all scores unlike."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 400, (truths, 2))
    truth = np.concatenate([low, low + rng.uniform(10, 40, (truths, 2))], 1)
    labels = rng.integers(0, 2, truths)
    picked = rng.integers(0, truths, round(truths * 1.6))
    boxes = truth[picked] + rng.normal(0, noise, (len(picked), 4))
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 2)
    kinds = np.where(rng.random(len(picked)) < 0.9, labels[picked], 1 - labels[picked])
    names, truth_names = np.array(CLASSES)[kinds], np.array(CLASSES)[labels]
    return boxes, rng.permutation(len(picked)) / len(picked), names, truth, truth_names


def coco(boxes, scores, names, truth, truth_names, difficult):
    """AP50 and AP of each class by pycocotools, crowds and areas left aside."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def xywh(box):
        return [*box[:2], box[2] - box[0], box[3] - box[1]]

    index = {name: i + 1 for i, name in enumerate(CLASSES)}
    true = COCO()
    true.dataset = {
        "images": [{"id": 1}],
        "categories": [{"id": i, "name": name} for name, i in index.items()],
        "annotations": [
            {"id": i + 1, "image_id": 1, "category_id": index[n], "bbox": xywh(b), "area": 1e6 if skip else 1,
             "iscrowd": 0}
            for i, (b, n, skip) in enumerate(zip(truth.tolist(), truth_names, difficult, strict=True))
        ],
    }  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        true.createIndex()
        found = true.loadRes(
            [
                {"image_id": 1, "category_id": index[n], "bbox": xywh(b), "score": s}
                for b, n, s in zip(boxes.tolist(), names, scores.tolist(), strict=True)
            ]
        )
        run = COCOeval(true, found, "bbox")
        run.params.maxDets = [10_000]
        run.params.areaRng, run.params.areaRngLbl = [[0, 1e5]], ["all"]  # an area out of range is how COCO ignores
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"][:, :, :, 0, 0]  # (IoU, recall, class)
    return {name: (precision[0, :, i].mean(), precision[:, :, i].mean()) for i, name in enumerate(CLASSES)}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("share_difficult", [0.0, 0.2])
def test_average_precision_equals_pycocotools(seed, share_difficult):
    pytest.importorskip("pycocotools")
    case = random_case(seed)
    difficult = np.random.default_rng(seed).random(len(case[3])) < share_difficult
    expected = coco(*case, difficult)
    for result in compare(*case, difficult=difficult).classes:
        assert (result.ap50, result.ap) == pytest.approx(expected[result.name], abs=1e-9)


def test_average_precision_by_hand():
    # precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1: 51 recalls read 1, 50 read 2/3
    assert average_precision(np.array([True, False, True]), 2) == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert average_precision(np.zeros(0, bool), 3) == 0
    assert math.isnan(average_precision(np.zeros(2, bool), 0))


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_what_is_perfect_scores_one(seed):
    _, _, _, truth, names = random_case(seed, truths=12)
    result = compare(truth, np.linspace(0.5, 1, 12), names, truth, names)
    assert all(r.precision == r.recall == r.ap50 == r.ap == r.f1 == 1 for r in result.classes)
    assert result.total.misses == result.total.false_alarms == result.total.duplicates == 0


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_order_scale_and_shift_change_nothing(seed):
    boxes, scores, names, truth, truth_names = random_case(seed)
    rng = np.random.default_rng(seed)
    a, b = rng.permutation(len(boxes)), rng.permutation(len(truth))
    shift = np.array([5e5, 4e6, 5e5, 4e6])
    one = compare(boxes, scores, names, truth, truth_names)
    two = compare(boxes[a] * 0.5 + shift, scores[a], names[a], truth[b] * 0.5 + shift, truth_names[b])
    for x, y in zip(one.classes, two.classes, strict=True):
        assert (x.hits, x.misses, x.false_alarms, x.duplicates) == (y.hits, y.misses, y.false_alarms, y.duplicates)
        assert x.ap == pytest.approx(y.ap)
    assert (one.outcomes[a] == two.outcomes).all()


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_counts_add_up(seed):
    case = random_case(seed)
    result = compare(*case)
    assert result.total.detections == len(case[0])
    assert result.total.truths == len(case[3]) == result.total.hits + result.total.misses
    assert (result.truth_outcomes == Outcome.FOUND).sum() == (result.outcomes == Outcome.HIT).sum()


def test_a_detection_that_is_dropped_is_a_miss():
    _, _, _, truth, names = random_case(3, truths=8)
    kept = np.arange(8) != 5
    result = compare(truth[kept], np.ones(7), names[kept], truth, names)
    assert result.total.misses == 1
    assert result.truth_outcomes[5] == Outcome.MISS


def test_a_half_at_a_seam_is_a_duplicate_and_a_stranger_a_false_alarm():
    truth = [[0, 0, 100, 20]]
    boxes = [[0, 0, 100, 20], [60, 0, 100, 20], [300, 0, 340, 20]]
    result = compare(boxes, [0.9, 0.8, 0.7], ["ship"] * 3, truth, ["ship"])
    assert result.outcomes.tolist() == [Outcome.HIT, Outcome.DUPLICATE, Outcome.FALSE_ALARM]
    assert result.matches.tolist() == [0, 0, -1]
    assert result.overlaps == pytest.approx([1, 0.4, 0])


def test_a_difficult_object_counts_nowhere():
    boxes = [[0, 0, 10, 10], [50, 50, 60, 60]]
    result = compare(boxes, [0.9, 0.8], ["ship"] * 2, boxes, ["ship"] * 2, difficult=np.array([True, False]))
    assert result.outcomes.tolist() == [Outcome.IGNORED, Outcome.HIT]
    assert (result.classes[0].truths, result.classes[0].precision, result.classes[0].ap) == (1, 1, 1)


def test_objects_of_other_images_and_classes_do_not_match():
    box = [[0, 0, 10, 10]]
    assert compare(box, [1], ["ship"], box, ["ship"], images=np.array([0]), truth_images=np.array([1])).total.hits == 0
    assert compare(box, [1], ["ship"], box, ["plane"]).total.hits == 0


def objects(boxes, names, scores=None, affine=(1, 0, 0, 1, 0, 0), crs="EPSG:32631"):
    """Map objects of pixel boxes under a geotransform."""
    return MapObjects.of(shapely.affinity.affine_transform(shapely.MultiPolygon(list(shapely.box(*boxes.T))),
                         affine).geoms, names, scores, crs=crs)  # fmt: skip


def case_on_map(affine):
    boxes, scores, names, truth, truth_names = random_case(7)
    return objects(boxes, names, scores, affine), objects(truth, truth_names, None, affine)


@pytest.mark.parametrize("degrees", [0, 30, 75])
def test_a_rotated_scene_gives_what_its_pixels_give(degrees):
    sine, cosine = math.sin(math.radians(degrees)) / 2, math.cos(math.radians(degrees)) / 2
    found, true = case_on_map((cosine, sine, sine, -cosine, 500_000, 4_600_000))
    expected, result = compare(*random_case(7)), evaluate(found, true)
    assert (result.outcomes == expected.outcomes).all()
    assert [r.ap for r in result.classes] == pytest.approx([r.ap for r in expected.classes])


def test_the_truth_may_be_in_another_crs():
    found, true = case_on_map((0.5, 0, 0, -0.5, 500_000, 4_600_000))
    expected, result = evaluate(found, true), evaluate(found, true.to_crs("EPSG:4326"))
    assert (result.outcomes == expected.outcomes).all()
    assert result.overlaps == pytest.approx(expected.overlaps, abs=1e-4)


def test_points_are_found_by_the_box_that_holds_them():
    found = objects(np.array([[0, 0, 10, 10], [20, 0, 30, 10]]), ["ship", "ship"], [0.9, 0.8])
    true = MapObjects.of(shapely.points([[5, 5], [50, 5]]), ["Ship", "ship"], crs="EPSG:32631")
    result = evaluate(found, true).total
    assert (result.hits, result.misses, result.false_alarms) == (1, 1, 1)


def test_classes_without_a_common_name_are_an_error():
    box = np.array([[0, 0, 10, 10]])
    with pytest.raises(InputError, match=r"boat.*ship.*class field"):
        evaluate(objects(box, ["ship"], [0.9]), objects(box, ["Boat"]))


def test_nothing_found_and_nothing_there():
    empty = objects(np.zeros((0, 4)), [], [])
    box = objects(np.array([[0.0, 0, 10, 10]]), ["ship"])
    assert evaluate(empty, box).total.misses == 1
    assert evaluate(box, empty).total.false_alarms == 1
    assert evaluate(empty, empty).classes == ()


def test_the_layer_of_errors_holds_every_outcome(tmp_path):
    found, true = case_on_map((0.5, 0, 0, -0.5, 500_000, 4_600_000))
    result = evaluate(found, true)
    vectors.write_errors(tmp_path / "errors.gpkg", result, found, true)
    again = vectors.read_objects(tmp_path / "errors.gpkg", "outcome")
    counts = {name: int((again.names == name).sum()) for name in ("hit", "miss", "false alarm", "duplicate")}
    total = result.total
    assert counts == {
        "hit": total.hits, "miss": total.misses, "false alarm": total.false_alarms, "duplicate": total.duplicates,
    }  # fmt: skip
    assert "32631" in again.crs


COLOUR_BLIND = {  # linear RGB as it is seen without one kind of cones (Machado et al. 2009, severity 1)
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
    "none": np.eye(3).tolist(),
}


@pytest.mark.parametrize("kind", COLOUR_BLIND)
def test_the_colour_blind_can_tell_the_outcomes_apart(kind):
    counted = (Outcome.HIT, Outcome.MISS, Outcome.FALSE_ALARM, Outcome.DUPLICATE)
    values = np.array([[int(vectors.OUTCOMES[o][1][i : i + 2], 16) / 255 for i in (1, 3, 5)] for o in counted])
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(COLOUR_BLIND[kind]).T, 0, 1)
    to_xyz = np.array([[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0177, 0.1095, 0.8729]])  # of white: 1
    x, y, z = np.cbrt(seen @ to_xyz.T).T
    lab = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)
    apart = np.linalg.norm(lab[:, None] - lab, axis=2)[~np.eye(len(lab), dtype=bool)]
    assert apart.min() > 30  # ten times what one sees side by side


def layer(path, crs="EPSG:32631", **fields):
    """Write two boxes, or the `geometry` given, as a vector layer with these fields."""
    boxes = shapely.box([0, 20], [0, 0], [10, 30], [10, 10])
    fields = {"geometry": boxes, "class": ["ship", "ship"]} | fields
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")
        geopandas.GeoDataFrame(fields, crs=crs).to_file(path, engine="pyogrio")
    return path


def test_files_objects_and_a_mix_of_them_give_one_result(tmp_path):
    found = layer(tmp_path / "found.gpkg", score=[0.9, 0.2])
    true = layer(tmp_path / "true.geojson", crs="EPSG:4326", kind=["ship", "ship"])
    found_objects, true_objects = vectors.read_objects(found), vectors.read_objects(true, is_truth=True)
    expected = evaluate(found_objects, true_objects.to_crs("EPSG:32631")).to_dict()
    for detections in (str(found), found, found_objects):
        for truth in (str(true), true, true_objects):
            assert geodetect.evaluate(detections, truth).to_dict() == expected


def test_tables_give_what_their_files_give(tmp_path):
    fields = {"score": [0.9, 0.2], "sort": ["Ship", "ship"]}
    found = geopandas.read_file(layer(tmp_path / "found.gpkg", **fields))
    true = geopandas.read_file(layer(tmp_path / "true.gpkg", kind=["ship", "ship"], ignore=[0, 1])).to_crs("EPSG:4326")
    expected = geodetect.evaluate(tmp_path / "found.gpkg", tmp_path / "true.gpkg", class_field="kind")
    assert geodetect.evaluate(found, true, class_field="kind").to_dict() == expected.to_dict()
    errors = tmp_path / "errors.gpkg"
    result = geodetect.evaluate(found.iloc[::-1], true, class_field="KIND", errors=errors)
    assert result.outcomes.tolist() == expected.outcomes.tolist()[::-1]
    assert len(geopandas.read_file(errors, layer="errors")) == 2


def test_a_table_may_have_holes_but_no_words_for_numbers_and_needs_geometry(tmp_path):
    true = geopandas.read_file(layer(tmp_path / "true.gpkg", score=[0.9, 0.2]))
    holed = true.assign(score=np.array([0.5, None], object), geometry=[true.geometry[0], None])
    assert geodetect.evaluate(holed, true).total.hits == 1
    assert geodetect.evaluate(true.iloc[:0], holed).total.misses == 1
    with pytest.raises(InputError, match="1 objects without a score"):
        geodetect.evaluate(true.assign(score=[0.5, None]), true)
    with pytest.raises(InputError, match="table has a field 'score' that holds no numbers"):
        geodetect.evaluate(true.assign(score=["high", "low"]), true)
    with pytest.raises(InputError, match="no geometry"):
        geodetect.evaluate(true, true.drop(columns="geometry"))


def test_each_class_may_have_its_own_least_score(tmp_path):
    fields = {"class": ["plane", "Ship"], "score": [0.6, 0.6]}
    path = layer(tmp_path / "both.gpkg", **fields)
    for score, hits in ((0.6, 2), (0.7, 0), ({"ship": 0.7}, 1), ({"ship": 0.6, "plane": 0.61}, 1), ({"car": 1}, 2)):
        assert geodetect.evaluate(path, path, score=score).total.hits == hits
    for score in (-0.1, 1.1, float("nan"), {"ship": 2}):
        with pytest.raises(ConfigError, match="score is"):
            geodetect.evaluate(path, path, score=score)


def test_one_call_does_all(tmp_path):
    found, true = layer(tmp_path / "found.gpkg", score=[0.9, 0.2]), tmp_path / "true.gpkg"
    layer(true, **{"class": ["a", "b"]}, sort=["ship", "ship"], difficult=[0, 1])
    errors, report = tmp_path / "errors.gpkg", tmp_path / "figures.json"
    result = geodetect.evaluate(found, true, score=0.5, class_field="sort", errors=errors, report=report)
    assert (result.total.hits, result.total.truths, result.total.false_alarms) == (1, 1, 0)
    assert vectors.read_objects(errors, "outcome").names.tolist() == ["hit"]
    assert json.loads(report.read_text()) == result.to_dict()


def test_objects_read_from_a_file_protect_it(tmp_path):
    path = layer(tmp_path / "both.gpkg")
    objects = vectors.read_objects(path)
    with pytest.raises(OutputError, match="would be lost"):
        geodetect.evaluate(objects, objects, errors=path, overwrite=True)


@pytest.mark.parametrize("field", ["score", "Confidence"])
def test_a_score_of_words_is_an_error_but_the_truth_needs_none(tmp_path, field):
    words = layer(tmp_path / "words.gpkg", **{field: ["high", "low"]}, difficult=["no", "yes"])
    with pytest.raises(InputError, match=rf"words.gpkg has a field '{field}' that holds no numbers"):
        vectors.read_objects(words)
    with pytest.raises(InputError, match=r"words.gpkg has a field 'difficult' that holds no numbers"):
        vectors.read_objects(words, is_truth=True)
    certain = layer(tmp_path / "certain.gpkg", **{field: ["high", "low"]}, difficult=["0", None])
    assert vectors.read_objects(certain, is_truth=True).scores.tolist() == [1, 1]


def test_numbers_written_as_text_are_numbers(tmp_path):
    path = layer(tmp_path / "text.gpkg", score=["0.5", "1"], difficult=["0", "1"])
    assert vectors.read_objects(path).scores.tolist() == [0.5, 1]
    assert vectors.read_objects(path, is_truth=True).difficult.tolist() == [False, True]


def test_points_and_unscored_objects_are_no_detections(tmp_path):
    true = layer(tmp_path / "true.gpkg")
    points = layer(tmp_path / "points.gpkg", geometry=shapely.points([[5, 5], [25, 5]]), score=[0.9, 0.8])
    assert geodetect.evaluate(true, points).total.hits == 2
    with pytest.raises(InputError, match=r"points.gpkg .*detections must be polygons"):
        geodetect.evaluate(points, true)
    with pytest.raises(InputError, match="1 objects without a score"):
        geodetect.evaluate(layer(tmp_path / "part.gpkg", score=[0.9, None]), true)


@pytest.mark.parametrize("iou", [0, -0.1, 1.5, float("nan")])
def test_an_iou_out_of_range_is_an_error(iou):
    box = objects(np.array([[0.0, 0, 10, 10]]), ["ship"])
    with pytest.raises(ConfigError, match="iou is"):
        evaluate(box, box, iou)


def test_one_layer_without_crs_is_noted(tmp_path):
    with_crs, without = (layer(tmp_path / f"{crs}.gpkg", crs=crs) for crs in ("EPSG:32631", None))
    for first, second in ((with_crs, without), (without, with_crs)):
        result = geodetect.evaluate(first, second, errors=tmp_path / "errors.gpkg", overwrite=True)
        assert [note for note in result.notes if "None.gpkg has no CRS" in note]
        assert result.total.hits == 2
        assert vectors.read_objects(tmp_path / "errors.gpkg", "outcome").crs == "EPSG:32631"
    assert geodetect.evaluate(with_crs, with_crs).notes == geodetect.evaluate(without, without).notes == ()


@pytest.mark.parametrize("undefined", [0, -1])
def test_an_undefined_crs_is_none(tmp_path, undefined):
    path = layer(tmp_path / "old.gpkg")
    with contextlib.closing(sqlite3.connect(path)) as database:
        for table in ("gpkg_contents", "gpkg_geometry_columns"):
            database.execute(f"UPDATE {table} SET srs_id = ?", (undefined,))
        database.commit()
    assert vectors.read_objects(path).crs is None
