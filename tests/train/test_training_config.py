"""Settings of a training run: types, refusals, recipes, options."""

from __future__ import annotations

import dataclasses

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from geodetect.errors import ConfigError
from training.commands.train import train
from training.commands.train_options import augment_of
from training.data.sizes import ELEVEN_SIZES, TEN_SIZES
from training.run.config import TrainConfig
from training.run.folder import collect_settings
from training.run.settings import CONFIGS

# parameters of the model zoo's train.py that keep their names
MODEL_ZOO = [
    "data_dir", "per_batch_size", "pretrained_backbone", "lr_scheduler", "lr", "lr_epochs", "lr_gamma",
    "eta_min", "t_max", "max_epoch", "warmup_epochs", "weight_decay", "momentum", "loss_scale", "label_smooth",
    "label_smooth_factor", "log_interval", "ckpt_path", "ckpt_interval", "is_save_on_master", "is_distributed",
    "rank", "group_size", "need_profiler", "training_shape", "resize_rate", "bind_cpu", "device_num",
    "transfer_train", "filter_weight", "labels", "run_eval", "pretrained_checkpoint",
]  # fmt: skip
DOTA15 = [
    "plane", "baseball-diamond", "bridge", "ground-track-field", "small-vehicle", "large-vehicle", "ship",
    "tennis-court", "basketball-court", "storage-tank", "soccer-ball-field", "roundabout", "harbor", "swimming-pool",
    "helicopter", "container-crane",
]  # fmt: skip
# How the model zoo trained, by its logs, scripts and configuration files. Rates and decays are those that act: its
# optimiser divides weight decay by the loss scale, and with YOLOv4 the gradient as well.
COMMON = {
    "pretrained_checkpoint": "none", "keep_empty": False, "resize": "stretch", "fill": 128, "momentum": 0.9,
    "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "warmup_epochs": 4.0, "device_num": 1,
    "label_smooth": False, "sync_norm": False, "freeze_epochs": 0, "eta_min": 0.0,
    "eval_start": 200, "eval_interval": 10, "ckpt_interval": 10, "log_interval": 100,
}  # fmt: skip
AUGMENT = {
    "jitter": 0.3, "scale": [0.25, 2.0], "flip": 0.5, "hue": 0.1, "saturation": 1.5, "value": 1.5, "mosaic": 0.0,
    "mosaic_side": 768, "rotate": False, "keep_cut": True, "random_filter": True,
}  # fmt: skip
PUBLISHED = {
    "yolov3-dota15": {
        "network": "yolov3", "labels": DOTA15, "multi_scale": TEN_SIZES, "resize_rate": 1, "input_size": 416,
        "max_epoch": 320, "per_batch_size": 16, "lr": 0.0012, "lr_scheduler": "exponential", "lr_epochs": [220, 250],
        "lr_gamma": 0.1, "weight_decay": 0.0005 / 1024, "loss_scale": 1024, "ignore_threshold": 0.1, "max_box": 480,
        "augment": {},
    },
    "yolov3-coco2014": {
        "network": "yolov3", "multi_scale": TEN_SIZES, "resize_rate": 1, "input_size": 416, "max_epoch": 320,
        "per_batch_size": 32, "lr": 0.001, "lr_scheduler": "cosine_annealing", "t_max": 320,
        "weight_decay": 0.016 / 1024, "loss_scale": 1024, "ignore_threshold": 0.7, "max_box": 50, "augment": {},
    },
    "yolov4-dota15": {
        "network": "yolov4", "labels": DOTA15, "multi_scale": ELEVEN_SIZES, "resize_rate": 10, "input_size": 608,
        "max_epoch": 320, "per_batch_size": 8, "lr": 0.012 / 64, "lr_scheduler": "cosine_annealing", "t_max": 320,
        "weight_decay": 0.0005, "loss_scale": 1, "ignore_threshold": 0.7, "max_box": 240, "augment": {"mosaic": 0.5},
    },
    "yolov3-tiny-coco2017": {
        "network": "yolov3-tiny", "training_shape": 640, "max_epoch": 300, "per_batch_size": 32, "lr": 0.001,
        "lr_scheduler": "cosine_annealing", "t_max": 300, "weight_decay": 0.016 / 1024, "loss_scale": 1024,
        "ignore_threshold": 0.7, "max_box": 90, "augment": {"hue": 0.015, "value": 0.4},
    },
}  # fmt: skip
RECIPES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def options() -> dict[str, list[str]]:
    return {parameter.name: parameter.opts for parameter in train.params}


def test_parameters_of_the_model_zoo_keep_their_names():
    names = {item.name for item in dataclasses.fields(TrainConfig)}
    assert set(MODEL_ZOO) <= names


