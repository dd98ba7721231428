"""False alarms are as many as were asked for, whatever is measured."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_vae.errors import InputError
from keras_vae.scoring.calibration import Calibration, false_alarm_threshold, share_below, units_of

RATES = st.floats(0.01, 0.9)


@given(st.integers(99, 300), RATES, st.integers(0, 1000))
def test_each_of_n_exchangeable_images_is_a_false_alarm_as_often_as_asked(count, rate, seed):
    values = np.random.default_rng(seed).permutation(count + 1).astype(float)

    alarms = [values[i] > false_alarm_threshold(np.delete(values, i), rate) for i in range(count + 1)]

    assert rate - 1 / (count + 1) - 1e-9 < np.mean(alarms) <= rate + 1e-9


def test_too_few_images_for_a_rate_are_refused_with_the_number_that_it_takes():
    false_alarm_threshold(np.arange(99.0), 0.01)
    with pytest.raises(InputError, match=r"0\.01 false alarms takes at least 99 normal images .* there are 98"):
        false_alarm_threshold(np.arange(98.0), 0.01)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, np.nan])
def test_a_rate_outside_of_its_range_is_refused(rate):
    with pytest.raises(InputError, match="must be between 0 and 1"):
        false_alarm_threshold(np.arange(99.0), rate)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30), st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=30))
def test_a_share_is_in_its_range_and_grows_with_the_value(normal, values):
    values = np.sort(values)
    shares = share_below(np.asarray(normal), values)

    assert np.all((shares > 0) & (shares < 1))
    assert np.all(np.diff(shares) >= 0)


def test_values_beyond_all_normal_ones_are_still_ordered():
    shares = share_below(np.arange(10.0), np.array([9.0, 9.1, 20.0, 1e4, 1e6]))

    assert np.all(np.diff(shares) > 0)


def test_the_share_of_a_value_counts_the_smaller_ones():
    assert share_below(np.arange(9.0), np.array([3.5])) == pytest.approx((4 + 0.5) / 10)


@pytest.mark.parametrize(("count", "trials"), [(19, 2000), (199, 300), (1999, 30)])
def test_false_alarms_are_as_many_as_asked_with_few_images_and_many_measures(count, trials):
    rng = np.random.default_rng(0)
    units = units_of(rng.gamma(2, size=(10, 10)))

    alarms = []
    for _ in range(trials):
        calibration = Calibration(rng.gamma(2, size=(count, 10)), units)
        alarms.append(np.mean(calibration.scores(rng.gamma(2, size=(200, 10))) > calibration.threshold(0.05)))

    # The rate of one calibration has a beta distribution; this is three standard errors of the mean over all.
    spread = np.sqrt(0.05 * 0.95 / trials * (1 / (count + 2) + 1 / 200))
    assert np.mean(alarms) == pytest.approx(0.05, abs=3 * spread)


def test_one_measure_that_sees_an_anomaly_is_not_outvoted_by_those_that_do_not():
    rng = np.random.default_rng(0)
    calibration = Calibration(rng.normal(size=(500, 8)), units_of(rng.normal(size=(500, 8))))
    unusual = rng.normal(size=(100, 8))
    unusual[:, 3] = 8

    assert calibration.scores(unusual).min() > 0.99


def test_a_measure_that_never_varies_counts_when_it_does():
    normal = np.column_stack([np.zeros(100), np.arange(100.0)])
    calibration = Calibration(normal, units_of(normal))

    usual, other = calibration.scores(np.array([[0.0, 50.0], [0.1, 50.0]]))

    assert usual < 0.6
    assert other > 0.99
