"""What the terminal shows while a run goes on."""

import io
import re

import pytest
from rich.console import Console

from training.commands import train_console
from training.commands.train_console import BarReporter, LineReporter, fitting
from training.run.metrics import Row

TERMS = {"box": 21.2, "object": 40.1, "class": 3.2}


def rows(*steps):
    for step in steps:
        scores = {"AP50": 0.123, "AP": 0.045} if step % 40 == 0 else {}
        yield Row(step, (step - 1) // 40 + 1, 65.6, TERMS, 9.0, 1.2e-4, 12.3, scores)


def shown(monkeypatch, width, *steps):
    """Return the lines that a terminal of a width is sent, live ones included."""
    text = io.StringIO()
    monkeypatch.setattr(train_console, "Console", lambda stderr: Console(file=text, width=width, force_terminal=True))
    with BarReporter() as reporter:
        for row in rows(*steps):
            reporter.measured(row, 40, 12_000)
            reporter._bar.refresh()
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.getvalue()).replace("\r", "\n")
    return [line for line in plain.splitlines() if line.strip()]


@pytest.mark.parametrize("width", [50, 80, 120])
def test_the_live_line_has_place_and_loss_on_any_terminal(monkeypatch, width):
    lines = shown(monkeypatch, width, 20, 30)
    live = [line for line in lines if "step 30/40" in line][-1]
    assert "epoch 1/300" in live
    assert "loss 65.6" in live
    assert "━" in live
    assert "…" not in live
    assert all(len(line) <= width for line in lines)
    assert ("images/s" in live and "left" in live) == (width >= 80)
    assert ("(box 21.2" in live) == (width >= 120)


def test_the_line_of_an_epoch_is_not_cut(monkeypatch):
    lines = shown(monkeypatch, 80, 20, 40)
    at = next(i for i, line in enumerate(lines) if "AP50" in line and "step" not in line)
    assert lines[at].rstrip() == "epoch 1/300  loss 65.6  12.3 images/s  AP50 0.123  AP 0.045  lr 0.00012"
    assert lines[at + 1].strip() == "(box 21.2, object 40.1, class 3.2)"


def test_the_speed_of_the_first_row_is_that_of_the_compiler(capsys):
    with LineReporter() as reporter:
        for row in rows(20, 40):
            reporter.measured(row, 40, 80)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "epoch 1/2 step 20/40  loss 65.6  lr 0.00012  (box 21.2, object 40.1, class 3.2)"
    assert "12.3 images/s" in second


def test_what_does_not_fit_is_left_out_whole():
    assert fitting(["abc", "de", "f"], 7) == "abc  de"
    assert fitting(["abc"], 2) == ""