def test_every_field_has_an_option_with_help():
    for item in dataclasses.fields(TrainConfig):
        assert options()[item.name] == [f"--{item.name.replace('_', '-')}"]
        assert item.metadata["help"].endswith(".")


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "lr": st.floats(1e-8, 1.0),
            "max_epoch": st.integers(1, 500),
            "multi_scale": st.lists(st.integers(1, 30).map(lambda n: 32 * n), max_size=4),
            "labels": st.lists(st.sampled_from(["a", "b", "c"]), unique=True),
            "resume": st.booleans(),
            "t_max": st.none() | st.integers(1, 500),
            "augment": st.fixed_dictionaries({"mosaic": st.floats(0, 1)}),
        },
    )
)
def test_settings_survive_yaml(values):
    config = TrainConfig.from_dict(values)
    assert TrainConfig.from_dict(yaml.safe_load(yaml.safe_dump(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"lr": "1e-3"}, {"lr": 0.001}),  # text to YAML
        ({"lr": 1}, {"lr": 1.0}),
        ({"lr_epochs": "220,250"}, {"lr_epochs": (220.0, 250.0)}),
        ({"is_distributed": 1}, {"is_distributed": True}),
        ({"labels": "plane, ship"}, {"labels": ("plane", "ship")}),
        (
            {"anchors": [[10, 14], [23, 27], [37, 58], [81, 82], [135, 169], [344, 319]]},
            {"anchors": (10.0, 14.0, 23.0, 27.0, 37.0, 58.0, 81.0, 82.0, 135.0, 169.0, 344.0, 319.0)},
        ),
        ({"training_shape": 416.0}, None),
    ],
)
def test_what_people_write(written, meant):
    if meant is None:
        with pytest.raises(ConfigError, match="whole number"):
            TrainConfig.from_dict(written)
        return
    config = TrainConfig.from_dict(written)
    assert {name: getattr(config, name) for name in meant} == meant


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lr_schedular": "x"}, "x.yaml: unknown key lr_schedular, did you mean lr_scheduler?"),
        ({"augment": {"mosiac": 1}}, "unknown key augment.mosiac, did you mean augment.mosaic?"),
        ({"augment": {"mosaic": 3}}, "augment.mosaic is 3"),
        ({"augment": 3}, "augment is 3, give a mapping"),
        ({"lr": "fast"}, "lr is 'fast', give a number above 0"),
        ({"lr": 0}, "lr is 0.0, give a number above 0"),
        ({"training_shape": 400}, "training_shape is 400, give a whole number that is a multiple of 32"),
        ({"multi_scale": "320,x"}, r"give a list of whole numbers that are multiples of 32"),
        ({"lr_scheduler": "step"}, "give one of exponential, cosine_annealing"),
        ({"mean": [1, 2]}, "give 3 numbers"),
        ({"labels": [3]}, "give a list of names"),
        ({"labels": ["a", "a"]}, "names a class twice"),
        ({"resume": "maybe"}, "give true or false"),
        ({"network": "yolov3", "anchors": [1] * 12}, "yolov3 needs 18"),
        ({"anchors": [1] * 14}, "yolov3-tiny needs 12 or 18"),
        ({"variant": "3l", "anchors": [1] * 12}, "yolov3-tiny needs 18"),
        ({"network": "yolov4", "variant": "3l"}, "variant is 3l, yolov4 has mindspore, darknet"),
        ({"gsd": [2, 1]}, "finest"),
    ],
)
def test_refusals_name_file_key_and_way_out(values, message):
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        TrainConfig.from_dict(values, "x.yaml")


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_are_valid(recipe):
    TrainConfig.from_yaml(recipe)


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_recipes_hold_what_the_published_runs_were_trained_with(recipe):
    own = PUBLISHED[recipe]
    told = {**COMMON, **own, "augment": AUGMENT | own["augment"]}
    assert TrainConfig.from_yaml(recipe).to_dict() == TrainConfig.from_dict(told).to_dict()


def test_all_recipes_are_compared():
    assert set(RECIPES) == {*PUBLISHED, "fine-tune", "planes-ships-yolov3-tiny"}


def test_unknown_recipe_names_the_known_ones():
    with pytest.raises(ConfigError, match="recipes are fine-tune, planes-ships-yolov3-tiny, yolov3-coco2014"):
        TrainConfig.from_yaml("yolov5")


def test_unreadable_file_is_one_line(tmp_path):
    (tmp_path / "a.yaml").write_text("a: [1")
    with pytest.raises(ConfigError, match="cannot be read as YAML") as caught:
        TrainConfig.from_yaml(tmp_path / "a.yaml")
    assert "\n" not in str(caught.value)


def test_options_win_over_the_recipe_entry_by_entry():
    config = collect_settings("yolov4-dota15", {"lr": 0.1, "augment": {"flip": "0.25"}})
    assert (config.lr, config.augment.flip, config.augment.mosaic, config.max_epoch) == (0.1, 0.25, 0.5, 320)


@pytest.mark.parametrize("words", [("scale=0.5,1.5,flip=0",), ("scale=0.5,1.5", "flip=0"), ("flip=0, scale=0.5,1.5",)])
def test_augmentation_on_the_line_is_one_option_or_several(words):
    augment = collect_settings(None, {"augment": augment_of(words)}).augment
    assert (augment.scale, augment.flip) == ((0.5, 1.5), 0)


@pytest.mark.parametrize("dash", ["--data_dir", "--data-dir"])
@pytest.mark.parametrize("flag", [["--resume"], ["--resume", "true"], ["--resume=1"]])
def test_both_spellings_and_all_ways_to_say_yes(dash, flag, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(train, [dash, "nowhere", *flag, "--lr_scheduler", "cosine_annealing"])
    assert "holds no last.ckpt to go on from" in str(result.exception)


def test_help_groups_its_options():
    text = CliRunner().invoke(train, ["--help"]).output
    assert [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")] == [
        "General:",
        "Data:",
        "Network:",
        "Start:",
        "Training:",
        "Evaluation:",
        "Output:",
        "Devices:",
    ]
