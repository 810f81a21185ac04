"""metrics.csv, TensorBoard and the curve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from training.run.curve import _set_scale, draw_curve
from training.run.metrics import CSV, Metrics, Row, read_metrics


def row(step: int, **values) -> Row:
    return Row(
        **{
            "step": step,
            "epoch": 1,
            "loss": 3.5,
            "terms": {"box": 1.5, "class": 2.0},
            "gradient_norm": 9.0,
            "lr": 1e-3,
            "images_per_s": 5.0,
            **values,
        }
    )


def write(folder, steps, after=0):
    metrics = Metrics(folder, ("box", "class"), after)
    for step in steps:
        metrics.write(row(step, scores={"AP50": 0.5, "AP": 0.25} if step % 4 == 0 else {}))
    metrics.close()


@given(st.integers(1, 12), st.integers(0, 12))
def test_a_resumed_run_has_the_rows_of_one_that_was_not_stopped(tmp_path_factory, killed, saved):
    whole, broken = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("broken")
    saved = min(saved, killed)
    write(whole, range(1, 13))
    write(broken, range(1, killed + 1))
    write(broken, range(saved + 1, 13), after=saved)
    assert (whole / CSV).read_text() == (broken / CSV).read_text()


def test_columns_and_values(tmp_path):
    write(tmp_path, [3, 4])
    first, second = read_metrics(tmp_path / CSV)
    assert list(first) == ["step", "epoch", "loss", "box", "class", "gradient_norm", "lr", "images_per_s", "AP50", "AP"]
    assert (first["AP50"], second["AP50"], second["lr"]) == ("", "0.5", "0.001")


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float32_values_survive(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("run")
    metrics = Metrics(folder, ("box", "class"))
    metrics.write(row(1, loss=value))
    metrics.close()
    assert np.float32(read_metrics(folder / CSV)[0]["loss"]) == np.float32(value)


def test_a_row_that_a_kill_cut_off_is_left_out(tmp_path):
    write(tmp_path, [1, 2])
    with open(tmp_path / CSV, "a") as file:
        file.write("3,1,2.")
    assert [item["step"] for item in read_metrics(tmp_path / CSV)] == ["1", "2"]


def test_tensorboard_reads_what_was_written(tmp_path):
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    write(tmp_path, [1, 4])
    write(tmp_path, [5], after=4)
    events = [
        event for path in sorted((tmp_path / "tensorboard").iterdir()) for event in EventFileLoader(str(path)).Load()
    ]
    tags = {(event.step, value.tag) for event in events for value in event.summary.value}
    assert {(1, "loss"), (4, "AP50"), (5, "box")} <= tags
    assert any(event.session_log.status == event.session_log.START and event.step == 5 for event in events)


def test_curve_is_a_picture(tmp_path):
    assert draw_curve(tmp_path) is None
    write(tmp_path, range(1, 9))
    with Image.open(draw_curve(tmp_path)) as picture:
        assert min(picture.size) > 500


@pytest.mark.parametrize(("values", "scale"), [((60.0, 70.0), "linear"), ((900.0, 0.3), "log")])
def test_ticks_of_the_curve_are_plain_numbers(values, scale):
    figure = Figure()
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([1, 2], values)
    _set_scale(axes)
    figure.draw_without_rendering()
    labels = [label.get_text() for label in axes.yaxis.get_ticklabels(which="both")]
    assert axes.get_yscale() == scale
    assert sum(map(bool, labels)) > 2
    assert not [text for text in labels if "$" in text]
