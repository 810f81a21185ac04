"""Checkpoints of a run."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodetect.errors import ModelError, TrainingError
from geodetect.networks.parameters import read_parameters
from training.run.config import TrainConfig
from training.run.state import Progress, check_resumable, epoch_file, load, prune, save

PARAMETERS = {
    "feature_map.a.0.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "feature_map.a.1.beta": np.ones(2, np.float32),
}
OPTIMISER = {"moments.feature_map.a.0.weight": np.full((2, 3), 0.1, np.float32), "global_step": np.array([7], np.int32)}


def at(**values) -> Progress:
    return Progress(
        **{"epoch": 2, "step": 3, "total": 7, "seed": 5, "settings": TrainConfig().fixed, "best": 0.25, **values}
    )


def test_a_checkpoint_gives_back_what_it_was_given(tmp_path):
    pending = ((1.5, 0.1), (1 / 3, float(np.float32(0.7))))
    save(tmp_path / "a.ckpt", PARAMETERS, OPTIMISER, at(pending=pending))
    parameters, optimiser, progress = load(tmp_path / "a.ckpt")
    assert progress == at(pending=pending)
    for stored, found in ((PARAMETERS, parameters), (OPTIMISER, optimiser)):
        assert stored.keys() == found.keys()
        for name in stored:
            np.testing.assert_array_equal(stored[name], found[name])
            assert found[name].dtype == stored[name].dtype


def test_the_core_and_mindspore_read_it(tmp_path):
    from geodetect.networks.runtime import mindspore

    save(tmp_path / "a.ckpt", PARAMETERS, OPTIMISER, at())
    assert read_parameters(tmp_path / "a.ckpt").keys() == PARAMETERS.keys()
    assert {*PARAMETERS, *OPTIMISER} < mindspore.load_checkpoint(str(tmp_path / "a.ckpt")).keys()


def test_others_may_read_it_and_the_owner_replace_it(tmp_path):
    for _ in range(2):
        save(tmp_path / "a.ckpt", PARAMETERS, OPTIMISER, at())
    assert os.stat(tmp_path / "a.ckpt").st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["a.ckpt"]


def test_broken_weights_are_never_written_over_good_ones(tmp_path):
    save(tmp_path / "a.ckpt", PARAMETERS, OPTIMISER, at())
    broken = PARAMETERS | {"feature_map.a.1.beta": np.array([1, np.nan], np.float32)}
    with pytest.raises(TrainingError, match=r"1 parameters are not finite after step 7, first feature_map\.a\.1\.beta"):
        save(tmp_path / "a.ckpt", broken, OPTIMISER, at())
    np.testing.assert_array_equal(load(tmp_path / "a.ckpt")[0]["feature_map.a.1.beta"], 1)


def test_a_file_of_weights_alone_is_no_run(tmp_path):
    from geodetect.networks.runtime import mindspore

    mindspore.save_checkpoint(
        [{"name": "a.weight", "data": mindspore.Tensor(np.ones(2, np.float32))}], str(tmp_path / "a.ckpt")
    )
    with pytest.raises(ModelError, match="give it as pretrained_checkpoint"):
        load(tmp_path / "a.ckpt")
    with pytest.raises(ModelError, match="is not there"):
        load(tmp_path / "b.ckpt")


def test_a_cut_off_file_is_refused(tmp_path):
    save(tmp_path / "a.ckpt", PARAMETERS, OPTIMISER, at())
    blob = (tmp_path / "a.ckpt").read_bytes()
    (tmp_path / "a.ckpt").write_bytes(blob[: len(blob) // 2])
    with pytest.raises(ModelError, match=r"a\.ckpt"):
        load(tmp_path / "a.ckpt")


def test_other_settings_are_refused_by_name(tmp_path):
    check_resumable(at(), TrainConfig(log_interval=3, data_dir="elsewhere", resume=True).fixed, tmp_path)
    with pytest.raises(ModelError, match=r"lr 0\.0001, now it is 0\.001"):
        check_resumable(at(), TrainConfig(lr=0.001).fixed, tmp_path)


@given(st.lists(st.integers(1, 20000), unique=True, min_size=1), st.integers(1, 5))
def test_the_last_checkpoints_stay(tmp_path_factory, epochs, keep):
    folder = tmp_path_factory.mktemp("run")
    for name in (*(epoch_file(folder, epoch).name for epoch in epochs), "last.ckpt", "epoch_notes.ckpt"):
        (folder / name).touch()
    prune(folder, keep)
    left = {*(epoch_file(folder, epoch).name for epoch in sorted(epochs)[-keep:]), "last.ckpt", "epoch_notes.ckpt"}
    assert set(os.listdir(folder)) == left


def test_steps_and_epochs_are_counted():
    one = Progress().after((1.0,)).after((2.0,))
    assert (one.step, one.total, one.pending) == (2, 2, ((1.0,), (2.0,)))
    assert one.next_epoch(0.5).next_epoch(0.25) == Progress(epoch=2, total=2, best=0.5, pending=one.pending)
    assert one.next_epoch(None).best is None
