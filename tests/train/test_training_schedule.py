"""The learning rate: against the model zoo's logs, and laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodetect.errors import ConfigError
from training.run.schedule import SCHEDULERS, Schedule

YOLOV3_DOTA = Schedule("exponential", 0.0012, 320, 4, (220, 250), 0.1)  # 189 steps an epoch
YOLOV4_DOTA = Schedule("cosine_annealing", 0.012, 320, 4, t_max=320)  # 378 steps an epoch


def test_first_step_of_the_logged_yolov3_run():
    assert YOLOV3_DOTA.rates(189)[0] == np.float32(0.0012 / 756)


def test_warm_up_ends_at_the_base_rate():
    rates = YOLOV3_DOTA.rates(189)
    assert rates[755] == rates[756] == np.float32(0.0012)


def test_exponential_falls_at_its_milestones():
    rates = YOLOV3_DOTA.rates(189)
    assert len(rates) == 320 * 189
    np.testing.assert_allclose(rates[220 * 189 - 1], 0.0012, rtol=1e-6)
    np.testing.assert_allclose(rates[220 * 189], 0.00012, rtol=1e-6)
    np.testing.assert_allclose(rates[250 * 189], 0.000012, rtol=1e-6)


def test_epoch_4_of_the_logged_yolov4_run():
    rates = YOLOV4_DOTA.rates(378)
    assert abs(rates[4 * 378] - 0.011995374) < 1e-9
    assert rates[4 * 378] == rates[5 * 378 - 1]


def test_cosine_stays_at_its_end():
    rates = Schedule("cosine_annealing", 1.0, epochs=6, eta_min=0.25, t_max=4).rates(10)
    assert set(rates[40:]) == {np.float32(0.25)}


@given(st.sampled_from(SCHEDULERS), st.integers(1, 12), st.integers(1, 40), st.floats(0, 12), st.integers(1, 400))
def test_any_step_alone_is_that_of_the_whole_run(kind, epochs, steps, warmup, at):
    schedule = Schedule(kind, 0.01, epochs, warmup, (2, 5.5), 0.3)
    rates = schedule.rates(steps)
    assert rates.shape == (epochs * steps,)
    assert rates.dtype == np.float32
    assert (rates > 0).all()
    assert rates.max() <= np.float32(0.01)
    at %= len(rates)
    assert np.float32(schedule.rate(at, steps)) == rates[at]


def test_unknown_scheduler_is_refused():
    with pytest.raises(ConfigError, match="lr_scheduler is 'step'"):
        Schedule("step")
