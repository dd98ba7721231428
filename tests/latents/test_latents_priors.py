"""Learned priors: densities against SciPy and quadrature, draws against densities, gradients, and configs."""

import keras
import numpy as np
import pytest
from scipy.integrate import simpson
from scipy.special import logsumexp
from scipy.stats import kstest, multivariate_normal, norm

from keras_vae.errors import InputError
from keras_vae.latents import FlowPrior, MixturePrior, VampPrior
from keras_vae.layers import StandardNormal
from keras_vae.models import Encoder

IMAGE_SHAPE = (8, 8, 1)


def to_numpy(values):
    return keras.ops.convert_to_numpy(values)


def small_encoder(latent_dim, **options):
    return Encoder(IMAGE_SHAPE, latent_dim, widths=(8,), groups=4, attention_resolution=0, **options)


def disturb(layer, scale, seed=0):
    """Add noise to all weights, so that nothing is at its start."""
    random = np.random.default_rng(seed)
    for weight in layer.trainable_weights:
        weight.assign_add(scale * random.standard_normal(weight.shape).astype("float32"))
    return layer


def mixture(latent_dim):
    return disturb(MixturePrior((latent_dim,), components=5, seed=0), 0.3)


def flow(latent_dim):
    keras.utils.set_random_seed(0)
    return disturb(FlowPrior((latent_dim,), layers=3, width=8, bins=5), 0.2)


def vamp(latent_dim):
    keras.utils.set_random_seed(0)
    encoder = small_encoder(latent_dim)
    # A new encoder says N(0, 1) of nearly everything.
    disturb(encoder, 0.1)
    return VampPrior((latent_dim,), encoder, components=5, seed=0)


PRIORS = [mixture, flow, vamp]


@pytest.mark.parametrize("make", PRIORS)
def test_the_density_integrates_to_one(make):
    prior = make(2)
    axis = np.linspace(-20, 20, 669, dtype="float32")
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    density = np.exp(to_numpy(prior.log_prob(grid)).astype("float64")).reshape(len(axis), -1)
    # The flow's density has kinks at the splines' knots, where quadrature is less exact.
    assert simpson(simpson(density, x=axis), x=axis) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("make", PRIORS)
def test_draws_follow_the_density(make):
    prior = make(1)
    grid = np.linspace(-15, 15, 20_001, dtype="float32")[:, None]
    density = np.exp(to_numpy(prior.log_prob(grid)).astype("float64"))
    cumulative = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(grid[:, 0]))])
    draws = to_numpy(prior.sample(5000, seed=3))[:, 0]
    assert kstest(draws, lambda z: np.interp(z, grid[:, 0], cumulative)).pvalue > 0.01


@pytest.mark.parametrize("make", PRIORS)
def test_draws_in_several_dimensions_have_the_moments_of_the_density(make):
    prior = make(2)
    axis = np.linspace(-20, 20, 501, dtype="float32")
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    weights = np.exp(to_numpy(prior.log_prob(grid)).astype("float64"))
    weights /= weights.sum()
    mean = weights @ grid
    covariance = (grid - mean).T @ (weights[:, None] * (grid - mean))
    entropy = -weights @ to_numpy(prior.log_prob(grid))
    draws = to_numpy(prior.sample(20_000, seed=4)).astype("float64")
    # In units of the deviations the standard errors of twenty thousand draws are 0.007 and about 0.01.
    deviations = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose((draws.mean(axis=0) - mean) / deviations, 0, atol=0.035)
    np.testing.assert_allclose((np.cov(draws.T) - covariance) / np.outer(deviations, deviations), 0, atol=0.05)
    assert -to_numpy(prior.log_prob(draws.astype("float32"))).mean() == pytest.approx(entropy, abs=0.04)


@pytest.mark.parametrize("make", PRIORS)
def test_the_same_seed_draws_the_same(make):
    prior = make(3)
    first, again, other = (to_numpy(prior.sample(6, seed=seed)) for seed in (1, 1, 2))
    assert first.shape == (6, 3)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("make", PRIORS)
