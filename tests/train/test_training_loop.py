"""The loop: with a trainer of numpy for what it does now and then, and whole runs of the command."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from made_dataset import annotation, edit_labels, write_dataset

from geodetect.errors import Cancelled, ConfigError, LabelError, ModelError, OutputError, TrainingError
from geodetect.networks.graphs import expected_shapes
from geodetect.networks.parameters import read_parameters
from geodetect.networks.runtime import ops
from geodetect.package import read_card
from training.commands.train import train as train_command
from training.data.augment import Augment
from training.devices.parallel import Devices
from training.run import loop
from training.run.config import TrainConfig
from training.run.folder import collect_settings
from training.run.inputs import read_inputs
from training.run.loop import train
from training.run.metrics import CSV, TrainReporter, read_metrics
from training.run.optimiser import load_optimiser_state, optimiser_state
from training.run.state import load, save

SMALL = {
    "training_shape": 64,
    "per_batch_size": 2,
    "workers": 1,
    "log_interval": 2,
    "run_eval": False,
    "warmup_epochs": 0,
}


KILLED = """
import os, signal
from geodetect.__main__ import main
from training.run.trainer import Trainer

step = Trainer.step

def last_step(self, batch):
    Trainer.made = getattr(Trainer, "made", 0) + 1
    if Trainer.made == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch)

Trainer.step = last_step
main()
"""


class Said(TrainReporter):
    def __init__(self):
        self.notes, self.rows = [], []

    def note(self, message):
        self.notes.append(message)

    def measured(self, row, steps, total):
        self.rows.append(row)


class NumpyTrainer:
    """Stands for a network: its one weight sums up what it has seen."""

    terms = ("box", "class")

    def __init__(self, inputs, devices, steps):
        self.rates = inputs.config.schedule.rates(steps)
        self.weight = inputs.optimiser.get("moments.weight", np.zeros(2, np.float32)).copy()
        self.network = self.best_network = None
        self.steps = int(inputs.optimiser.get("global_step", [0])[0])

    def begin(self, epoch):
        pass

    def step(self, batch):
        mean = np.float32(batch[0].asnumpy().mean())
        self.weight += (mean, 1)
        self.steps += 1
        return tuple(float(value) for value in (self.weight[0], mean, self.weight[1], 1.0))

    def save(self, path, at):
        state = {"moments.weight": self.weight, "global_step": np.array([self.steps], np.int32)}
        save(path, {"feature_map.a.weight": self.weight}, state, at)


@pytest.fixture
def data(tmp_path):
    return write_dataset(tmp_path / "data", count=6, side=64)


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr("training.run.trainer.Trainer", NumpyTrainer)
    return NumpyTrainer


def config(data, **values) -> TrainConfig:
    settings = {"data_dir": str(data), "ckpt_path": str(data.parent / "run"), "max_epoch": 3}
    return TrainConfig(**{**SMALL, **settings, **values})


def losses(folder) -> list[tuple[str, ...]]:
    return [tuple(value for name, value in row.items() if name != "images_per_s") for row in read_metrics(folder / CSV)]


def stop_after(monkeypatch, fake, steps, error):
    """Have the trainer's step fail after so many."""
    step = fake.step

    def failing(self, batch):
        if self.steps == steps:
            error()
        return step(self, batch)

    monkeypatch.setattr(fake, "step", failing)
    return lambda: monkeypatch.setattr(fake, "step", step)


def test_a_run_leaves_its_files(data, fake):
    said = Said()
    run = train(config(data, keep_checkpoint_max=2), said)
    assert (run.epochs, run.steps, run.ap50) == (3, 9, None)
    names = {path.name for path in run.folder.iterdir()}
    assert names == {
        "config.yaml", "model.yaml", "metrics.csv", "tensorboard", "curve.png", "last.ckpt", "epoch_0002.ckpt",
        "epoch_0003.ckpt",
    }  # fmt: skip
    assert [(row.epoch, row.step) for row in said.rows] == [(1, 2), (1, 3), (2, 4), (2, 6), (3, 8), (3, 9)]
    assert said.notes[0] == "6 images with 6 objects of 2 classes to learn from"
    assert TrainConfig.from_yaml(run.folder / "config.yaml") == config(data, keep_checkpoint_max=2)


