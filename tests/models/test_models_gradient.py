"""The gradient of the ELBO, with the noise held fixed, against central finite differences."""

import numpy as np
import pytest
from keras import ops

NOISE = np.random.default_rng(1).normal(size=(3, 2)).astype("float32")
LABELS = np.array([0, 2, 1], "int32")
VARIANCE = 0.05
STEP = 0.01


def posterior_and_decoded(model, images):
    mean, log_var = model.encode(images, LABELS)
    return mean, log_var, model.decode(mean + ops.exp(log_var / 2) * ops.convert_to_tensor(NOISE), LABELS)


def negative_elbo(model, images):
    mean, log_var, decoded = posterior_and_decoded(model, images)
    nll = ops.sum(ops.square(ops.subtract(images, decoded))) / (2 * VARIANCE)
    return nll + ops.sum(ops.square(mean) + ops.exp(log_var) - 1 - log_var) / 2


def negative_elbo_summed_in_float64(model, images):
    parts = posterior_and_decoded(model, images)
    mean, log_var, decoded = (ops.convert_to_numpy(part).astype("float64") for part in parts)
    nll = np.sum((images - decoded) ** 2) / (2 * VARIANCE)
    return nll + np.sum(mean**2 + np.exp(log_var) - 1 - log_var) / 2


def slope(model, images, weight, direction):
    """Five-point central difference along ``direction``: its error is of order STEP⁴."""
    start, losses = weight.numpy(), []
    for steps in (-2, -1, 1, 2):
        weight.assign(start + steps * STEP * direction)
        losses.append(negative_elbo_summed_in_float64(model, images))
    weight.assign(start)
    return np.dot(losses, [1, -8, 8, -1]) / (12 * STEP)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_the_gradient_of_the_elbo_is_its_finite_difference(conditional_vae, images, gradients, part):
    rng = np.random.default_rng(0)
    model = conditional_vae
    everything = getattr(model, part).trainable_variables
    weights = [everything[index] for index in rng.choice(len(everything), 5, replace=False)]

    found = gradients(lambda: negative_elbo(model, images), weights)

    for weight, gradient in zip(weights, found, strict=True):
        direction = rng.normal(size=gradient.shape)
        direction /= np.linalg.norm(direction)
        expected = slope(model, images, weight, direction)
        # float32 leaves some 1e-5 nats of noise in a loss of a hundred nats, which is 1e-3 over STEP; the curvature of
        # the stem, whose scale the normalisation takes away, is good for 1e-3 of its slope
        assert np.sum(gradient * direction) == pytest.approx(expected, rel=2e-3, abs=2e-3), weight.path