def test_gradients_reach_every_weight_of_the_prior_and_the_posterior(make, gradients):
    prior = make(3)
    random = np.random.default_rng(0)
    mean, log_var = (keras.Variable(random.normal(size=(16, 3)).astype("float32")) for _ in range(2))
    # A tensor: PyTorch refuses to multiply one that has a gradient by an array.
    epsilon = keras.ops.convert_to_tensor(random.standard_normal((16, 3)).astype("float32"))

    def loss():
        z = mean + keras.ops.exp(0.5 * log_var) * epsilon
        return keras.ops.mean(prior.kl(mean.value, log_var.value, z))

    for gradient in gradients(loss, [mean, log_var, *prior.trainable_weights]):
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0


@pytest.mark.parametrize("make", PRIORS)
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_the_density_is_float32_under_every_policy(make, policy):
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        prior = make(2)
        assert {weight.dtype for weight in prior.weights} == {"float32"}

        class Caller(keras.layers.Layer):
            def call(self, z):
                return prior.log_prob(keras.ops.cast(z, "float32"))

        z = np.zeros((4, 2), "float32")
        values = Caller()(z)
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    assert keras.backend.standardize_dtype(values.dtype) == "float32"
    # A caller's policy does not round the prior's weights. The encoder computes in the policy that it was made in.
    if make is not vamp:
        np.testing.assert_array_equal(to_numpy(values), to_numpy(prior.log_prob(z)))


@pytest.mark.parametrize("make", [mixture, flow])
def test_a_prior_survives_its_config_and_weights(make):
    prior = make(3)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(prior), safe_mode=True)
    assert copy.get_config() == prior.get_config()
    copy.set_weights(prior.get_weights())
    z = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    np.testing.assert_array_equal(to_numpy(copy.log_prob(z)), to_numpy(prior.log_prob(z)))


@pytest.mark.parametrize("make", PRIORS)
def test_a_spatial_latent_is_refused(make):
    kind = type(make(2))
    arguments = {"encoder": small_encoder(2)} if kind is VampPrior else {}
    with pytest.raises(InputError, match=rf"{kind.__name__} is a prior of latent vectors, .* \(2, 2, 3\)"):
        kind((2, 2, 3), **arguments)


# The mixture.


def test_the_mixtures_density_is_scipys():
    prior = mixture(3)
    log_weights, means, log_vars = (to_numpy(part).astype("float64") for part in prior.parameters())
    z = np.random.default_rng(1).normal(size=(7, 3))
    densities = [
        multivariate_normal(mean, np.diag(np.exp(log_var))).logpdf(z)
        for mean, log_var in zip(means, log_vars, strict=True)
    ]
    expected = logsumexp(log_weights[:, None] + densities, axis=0)
    np.testing.assert_allclose(to_numpy(prior.log_prob(z.astype("float32"))), expected, rtol=1e-4, atol=1e-5)
    assert np.exp(log_weights).sum() == pytest.approx(1)


def test_a_new_mixture_has_different_components_and_about_the_moments_of_the_standard_normal():
    prior = MixturePrior((4,), components=50, seed=0)
    assert len(np.unique(to_numpy(prior.means), axis=0)) == 50
    draws = to_numpy(prior.sample(20_000, seed=0))
    # Of fifty random means, the mean has a standard error of 0.07, and the variance one of 0.05.
    np.testing.assert_allclose(draws.mean(axis=0), 0, atol=0.25)
    np.testing.assert_allclose(draws.var(axis=0), 1, atol=0.25)


def test_the_mixtures_variances_stay_bounded():
    prior = MixturePrior((2,), components=2, seed=0)
    prior.raw_log_vars.assign([[1e4, -1e4], [0, 0]])
    np.testing.assert_allclose(to_numpy(prior.parameters()[2]), [[8, -8], [0, 0]])
    assert np.isfinite(to_numpy(prior.log_prob(np.full((1, 2), 50, "float32")))).all()


