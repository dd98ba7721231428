"""Schedules against their closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_vae.config import ObjectiveConfig
from keras_vae.training.schedules import beta_at, is_adversarial_at, warmup_cosine

few = settings(max_examples=50, deadline=None)
# Steps and shares are float32 with seven digits; a quotient of two loses one.
TOLERANCE = 1e-5


@few
@given(
    cycle=st.integers(2, 500),
    cycles=st.integers(1, 8),
    warmup=st.floats(0.01, 1.0),
    start=st.floats(0.0, 10.0),
    beta=st.floats(0.0, 10.0),
    data=st.data(),
)
def test_beta_goes_from_its_start_over_the_warm_up_of_each_cycle_and_then_stays(
    cycle, cycles, warmup, start, beta, data
):
    config = ObjectiveConfig(beta=beta, beta_start=start, beta_warmup=warmup, beta_cycles=cycles)
    step = data.draw(st.integers(0, cycle * cycles - 1))

    value = float(beta_at(step, config, cycle * cycles))

    share = min((step % cycle) / cycle / warmup, 1.0)
    # Values are float32 up to 10.
    assert value == pytest.approx((1 - share) * start + share * beta, rel=TOLERANCE, abs=10 * TOLERANCE)


@given(step=st.integers(0, 10**6))
@few
def test_beta_is_constant_without_a_planned_length_or_a_warm_up(step):
    assert float(beta_at(step, ObjectiveConfig(beta=0.5, beta_warmup=0.3), None)) == 0.5
    assert float(beta_at(step, ObjectiveConfig(beta=0.5, beta_warmup=0.0), 100)) == 0.5


@pytest.mark.parametrize("step", [100, 101, 1000])
def test_beta_stays_up_when_a_run_goes_on_beyond_its_plan(step):
    assert float(beta_at(step, ObjectiveConfig(beta=2.0, beta_warmup=0.5, beta_cycles=4), 100)) == 2.0


@few
@given(start=st.sampled_from([0.0, 0.25, 0.5, 1.0]), step=st.integers(0, 99))
def test_the_discriminator_is_heeded_from_its_share_of_the_run_on(start, step):
    assert bool(is_adversarial_at(step, ObjectiveConfig(adversarial_start=start), 100)) == (step >= 100 * start)


def test_the_discriminator_is_heeded_at_once_without_a_planned_length():
    assert bool(is_adversarial_at(0, ObjectiveConfig(adversarial_start=0.9), None))


@few
@given(total=st.integers(2, 2000), warmup=st.floats(0.0, 0.9), peak=st.floats(1e-5, 1.0), data=st.data())
def test_the_learning_rate_rises_in_a_line_and_falls_in_half_a_cosine(total, warmup, peak, data):
    step = data.draw(st.integers(0, total))
    rising = round(warmup * total)

    rate = float(warmup_cosine(peak, warmup, total)(step))

    if step < rising:
        expected = peak / rising + (peak - peak / rising) * step / rising
    else:
        expected = 0.5 * peak * (1 + np.cos(np.pi * (step - rising) / max(total - rising, 1)))
    assert rate == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE * peak)


def test_the_learning_rate_can_rise_over_the_whole_run():
    schedule = warmup_cosine(1.0, 1.0, 10)
    rates = [float(schedule(step)) for step in range(10)]
    assert rates == sorted(rates)
    assert 0.0 < rates[0] < rates[-1] < 1.0
