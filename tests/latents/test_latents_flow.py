"""The latent flow: with the exact velocity of a Gaussian, its draws and its loss are known in closed form."""

import keras
import numpy as np
import pytest

from keras_vae.errors import InputError
from keras_vae.latents import LatentFlow
from keras_vae.latents.velocity_field import VelocityField
from keras_vae.layers import StandardNormal

SHAPE = (3, 3, 2)
MEAN, DEVIATION = 1.5, 0.5


def to_numpy(values):
    return keras.ops.convert_to_numpy(values)


def exact_velocity(x, t):
    """``E[x_1 - x_0 | x_t]`` for x_1 ~ N(m, s²): x_t and x_1 - x_0 are jointly Gaussian."""
    variance = (1 - t) ** 2 + (t * DEVIATION) ** 2
    return MEAN + (t * DEVIATION**2 - (1 - t)) / variance * (x - t * MEAN)


class ExactFlow(LatentFlow):
    def velocity(self, x, t, labels=None):
        return exact_velocity(x, t)


def test_draws_along_the_exact_velocity_have_the_targets_distribution():
    draws = to_numpy(ExactFlow(SHAPE, (8,), steps=32).sample(2000, seed=0))

    assert draws.shape == (2000, *SHAPE)
    # 36,000 numbers; Heun's method with 32 steps.
    assert draws.mean() == pytest.approx(MEAN, abs=0.02)
    assert draws.std() == pytest.approx(DEVIATION, abs=0.02)


def test_the_exact_velocity_has_the_least_matching_loss():
    z = MEAN + DEVIATION * np.random.default_rng(0).standard_normal((3000, *SHAPE)).astype("float32")
    flow = LatentFlow(SHAPE, (8,))

    def loss_of(field):
        flow.field.call = lambda x, t, labels=None: field(x, t[:, None, None, None])
        return float(flow.fitting_loss(z, seed=1))

    exact = loss_of(exact_velocity)
    assert exact < loss_of(lambda x, t: exact_velocity(x, t) + 0.1)
    assert exact < loss_of(lambda x, t: 1.1 * exact_velocity(x, t))


def test_a_new_flow_stands_still():
    flow = LatentFlow(SHAPE, (8,), steps=2)
    flow.start_from(None, np.full((4, *SHAPE), 2.0, "float32"))
    noise = to_numpy(keras.random.normal((5, *SHAPE), seed=3))
    # The deviation of equal latents is bounded from below.
    np.testing.assert_allclose(to_numpy(flow.sample(5, seed=3)), 2.0 + 1e-3 * noise, atol=1e-6)


@pytest.mark.parametrize("shape", [(7, 7, 4), (6, 5, 3)])
@pytest.mark.parametrize("num_classes", [None, 3])
def test_the_field_has_the_latents_shape_on_every_grid(shape, num_classes):
    field = VelocityField(shape, (8, 16), num_layers=1, num_classes=num_classes)
    labels = () if num_classes is None else (np.array([0, 3], "int32"),)
    velocity = field(np.ones((2, *shape), "float32"), np.array([0.1, 0.9], "float32"), *labels)
    assert velocity.shape == (2, *shape)
    np.testing.assert_array_equal(to_numpy(velocity), 0)


def randomized(flow):
    rng = np.random.default_rng(0)
    for weight in flow.trainable_weights:
        weight.assign(rng.normal(0, 0.1, weight.shape))
    return flow


def test_labels_time_and_seed_change_what_is_drawn():
    flow = randomized(LatentFlow(SHAPE, (8,), 1, num_classes=2, steps=1))
    zeros, ones = (np.full(3, label, "int32") for label in (0, 1))
    first = to_numpy(flow.sample(3, seed=0, labels=zeros))
    np.testing.assert_array_equal(first, to_numpy(flow.sample(3, seed=0, labels=zeros)))
    assert not np.allclose(first, to_numpy(flow.sample(3, seed=1, labels=zeros)))
    assert not np.allclose(first, to_numpy(flow.sample(3, seed=0, labels=ones)))
    assert not np.allclose(first, to_numpy(flow.sample(3, seed=0)))
    x = np.ones((1, *SHAPE), "float32")
    assert not np.allclose(to_numpy(flow.velocity(x, 0.2, ones[:1])), to_numpy(flow.velocity(x, 0.8, ones[:1])))


def test_guidance_extrapolates_from_the_unconditional_velocity():
    flow = randomized(LatentFlow(SHAPE, (8,), 1, num_classes=2))
    x, label = np.ones((1, *SHAPE), "float32"), np.array([1], "int32")
    velocities = {}
    for guidance in (0.0, 1.0, 3.0):
        flow.guidance = guidance
        velocities[guidance] = to_numpy(flow.velocity(x, 0.5, label))
    expected = velocities[0.0] + 3 * (velocities[1.0] - velocities[0.0])
    np.testing.assert_allclose(velocities[3.0], expected, rtol=1e-4, atol=1e-5)


def test_kl_and_density_refer_to_the_standard_normal():
    flow = LatentFlow(SHAPE, (8,))
    mean, log_var = (np.random.default_rng(seed).normal(size=(2, *SHAPE)).astype("float32") for seed in (0, 1))
    normal = StandardNormal(SHAPE)
    np.testing.assert_array_equal(to_numpy(flow.kl(mean, log_var, mean)), to_numpy(normal.kl(mean, log_var)))
    np.testing.assert_array_equal(to_numpy(flow.log_prob(mean)), to_numpy(normal.log_prob(mean)))


def test_a_flow_survives_its_config_and_weights():
    flow = randomized(LatentFlow(SHAPE, (8,), 1, num_classes=2, steps=2, guidance=2.0))
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(flow), safe_mode=True)
    assert copy.get_config() == flow.get_config()
    for weight, other in zip(copy.weights, flow.weights, strict=True):
        weight.assign(other)
    labels = np.array([0, 1], "int32")
    np.testing.assert_array_equal(
        to_numpy(copy.sample(2, seed=0, labels=labels)), to_numpy(flow.sample(2, seed=0, labels=labels))
    )


def test_a_flow_of_a_latent_vector_is_refused():
    with pytest.raises(InputError, match="spatial latents"):
        LatentFlow((4,))
