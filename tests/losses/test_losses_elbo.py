"""Likelihoods and KL against SciPy's distributions, numerical integration and closed forms."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import integrate, stats

from keras_vae.errors import InputError
from keras_vae.losses import (
    BernoulliNLL,
    DiscretizedLogisticNLL,
    GaussianNLL,
    LaplaceNLL,
    bernoulli_nll,
    calibrated_scale,
    calibrated_variance,
    discretized_logistic_nll,
    free_bits_kl,
    gaussian_nll,
    kl_divergence,
    kl_per_dimension,
    laplace_nll,
    likelihood_error,
    matched_logistic_scale,
)

# float32 sums of about a hundred terms of order one to ten: six digits, less where large terms cancel.
RTOL, ATOL = 1e-5, 1e-3

images = arrays.arrays("float32", (2, 5, 4, 3), elements=st.floats(0, 1, width=32))
spreads = st.floats(0.01, 2.0)
small_runs = settings(max_examples=20, deadline=None)


def numpy_of(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_kl_is_zero_for_the_prior():
    zeros = np.zeros((3, 4), "float32")

    assert numpy_of(kl_divergence(zeros, zeros)).tolist() == [0.0, 0.0, 0.0]


@small_runs
@given(mean=st.floats(-3, 3, width=32), log_var=st.floats(-4, 2, width=32))
def test_kl_per_dimension_is_the_integral_that_defines_it(mean, log_var):
    posterior, prior = stats.norm(mean, np.exp(log_var / 2)), stats.norm()

    def integrand(z):
        return posterior.pdf(z) * (posterior.logpdf(z) - prior.logpdf(z))

    reach = 12 * np.exp(log_var / 2)
    expected, _ = integrate.quad(integrand, mean - reach, mean + reach, limit=200)

    kl = kl_per_dimension(np.array([[mean]], "float32"), np.array([[log_var]], "float32"))

    np.testing.assert_allclose(numpy_of(kl), [[expected]], rtol=1e-5, atol=1e-6)


def test_kl_keeps_its_digits_near_the_prior():
    log_var = np.array([[1e-3]], "float32")

    kl = kl_divergence(np.zeros((1, 1), "float32"), log_var)

    # ½ (e^x - 1 - x) = x²/4 + x³/12 + …; what is left of the rounding of x = 1e-3 is 1e-10
    np.testing.assert_allclose(numpy_of(kl), [2.5e-7], rtol=1e-3)


def test_kl_sums_over_all_latent_axes():
    rng = np.random.default_rng(0)
    mean, log_var = rng.standard_normal((2, 3, 7, 7, 4)).astype("float32")

    spatial = kl_divergence(mean, log_var)

    flat = kl_divergence(mean.reshape(3, -1), log_var.reshape(3, -1))
    np.testing.assert_allclose(numpy_of(spatial), numpy_of(flat), rtol=RTOL)


def test_free_bits_hold_up_dimensions_whose_batch_mean_is_below():
    # The KL of mean m at unit variance is m²/2: batch means 0.5, 2.0 and 0.0.
    mean = np.array([[1.0, 2.0, 0.0], [-1.0, -2.0, 0.0]], "float32")

    kl = free_bits_kl(mean, np.zeros_like(mean), free_bits=0.75)

    assert float(numpy_of(kl)) == pytest.approx(0.75 + 2.0 + 0.75)


def test_free_bits_of_zero_leave_the_mean_kl():
    rng = np.random.default_rng(0)
    mean, log_var = rng.standard_normal((2, 6, 4)).astype("float32")

    kl = numpy_of(free_bits_kl(mean, log_var, free_bits=0.0))

    np.testing.assert_allclose(kl, numpy_of(kl_divergence(mean, log_var)).mean(), rtol=RTOL)


def test_negative_free_bits_are_refused():
    with pytest.raises(InputError, match="free_bits must be at least 0 nats, got -1"):
        free_bits_kl(np.zeros((1, 1), "float32"), np.zeros((1, 1), "float32"), free_bits=-1)


@small_runs
@given(y_true=images, y_pred=images, variance=spreads)
def test_gaussian_nll_is_that_of_scipy(y_true, y_pred, variance):
    expected = -stats.norm.logpdf(y_true.astype("float64"), y_pred, np.sqrt(variance)).sum(axis=(1, 2, 3))

    np.testing.assert_allclose(numpy_of(gaussian_nll(y_true, y_pred, variance)), expected, rtol=RTOL, atol=ATOL)


def test_gaussian_nll_takes_a_variance_for_each_pixel():
    rng = np.random.default_rng(0)
    y_true, y_pred, variance = (rng.random((3, 2, 5, 4, 1)) + 0.1).astype("float32")
    expected = -stats.norm.logpdf(y_true, y_pred, np.sqrt(variance)).sum(axis=(1, 2, 3))

    np.testing.assert_allclose(numpy_of(gaussian_nll(y_true, y_pred, variance)), expected, rtol=1e-4)


@small_runs
@given(y_true=images, y_pred=images, scale=spreads)
def test_laplace_nll_is_that_of_scipy(y_true, y_pred, scale):
    expected = -stats.laplace.logpdf(y_true.astype("float64"), y_pred, scale).sum(axis=(1, 2, 3))

    np.testing.assert_allclose(numpy_of(laplace_nll(y_true, y_pred, scale)), expected, rtol=RTOL, atol=ATOL)


@small_runs
@given(
    y_true=arrays.arrays("int32", (2, 5, 4, 1), elements=st.integers(0, 1)),
    y_pred=arrays.arrays("float32", (2, 5, 4, 1), elements=st.floats(0.0009765625, 0.9990234375, width=32)),
)
def test_bernoulli_nll_is_that_of_scipy(y_true, y_pred):
    expected = -stats.bernoulli.logpmf(y_true, y_pred.astype("float64")).sum(axis=(1, 2, 3))

    nll = bernoulli_nll(y_true.astype("float32"), y_pred)

    np.testing.assert_allclose(numpy_of(nll), expected, rtol=RTOL, atol=ATOL)


def test_a_certain_and_wrong_pixel_costs_a_bounded_number_of_nats():
    y_true = np.array([0.0, 1.0], "float32").reshape(2, 1, 1, 1)

    nll = numpy_of(bernoulli_nll(y_true, 1.0 - y_true))

    # 1 - 1e-6 is not a float32; its neighbour moves the cost by 5 per cent of one nat at most
    np.testing.assert_allclose(nll, -np.log(1e-6), atol=0.05)


levels = arrays.arrays("int32", (2, 5, 4, 3), elements=st.integers(0, 255))


@small_runs
@given(y_true=levels, y_pred=images, scale=st.floats(0.01, 1.0))
def test_discretized_logistic_nll_is_the_mass_of_scipys_logistic_in_the_bin_of_a_grey_level(y_true, y_pred, scale):
    logistic = stats.logistic(y_pred.astype("float64"), scale)
    edges = (y_true + 0.5) / 255, (y_true - 0.5) / 255
    above = np.where(y_true == 255, 1.0, logistic.cdf(edges[0]))
    below = np.where(y_true == 0, 0.0, logistic.cdf(edges[1]))
    # Of the tail that is nearer, since near 1 the difference of two of them has no digits left.
    above_tail = np.where(y_true == 255, 0.0, logistic.sf(edges[0]))
    below_tail = np.where(y_true == 0, 1.0, logistic.sf(edges[1]))
    mass = np.where(above < 0.5, above - below, below_tail - above_tail)

    nll = discretized_logistic_nll((y_true / 255).astype("float32"), y_pred, scale)

    np.testing.assert_allclose(numpy_of(nll), -np.log(mass).sum(axis=(1, 2, 3)), rtol=1e-3, atol=1e-3)


def test_the_masses_of_all_grey_levels_sum_to_one():
    y_true = (np.arange(256) / 255).astype("float32").reshape(256, 1, 1, 1)

    nll = numpy_of(discretized_logistic_nll(y_true, np.full_like(y_true, 0.3), 0.05))

    np.testing.assert_allclose(np.exp(-nll.astype("float64")).sum(), 1.0, rtol=1e-4)


def test_the_matched_logistic_scale_gives_the_variance_of_the_errors_and_passes_no_gradient(gradient_of):
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.random((2, 4, 6, 6, 1)).astype("float32")

    scale = float(numpy_of(matched_logistic_scale(y_true, y_pred)))

    assert stats.logistic(scale=scale).var() == pytest.approx(np.mean((y_true - y_pred) ** 2), rel=1e-5)
    fixed, calibrated = DiscretizedLogisticNLL(scale), DiscretizedLogisticNLL("calibrated")
    np.testing.assert_allclose(
        gradient_of(calibrated, y_true, y_pred), gradient_of(fixed, y_true, y_pred), rtol=1e-4, atol=1e-6
    )


def test_calibrated_variance_is_the_most_likely_one():
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.random((2, 4, 6, 6, 1)).astype("float32")

    best = float(numpy_of(calibrated_variance(y_true, y_pred)))

    fit_mean, fit_deviation = stats.norm.fit((y_true - y_pred).astype("float64").ravel(), floc=0.0)
    assert fit_mean == 0.0
    assert best == pytest.approx(fit_deviation**2, rel=1e-5)


def test_calibrated_scale_is_the_most_likely_one():
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.random((2, 4, 6, 6, 1)).astype("float32")

    best = float(numpy_of(calibrated_scale(y_true, y_pred)))

    _, fitted = stats.laplace.fit((y_true - y_pred).astype("float64").ravel(), floc=0.0)
    assert best == pytest.approx(fitted, rel=1e-5)


def test_calibrated_gaussian_nll_is_half_the_log_error_and_a_constant():
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.random((2, 4, 6, 6, 1)).astype("float32")
    mean_squared_error = np.mean(np.square(y_true - y_pred, dtype="float64"))

    loss = float(numpy_of(GaussianNLL("calibrated")(y_true, y_pred)))

    assert loss == pytest.approx(0.5 * 36 * (np.log(2 * np.pi * mean_squared_error) + 1), rel=1e-5)


def test_calibration_leaves_the_gradient_of_the_variance_that_it_finds(gradient_of):
    # d/dσ² of the batch's NLL is zero at the calibrated variance, so the path through it adds nothing.
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.random((2, 4, 6, 6, 1)).astype("float32")
    variance = float(np.mean(np.square(y_true - y_pred)))

    calibrated = gradient_of(GaussianNLL("calibrated"), y_true, y_pred)

    expected = (y_pred - y_true) / variance / len(y_true)
    np.testing.assert_allclose(calibrated, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "loss", [GaussianNLL("calibrated"), LaplaceNLL("calibrated"), DiscretizedLogisticNLL("calibrated")]
)
def test_a_perfect_reconstruction_has_finite_calibrated_loss_and_gradient(loss, gradient_of):
    y_true = np.full((4, 6, 6, 1), 0.5, "float32")

    value, gradient = float(numpy_of(loss(y_true, y_true))), gradient_of(loss, y_true, y_true)

    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("loss", "function"),
    [
        (GaussianNLL(0.05), lambda t, p: gaussian_nll(t, p, 0.05)),
        (LaplaceNLL(0.2), lambda t, p: laplace_nll(t, p, 0.2)),
        (DiscretizedLogisticNLL(0.2), lambda t, p: discretized_logistic_nll(t, p, 0.2)),
        (BernoulliNLL(), bernoulli_nll),
    ],
)
def test_a_loss_is_the_mean_over_images_of_its_function(loss, function):
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.random((2, 4, 6, 6, 1)).astype("float32")

    np.testing.assert_allclose(numpy_of(loss(y_true, y_pred)), numpy_of(function(y_true, y_pred)).mean(), rtol=RTOL)


@pytest.mark.parametrize(
    "loss",
    [
        GaussianNLL("calibrated", floor=1e-3),
        GaussianNLL(0.05, reduction="sum", name="pixels"),
        LaplaceNLL(0.2),
        LaplaceNLL("calibrated", floor=1e-2),
        DiscretizedLogisticNLL("calibrated", floor=1e-2),
        BernoulliNLL(reduction=None),
    ],
)
def test_a_likelihood_survives_serialisation(loss):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss), safe_mode=True)

    assert type(copy) is type(loss)
    assert copy.get_config() == loss.get_config()


@pytest.mark.parametrize(
    "make",
    [
        lambda: GaussianNLL(0.0),
        lambda: GaussianNLL("learned"),
        lambda: GaussianNLL(floor=0.0),
        lambda: LaplaceNLL(-1.0),
        lambda: DiscretizedLogisticNLL(0.0),
        lambda: LaplaceNLL(float("nan")),
    ],
)
def test_a_spread_that_is_not_positive_is_refused(make):
    with pytest.raises(InputError, match="must be a positive number"):
        make()


def test_half_precision_images_still_give_float32_losses():
    half = np.full((1, 64, 64, 3), 0.5, "float16")

    nll = gaussian_nll(half, half, 1e-6)

    # 12,288 pixels of -6 nats: a float16 sum would have overflowed
    assert keras.backend.standardize_dtype(nll.dtype) == "float32"
    np.testing.assert_allclose(numpy_of(nll), [0.5 * 12288 * np.log(2 * np.pi * 1e-6)], rtol=RTOL)


@pytest.mark.parametrize(
    "loss",
    [
        GaussianNLL("calibrated"),
        LaplaceNLL(0.2),
        DiscretizedLogisticNLL(0.2),
        BernoulliNLL(),
        lambda t, p: gaussian_nll(t, p, 0.05),
        lambda t, p: likelihood_error("laplace", t, p),
    ],
)
def test_uint8_images_count_in_the_unit_range_and_other_shapes_are_refused(loss):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 1), "uint8")
    y_true, y_pred = pixels.astype("float32") / 255, np.full((2, 4, 5, 1), 0.4, "float32")

    np.testing.assert_allclose(numpy_of(loss(pixels, y_pred)), numpy_of(loss(y_true, y_pred)), rtol=1e-5)
    with pytest.raises(InputError, match=r"must have the same shape, got \(2, 4, 5, 1\) and \(2, 4, 5, 3\)"):
        loss(y_true, np.zeros((2, 4, 5, 3), "float32"))
