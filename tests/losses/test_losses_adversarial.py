"""Adversarial losses against their papers' equations, written out in NumPy and SciPy."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import log_expit

from keras_vae.errors import InputError
from keras_vae.losses import HingeGAN, LeastSquaresGAN, NonSaturatingGAN, get_adversarial_loss

EQUATIONS = {
    "hinge": (
        lambda fake: -fake,
        lambda real, fake: np.maximum(0, 1 - real) + np.maximum(0, 1 + fake),
    ),
    "least_squares": (
        lambda fake: 0.5 * (fake - 1) ** 2,
        lambda real, fake: 0.5 * (real - 1) ** 2 + 0.5 * fake**2,
    ),
    "non_saturating": (
        lambda fake: -log_expit(fake),
        lambda real, fake: -log_expit(real) - log_expit(-fake),
    ),
}

logits = arrays.arrays("float32", (3, 4, 2, 1), elements=st.floats(-20, 20, width=32))


@pytest.mark.parametrize("name", EQUATIONS)
@settings(max_examples=15, deadline=None)
@given(real=logits, fake=logits)
def test_each_player_minimises_the_equation_of_the_paper(name, real, fake):
    loss = get_adversarial_loss(name)
    of_generator, of_discriminator = EQUATIONS[name]
    real64, fake64 = real.astype("float64"), fake.astype("float64")

    generator = keras.ops.convert_to_numpy(loss.generator_loss(fake))
    discriminator = keras.ops.convert_to_numpy(loss.discriminator_loss(real, fake))

    # eight float32 terms up to 400: relative to the largest term, not to a mean in which they may cancel
    np.testing.assert_allclose(generator, of_generator(fake64).mean(axis=(1, 2, 3)), rtol=1e-5, atol=1e-4)
    expected = of_discriminator(real64, fake64).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(discriminator, expected, rtol=1e-5, atol=1e-4)


def test_the_non_saturating_loss_is_finite_and_linear_for_large_logits():
    loss = NonSaturatingGAN()
    large = np.full((1, 1), 1e4, "float32")

    assert float(loss.generator_loss(-large)[0]) == pytest.approx(1e4)
    assert float(loss.generator_loss(large)[0]) == 0.0
    assert float(loss.discriminator_loss(-large, large)[0]) == pytest.approx(2e4)


def test_half_precision_logits_give_float32_losses():
    fake = keras.ops.convert_to_tensor(np.full((2, 3, 3, 1), 300.0), dtype="float16")

    loss = LeastSquaresGAN().generator_loss(fake)

    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    np.testing.assert_allclose(keras.ops.convert_to_numpy(loss), 0.5 * 299.0**2)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("hinge", HingeGAN), ("least_squares", LeastSquaresGAN), ("non_saturating", NonSaturatingGAN)],
)
def test_a_loss_is_found_by_name_and_survives_serialisation(name, kind):
    loss = get_adversarial_loss(name)

    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss), safe_mode=True)

    assert type(loss) is kind
    assert type(copy) is kind


def test_an_unknown_name_is_refused_with_those_known():
    with pytest.raises(InputError, match='one of hinge, least_squares, non_saturating, got "wasserstein"'):
        get_adversarial_loss("wasserstein")