@pytest.mark.parametrize("killed", [1, 2, 8])
def test_a_stopped_run_gives_what_it_would_have_given(data, fake, monkeypatch, killed):
    whole = train(config(data, ckpt_path=str(data.parent / "whole")))

    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)

    undo = stop_after(monkeypatch, fake, killed, interrupt)
    with pytest.raises(
        Cancelled, match=rf"Stopped after step {killed + 1}; go on with: geodetect train --ckpt-path \S+run --r"
    ):
        train(config(data))
    undo()
    broken = train(collect_settings(None, {"ckpt_path": str(data.parent / "run"), "resume": True}))
    assert losses(broken.folder) == losses(whole.folder)
    np.testing.assert_array_equal(
        *(load(folder / "last.ckpt")[0]["feature_map.a.weight"] for folder in (whole.folder, broken.folder))
    )


def test_a_second_request_amid_the_last_save_stops_at_once(data, fake, monkeypatch):
    save = fake.save

    def impatient(self, path, at):
        if at.total == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        save(self, path, at)

    stop_after(monkeypatch, fake, 4, lambda: os.kill(os.getpid(), signal.SIGINT))
    monkeypatch.setattr(fake, "save", impatient)
    with pytest.raises(Cancelled, match=r"Stopped at once; go on with: geodetect train --ckpt-path \S+run --resume"):
        train(config(data))
    assert load(data.parent / "run" / "last.ckpt")[2].total == 3


def test_a_killed_run_goes_on_from_its_last_checkpoint(data, fake, monkeypatch):
    whole = train(config(data, ckpt_path=str(data.parent / "whole")))

    def die():
        raise MemoryError  # nothing is saved

    undo = stop_after(monkeypatch, fake, 5, die)
    with pytest.raises(MemoryError):
        train(config(data))
    undo()
    assert load(data.parent / "run" / "last.ckpt")[2].total == 3
    run = train(config(data, resume=True))
    assert losses(run.folder) == losses(whole.folder)


@pytest.mark.parametrize(("place", "name"), [(0, "loss"), (2, "class"), (3, "gradient norm")])
def test_a_loss_that_is_not_finite_stops_the_run(data, fake, monkeypatch, place, name):
    step = fake.step

    def broken(self, batch):
        values = list(step(self, batch))
        if self.steps == 5:
            values[place] = float("nan")
        return tuple(values)

    monkeypatch.setattr(fake, "step", broken)
    with pytest.raises(
        TrainingError, match=rf"the {name} is nan in step 5 \(epoch 2, step 2 of 3\) with train/\d.png, tr"
    ) as caught:
        train(config(data))
    assert str(data.parent / "run" / "last.ckpt") in str(caught.value)
    assert load(data.parent / "run" / "last.ckpt")[2].total == 3


def test_the_best_weights_are_kept(data, fake, monkeypatch):
    class Scores:
        ap, images, per_class = 0.1, 6, ()

        def __init__(self, ap50):
            self.ap50 = ap50

    found = iter([0.25, 0.75, 0.75])
    monkeypatch.setattr(loop, "evaluate", lambda *_: Scores(next(found)))
    write_dataset(data, count=6, side=64, split="val")
    run = train(config(data, run_eval=True))
    assert run.ap50 == 0.75
    assert load(run.folder / "best.ckpt")[2].epoch == 2
    assert [row["AP50"] for row in read_metrics(run.folder / CSV)] == ["", "0.25", "", "0.75", "", "0.75"]
    assert read_card(run.folder / "model.yaml").metrics == {
        "all classes, 6 validation images": {"AP": 0.1, "AP50": 0.75}
    }


def test_a_profile_of_a_few_steps(data, fake, monkeypatch):
    step = fake.step
    monkeypatch.setattr(fake, "step", lambda self, batch: step(self, (ops.relu(batch[0]),)))  # something to be seen
    run = train(config(data, need_profiler=True))
    assert list((run.folder / "profile").glob("**/trace_view.json"))


def test_settings_that_would_change_a_resumed_run_are_refused(data, fake):
    train(config(data))
    with pytest.raises(ModelError, match=r"is of a run with lr 0\.0001, now it is 0\.1"):
        train(config(data, resume=True, lr=0.1))


def test_steps_that_would_not_be_what_they_were_are_refused(data, fake, tmp_path):
    train(config(data, max_epoch=1))
    last = data.parent / "run" / "last.ckpt"
    assert (load(last)[2].images, load(last)[2].batch, load(last)[2].steps) == (6, 2, 3)
    fewer = write_dataset(tmp_path / "fewer", count=4, side=64)
    words = r"last.ckpt is of a run with 6 images to learn from, now it would be 4; give the data set .* or start a new"
    with pytest.raises(ModelError, match=words):
        train(config(data, max_epoch=1, data_dir=str(fewer), resume=True))
    with pytest.raises(ModelError, match="with 2 images a step, now it would be 4; give the number of devices"):
        read_inputs(config(data, max_epoch=1, resume=True), last.parent, Devices(0, 2), Said())