def test_a_mixture_starts_from_draws_of_posteriors():
    prior = MixturePrior((2,), components=5, seed=0)
    z = np.arange(6, dtype="float32").reshape(3, 2)
    prior.start_from(None, z)
    np.testing.assert_array_equal(to_numpy(prior.means), z[[0, 1, 2, 0, 1]])


@pytest.mark.parametrize("components", [0, -1])
def test_no_components_are_refused(components):
    with pytest.raises(ValueError, match=f"components must be at least 1, got {components}"):
        MixturePrior((2,), components)
    with pytest.raises(ValueError, match=f"components must be at least 1, got {components}"):
        VampPrior((2,), small_encoder(2), components)


# The VampPrior.


def test_the_vampprior_is_the_mean_density_of_the_pseudo_inputs_posteriors():
    prior = vamp(3)
    mean, log_var = (to_numpy(part).astype("float64") for part in prior._encode(to_numpy(prior.pseudo_inputs)))
    z = np.random.default_rng(1).normal(size=(7, 3))
    log_densities = norm.logpdf(z[:, None], mean, np.exp(0.5 * log_var)).sum(axis=-1)
    expected = logsumexp(log_densities, axis=1) - np.log(5)
    np.testing.assert_allclose(to_numpy(prior.log_prob(z.astype("float32"))), expected, rtol=1e-4, atol=1e-5)


def test_the_encoders_weights_are_not_the_vampriors():
    prior = vamp(2)
    assert [weight.name for weight in prior.weights] == ["pseudo_logits"]


@pytest.mark.parametrize("count", [2, 7])
def test_pseudo_inputs_start_from_images(count):
    images = np.random.default_rng(0).uniform(size=(count, *IMAGE_SHAPE)).astype("float32")
    prior = VampPrior((2,), small_encoder(2), components=5, images=images)
    expected = images[np.arange(5) % count].clip(0.02, 0.98)
    np.testing.assert_allclose(to_numpy(prior.pseudo_inputs), expected, atol=1e-6)


def test_a_conditional_encoder_is_refused():
    with pytest.raises(InputError, match="its pseudo-inputs have no labels"):
        VampPrior((2,), small_encoder(2, num_classes=10))


# The flow.


@pytest.mark.parametrize("latent_dim", [1, 2, 5])
def test_a_new_flow_is_the_standard_normal_with_its_draws(latent_dim):
    prior, normal = FlowPrior((latent_dim,)), StandardNormal((latent_dim,))
    draws = to_numpy(prior.sample(50, seed=1))
    np.testing.assert_allclose(draws, to_numpy(normal.sample(50, seed=1)), atol=1e-5)
    np.testing.assert_allclose(to_numpy(prior.log_prob(draws)), to_numpy(normal.log_prob(draws)), atol=1e-4)


@pytest.mark.parametrize("latent_dim", [1, 2, 16])
def test_a_flow_inverts_its_draws(latent_dim):
    # Larger random numbers make maps that are steeper than those of trained flows.
    prior = disturb(FlowPrior((latent_dim,)), 0.05)
    noise = np.random.default_rng(0).standard_normal((200, latent_dim)).astype("float32")
    again, _ = prior.to_noise(prior.draw(noise))
    np.testing.assert_allclose(to_numpy(again), noise, atol=1e-5)


def test_a_flow_starts_with_the_scale_of_posteriors_draws():
    prior = FlowPrior((3,), layers=2)
    z = np.random.default_rng(0).normal([1, 2, 3], [0.1, 1, 10], (500, 3)).astype("float32")
    prior.start_from(None, z)
    noise, _ = prior.to_noise(z)
    np.testing.assert_allclose(to_numpy(noise).mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(to_numpy(noise).std(axis=0), 1, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"), [({"layers": 0}, "layers must be at least 1"), ({"bins": 1}, "bins must be at least 2")]
)
def test_a_flow_of_impossible_size_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        FlowPrior((2,), **options)
