"""The loader: the same samples whatever makes them, errors by name, nothing left running."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_dataset import write_dataset

pytest.importorskip("mindspore")

from geodetect.card import Heads, Input
from geodetect.errors import ConfigError, LabelError
from training.data.augment import Augment
from training.data.examples import ExampleMaker
from training.data.index import read_index
from training.data.loader import Loader, LoaderSettings
from training.losses.targets import Targets

COUNT = 11
TINY = Heads((((81, 82), (135, 169), (344, 319)), ((10, 14), (23, 27), (37, 58))), (32, 16), (1.1, 1.2))
SETTINGS = LoaderSettings(4, (64,), Augment(mosaic=0.5, mosaic_side=96), Input(64, 80), seed=3)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return read_index(write_dataset(tmp_path_factory.mktemp("loader") / "set", COUNT, ending="jpg"), "train")


def boxes_only(boxes: np.ndarray, labels: np.ndarray, ignored: np.ndarray, size: int) -> tuple[np.ndarray, ...]:
    rows = np.zeros((20, 6), np.float32)
    rows[: len(boxes)] = np.column_stack([boxes, labels, ignored])
    return (rows,)


def arrays(batches) -> list[tuple[np.ndarray, ...]]:
    taken = list(batches)  # a batch stays what it is when the pipeline has ended
    return [tuple(part.asnumpy() for part in batch) for batch in taken]


def assert_equal(ours, others) -> None:
    assert len(ours) == len(others)
    for batch, other in zip(ours, others, strict=True):
        for part, expected in zip(batch, other, strict=True):
            np.testing.assert_array_equal(part, expected)


def loader(index, **changes) -> Loader:
    return Loader(index, replace(SETTINGS, **changes), boxes_only)


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("GeneratorWorker")}


@pytest.mark.parametrize("changes", [{"workers": 1}, {"workers": 3}, {"workers": 2, "cache_bytes": 10**6}])
def test_workers_and_cache_change_nothing(index, changes):
    expected = by_hand(loader(index), 2)
    ours = loader(index, **changes)
    assert_equal(arrays(ours.epoch(2)), expected)
    assert_equal(arrays(ours.epoch(2)), expected)  # now from the cache


def by_hand(made: Loader, epoch: int) -> list[tuple[np.ndarray, ...]]:
    """Return the batches of an epoch without any pipeline."""
    examples = [made._maker(place) for place in made.places(epoch)]
    size = made.settings.batch_size
    return [tuple(map(np.stack, zip(*examples[i : i + size], strict=True))) for i in range(0, len(examples), size)]


@pytest.mark.skipif(sys.platform == "win32", reason="MindSpore has no worker processes on Windows")
def test_worker_processes_change_nothing_and_end(index):
    from geodetect.networks.runtime import mindspore

    mindspore.ops.ones((3, 3)).sum().asnumpy()  # the runtime is up before the workers are made
    assert_equal(arrays(loader(index, processes=True).epoch(2)), by_hand(loader(index), 2))
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("devices", [2, 3])
def test_devices_share_the_batch_of_one_larger_device(index, devices):
    one = loader(index, batch_size=2 * devices, sizes=(64, 96))
    parts = [loader(index, batch_size=2, sizes=(64, 96), devices=devices, rank=rank) for rank in range(devices)]
    assert [part.steps for part in parts] == [one.steps] * devices
    shares = [by_hand(part, 5) for part in parts]
    joined = [tuple(map(np.concatenate, zip(*batches, strict=True))) for batches in zip(*shares, strict=True)]
    assert_equal(joined, by_hand(one, 5))
    assert [name for part in parts for name in part.names(5, 1)] == one.names(5, 1)


def test_an_epoch_goes_on_where_it_was_left(index):
    whole = arrays(loader(index, sizes=(64, 96)).epoch(1))
    assert_equal(arrays(loader(index, sizes=(64, 96)).epoch(1, start=1)), whole[1:])
    assert list(loader(index).epoch(1, start=3)) == []


def test_epochs_visit_every_image_in_orders_of_their_own(index):
    made = loader(index)
    assert made.steps == 3
    orders = [[name for step in range(3) for name in made.names(epoch, step)] for epoch in range(3)]
    for order in orders:
        assert len(order) == 12
        assert set(order) == set(index.files)
        assert order[11] == order[0]  # padded from the start
    assert len({tuple(order) for order in orders}) == 3
    first = made.places(0)[0]
    again = next(place for place in made.places(1) if place.image == first.image)
    assert (made._maker(first)[0] != made._maker(again)[0]).any()
    repeated = made.places(0)[11]  # the same image at another position
    assert repeated.image == first.image
    assert (made._maker(first)[0] != made._maker(repeated)[0]).any()


def test_a_set_smaller_than_a_batch_is_repeated(index):
    assert len(next(loader(index, batch_size=32).epoch(0))[0]) == 32


def test_sizes_change_from_batch_to_batch(index):
    made = loader(index, sizes=(64, 96, 128), batch_size=1)
    sides = [batch[0].shape[-1] for batch in made.epoch(0)]
    assert sides == [made.size(0, step) for step in range(COUNT)]
    assert len(set(sides)) > 1


def test_batches_have_the_order_that_the_loss_takes(index):
    made = Loader(index, SETTINGS, Targets(TINY, 2, "several", max_boxes=10))
    shapes = [part.shape for part in next(made.epoch(0))]
    grids = [(4, 3, 7, 2, 2), (4, 10, 4), (4, 3, 7, 4, 4), (4, 10, 4)]
    assert shapes == [(4, 3, 64, 64), *grids, (4, 32, 4)]


@pytest.mark.parametrize("processes", [False, True])
def test_a_damaged_image_in_mid_epoch_is_named(tmp_path, processes):
    index = read_index(write_dataset(tmp_path / "set", 12, ending="jpg"), "train")
    made = loader(index, processes=processes, augment=Augment())
    bad = index.path(made.places(0)[6].image)
    bad.write_bytes(bad.read_bytes()[:-300])
    batches = made.epoch(0)
    next(batches)
    with pytest.raises(LabelError, match=rf"{bad.name} cannot be read \(.*truncated") as caught:
        next(batches)
    assert "\n" not in str(caught.value)
    assert not threads()
    assert not multiprocessing.active_children()


def test_a_passing_error_is_made_good(index, monkeypatch):
    """As on a network disk: the example is made once more before the run is given up."""
    expected = by_hand(loader(index), 0)
    made, failed = loader(index), []
    call = ExampleMaker.__call__

    def sometimes(self, place):
        if place.position == 5 and not failed:
            failed.append(place)
            raise LabelError("gone")
        return call(self, place)

    monkeypatch.setattr(ExampleMaker, "__call__", sometimes)
    assert_equal(arrays(made.epoch(0)), expected)
    assert failed


@pytest.mark.parametrize("processes", [False, True])
def test_nothing_goes_on_after_an_epoch_was_closed(index, processes):
    batches = loader(index, processes=processes, batch_size=1).epoch(0)
    next(batches)
    assert processes or threads()
    batches.close()
    assert not threads()
    assert not multiprocessing.active_children()


SCRIPT = """
    import sys, time
    from pathlib import Path
    sys.path[:0] = [{tests!r}, {root!r}]
    from test_data_loader import *
    if __name__ == "__main__":
        made = loader(read_index({data!r}, "train"), processes={processes}, batch_size=1)
        batches = made.epoch(0)
        next(batches)
        children = [child.pid for child in multiprocessing.active_children()]
        print("ready", *children, flush=True)
        try:
            for epoch in range(1000):
                for batch in made.epoch(epoch):
                    time.sleep(0.01)
        except KeyboardInterrupt:
            print("stopped", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are other there")
@pytest.mark.parametrize("processes", [False, True])
def test_an_interrupted_run_ends_and_leaves_no_process(index, tmp_path, processes):
    here = Path(__file__).parent
    script = tmp_path / "run.py"
    values = {"tests": str(here), "root": str(here.parents[1]), "data": str(index.root), "processes": processes}
    script.write_text(textwrap.dedent(SCRIPT).format(**values))
    run = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        children = [int(pid) for pid in run.stdout.readline().split()[1:]]
        assert bool(children) == processes
        time.sleep(0.3)
        run.send_signal(signal.SIGINT)
        assert "stopped" in run.communicate(timeout=30)[0]
    finally:
        run.kill()
        run.wait()
    assert run.returncode == 0
    for pid in children:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"sizes": (100,)}, "multiples of 32"),
        ({"sizes": ()}, "multiples of 32"),
        ({"rank": 2, "devices": 2}, "rank is 2"),
        ({"workers": 0}, "workers is 0"),
        ({"resize_rate": 0}, "resize_rate is 0"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        replace(SETTINGS, **wrong)