def test_a_run_goes_on_in_a_new_folder(data, fake, monkeypatch):
    whole = train(config(data, ckpt_path=str(data.parent / "whole")))
    undo = stop_after(monkeypatch, fake, 4, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(Cancelled):
        train(config(data))
    undo()
    last, new = data.parent / "run" / "last.ckpt", str(data.parent / "new")
    run = train(config(data, ckpt_path=new, resume_ckpt=str(last)))
    assert losses(run.folder) == losses(whole.folder)[-len(losses(run.folder)) :]
    assert {"config.yaml", "model.yaml", "curve.png", "epoch_0003.ckpt"} <= {path.name for path in run.folder.iterdir()}
    assert TrainConfig.from_yaml(run.folder / "config.yaml").ckpt_path == new
    np.testing.assert_array_equal(
        *(load(folder / "last.ckpt")[0]["feature_map.a.weight"] for folder in (whole.folder, run.folder))
    )


def test_a_finished_run_says_so_in_lines_of_json(data, fake):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    train(config(data))
    result = CliRunner().invoke(train_command, [f"--ckpt-path={data.parent / 'run'}", "--resume", "--progress=json"])
    *_, note, end = (json.loads(line, parse_constant=refuse) for line in result.stdout.splitlines())
    assert note["message"].endswith(
        "last.ckpt is of a run that is finished, after 3 epochs; there is nothing left to do"
    )
    assert (end["type"], end["epochs"], end["loss"]) == ("result", 3, None)


def test_settings_that_do_nothing_here_are_told(data, fake):
    said = Said()
    train(config(data, max_epoch=1, bind_cpu=True), said)
    assert "bind_cpu does nothing without a device_num above 1" in said.notes[0]


def test_another_number_of_processes_than_the_launchers_is_refused(data, monkeypatch):
    monkeypatch.setattr(loop, "is_worker", lambda: True)
    monkeypatch.setattr(loop, "start", lambda *_: Devices(1, 2))
    with pytest.raises(ConfigError, match="device_num is 8, but the launcher started 2 processes; leave it out"):
        train(config(data, device_num=8))


def test_an_example_has_room_for_all_its_ignored_boxes(data):
    def crowd(coco):
        boxes = coco["annotations"]
        boxes += [annotation(100 + i, 10, 1, [i, 0, 2, 2], iscrowd=1) for i in range(40)]
        boxes += [annotation(200 + i, 11, 1, [i, 9, 2, 2]) for i in range(9)]

    edit_labels(data, crowd)
    said = Said()
    for values, room in (
        ({}, 40),  # all boxes of an image; objects are ignored where the canvas cuts them
        ({"augment": Augment(mosaic=0.5)}, 160),
        ({"augment": Augment(keep_cut=True)}, 40),
        ({"augment": Augment(keep_cut=True), "max_box": 4}, 46),
        ({"augment": Augment(mosaic=1.0, keep_cut=True), "max_box": 4}, 196),
    ):
        inputs = read_inputs(config(data, pretrained_checkpoint="none", **values), data.parent / "run", Devices(), said)
        assert inputs.loader(Devices()).targets.max_ignored == room
    assert any("images with more than 4 objects: 1; 4 of them are learned from" in note for note in said.notes)
    plain = config(data, pretrained_checkpoint="none", augment=Augment.none())
    loader = read_inputs(plain, data.parent / "run", Devices(), said).loader(Devices())
    crowded = next(place for place in loader.places(0) if place.image == 0)
    assert loader._maker(crowded)[-1].any(axis=1).sum() == 40


def test_a_run_is_not_overwritten_and_a_default_folder_is_a_new_one(data, fake, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    train(config(data))
    with pytest.raises(OutputError, match="holds a run already; give --resume"):
        train(config(data))
    names = [train(config(data, ckpt_path="")).folder.name for _ in range(2)]
    assert names == ["yolov3-tiny-data", "yolov3-tiny-data-2"]
    assert train(config(data, ckpt_path="", resume=True)).folder.name == "yolov3-tiny-data-2"


def test_bad_input_is_one_line_before_any_file(data, fake, tmp_path):
    folder = tmp_path / "none"
    for values, kind, message in (
        ({"data_dir": ""}, ConfigError, "data_dir is not given"),
        ({"data_dir": str(tmp_path / "x")}, LabelError, "does not exist"),
        ({"rank": 3}, ConfigError, "rank is 3, but the launcher says 0"),
        ({"device_num": 2}, ConfigError, "this process trains alone; run `geodetect train --device-num 2`"),
        ({"labels": ("plane",)}, LabelError, "'ship'"),
        ({"resume": True}, OutputError, "holds no last.ckpt"),
    ):
        with pytest.raises(kind, match=message):
            train(config(data, ckpt_path=str(folder), **values))
    assert not folder.exists()


def test_a_run_at_an_address_goes_on_on_another_machine(data, fake, monkeypatch, bucket, tmp_path):
    for file in data.rglob("*.*"):
        bucket.upload_file(str(file), f"data/{file.relative_to(data)}")
    settings = {"data_dir": "s3://bucket/data", "ckpt_path": "s3://bucket/runs/one"}
    undo = stop_after(monkeypatch, fake, 4, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(Cancelled, match="--ckpt-path s3://bucket/runs/one --resume"):
        train(config(data, **settings))
    undo()
    shutil.rmtree(tmp_path / "runs")
    run = train(collect_settings(None, {**settings, "resume": True}))
    keys = {item.key for item in bucket.objects.filter(Prefix="runs/")}
    table = bucket.Object("runs/one/metrics.csv").get()["Body"].read()
    names = {"last.ckpt", "epoch_0003.ckpt", "model.yaml", "metrics.csv", "curve.png", "config.yaml"}
    assert {f"runs/one/{name}" for name in names} <= keys
    assert any(key.startswith("runs/one/tensorboard/") for key in keys)
    assert table == (run.folder / CSV).read_bytes()
    assert [row["step"] for row in read_metrics(run.folder / CSV)] == ["2", "3", "4", "6", "8", "9"]


def test_a_real_run_killed_in_mid_epoch_goes_on_as_if_nothing_had_been(data):
    """And its checkpoint is a model, though a small one for three steps an epoch."""
    write_dataset(data, count=4, side=64, split="val")
    settings = {"max_epoch": 2, "run_eval": True, "eval_start": 2, "log_interval": 1, "save_minutes": 1e-6, "ema": 0.9}
    folder = data.parent / "run"
    words = [
        f"--{name}={value}" for name, value in {**SMALL, **settings, "data_dir": data, "ckpt_path": folder}.items()
    ]
    program = data.parent / "killed.py"
    program.write_text(KILLED)
    process = subprocess.Popen([sys.executable, program, "train", *words], stderr=subprocess.DEVNULL)
    whole = train(config(data, ckpt_path=str(data.parent / "whole"), **settings))  # beside it
    assert process.wait(300) == -signal.SIGKILL
    assert load(folder / "last.ckpt")[2].total == 4
    run = train(collect_settings(None, {"ckpt_path": str(folder), "resume": True}))
    np.testing.assert_allclose(
        *([[float(value or -1) for value in row] for row in losses(each)] for each in (folder, whole.folder)), rtol=1e-6
    )
    assert run.ap50 == whole.ap50
    card = read_card(folder / "model.yaml")
    shapes = {name: array.shape for name, array in read_parameters(folder / "best.ckpt").items()}
    assert shapes == expected_shapes(card.network.family, len(card.classes), card.network.variant)


def test_the_backbone_is_frozen_at_first_and_the_moments_stay(data):
    from training.run.trainer import Trainer

    inputs = read_inputs(config(data, freeze_epochs=1), data.parent / "run", Devices(), Said())
    trainer = Trainer(inputs, Devices(), 3)
    trainer.begin(0)
    assert [item.name for item in trainer.network.trainable_params()] == [
        f"feature_map.head{number}.{part}" for number in (1, 2) for part in ("weight", "bias")
    ]
    moment = "moments.feature_map.head1.bias"
    load_optimiser_state(trainer._optimiser, {moment: np.full(21, 0.5, np.float32), "global_step": np.array([3])})
    trainer.begin(1)
    state = optimiser_state(trainer._optimiser)
    assert len(state) == 1 + len(trainer.network.trainable_params()) == 38
    assert state["global_step"] == 3
    np.testing.assert_array_equal(state[moment], 0.5)
    np.testing.assert_array_equal(state["moments.feature_map.backbone.conv0.0.weight"], 0)


def test_too_few_steps_to_profile_are_told(tmp_path):
    from training.run.profiling import Profiler

    notes = []
    for folder in (None, tmp_path / "profile"):
        profiler = Profiler(folder, notes.append)
        profiler.step()
        profiler.stop()
    assert notes == ["No profile was made: it begins with step 3, since the first ones compile; train longer"]
