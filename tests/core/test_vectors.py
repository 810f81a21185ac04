"""Layers and tables of objects: what is read of them, compared, and written about their errors."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import warnings

import geopandas
import numpy as np
import pytest
import shapely

import geodetect
from geodetect import vectors
from geodetect.errors import ConfigError, InputError, OutputError
from geodetect.evaluation import Outcome, evaluate

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
    boxes = geopandas.GeoSeries(shapely.box([500_000, 500_020], [0, 0], [500_010, 500_030], [10, 10]), crs="EPSG:32631")
    found = layer(tmp_path / "found.gpkg", geometry=boxes, score=[0.9, 0.2])
    true = layer(tmp_path / "true.geojson", crs="EPSG:4326", geometry=boxes.to_crs("EPSG:4326"), kind=["ship", "ship"])
    found_objects, true_objects = vectors.read_objects(found), vectors.read_objects(true, is_truth=True)
    expected = evaluate(found_objects, true_objects.to_crs("EPSG:32631"))
    assert expected.total.hits == 2
    for detections in (str(found), found, found_objects):
        for truth in (str(true), true, true_objects):
            assert geodetect.evaluate(detections, truth).to_dict() == expected.to_dict()


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
