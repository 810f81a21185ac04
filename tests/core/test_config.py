import math

import pytest

from geodetect.card import ModelCard
from geodetect.config import SCORE_FLOOR, ClassRules, DetectConfig
from geodetect.errors import ConfigError, ModelError

CARD = {
    "name": "m",
    "network": {"family": "yolov3-tiny"},
    "classes": ["plane", "ship"],
    "input": {"size": 416},
    "heads": {
        "anchors": [[[81, 82], [135, 169], [344, 319]], [[10, 14], [23, 27], [37, 58]]],
        "strides": [32, 16],
        "scale_xy": [1, 1],
    },
    "thresholds": {"score": {"plane": 0.4}, "iou": 0.5},
}


def rules(**options):
    return ClassRules.of(DetectConfig(**options), ModelCard.from_dict(CARD))


def test_the_cards_thresholds_hold_unless_others_are_asked_for():
    assert rules().scores == (0.4, 0.25)
    assert rules().ious == (0.5, 0.5)
    assert rules(score=0.7).scores == (0.7, 0.7)
    assert rules(score={"ship": 0.1}).scores == (0.4, 0.1)
    assert rules(classes=("ship",)).scores == (math.inf, 0.25)


def test_the_floor_does_not_move_with_the_score():
    assert rules(score=0.9).floor == rules(score=0.1).floor == SCORE_FLOOR
    assert rules(score=0.01).floor == 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": 1.2}, "score is 1.2"),
        ({"score": {"plane": -0.1}}, r"score is \{'plane': -0.1}"),
        ({"iou": float("nan")}, "iou is nan"),
        ({"overlap": -1}, "overlap is -1"),
        ({"tile": 0}, "tile is 0"),
        ({"gsd": "much"}, "gsd is 'much'"),
        ({"gsd": "-1"}, "gsd is '-1'"),
        ({"stretch": "5,1"}, "stretch is '5,1'"),
        ({"stretch": "2%,198%"}, "stretch is"),
        ({"area_crs": "EPSG:4326"}, "without an area"),
        ({"tile": True}, "tile is True"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"area": 5}, "area is 5"),
        ({"classes": (5,)}, "classes is"),
        ({"score": {5: 0.1}}, "score is"),
        ({"average": "yes"}, "average is 'yes'"),
    ],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        DetectConfig(**options)


def test_classes_are_checked_against_the_model():
    with pytest.raises(ConfigError, match=r"'shipp'.*did you mean 'ship'"):
        rules(score={"shipp": 0.5})
    with pytest.raises(ConfigError, match=r"'car'.*it knows plane, ship"):
        rules(classes=("car",))


def test_yaml_settings(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("model: yolov4\nscore: {plane: 0.4}\nbands: [4, 3, 2]\ngsd: 0.5\n")
    config = DetectConfig.from_yaml(path)
    assert (config.model, config.score, config.bands, config.gsd) == ("yolov4", {"plane": 0.4}, ("4", "3", "2"), "0.5")
    path.write_text("area: [1, 2, 3, 4]\nclasses: plane, ship\ngsd: null\n")
    config = DetectConfig.from_yaml(path)
    assert (config.area, config.classes, config.gsd) == ("1,2,3,4", ("plane", "ship"), "auto")
    path.write_text("overlapp: 3\n")
    with pytest.raises(ConfigError, match=r"run.yaml has the unknown key 'overlapp'; did you mean 'overlap'"):
        DetectConfig.from_yaml(path)
    path.write_text("a: [")
    with pytest.raises(ConfigError, match=r"cannot be read as YAML"):
        DetectConfig.from_yaml(path)
    with pytest.raises(ConfigError, match=r"none.yaml"):
        DetectConfig.from_yaml(tmp_path / "none.yaml")


def test_a_card_goes_there_and_back():
    card = ModelCard.from_dict(CARD)
    assert ModelCard.from_dict(card.to_dict()) == card


def test_a_card_says_which_field_is_wrong():
    with pytest.raises(ModelError, match=r"input\.sise, did you mean input\.size"):
        ModelCard.from_dict(CARD | {"input": {"sise": 416}})
