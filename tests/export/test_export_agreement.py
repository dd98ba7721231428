"""How far an exported model may be from the Keras model, and the Keras model's answers in batches."""

import math

import keras
import numpy as np
import pytest

from keras_vae.export import float32
from keras_vae.export.agreement import agreement
from keras_vae.models import VAE, AutoencoderKL


def small_kl():
    keras.utils.set_random_seed(0)
    return AutoencoderKL((16, 16, 3), block_out_channels=(8, 8), norm_num_groups=4, layers_per_block=1)


def test_a_bound_is_that_many_times_as_large_as_the_latents_of_latent_diffusion_are():
    expected = {"mean": np.float32([[30.0, 1.0]]), "log_var": np.float32([[-5.0, 0.1]])}
    found = {"mean": np.float32([[30.002, 1.0]]), "log_var": np.float32([[-5.0, 0.1]])}
    reached = agreement(small_kl(), found, expected, 1e-4)
    assert reached.difference == pytest.approx(0.002, rel=1e-2)
    assert reached.bound == pytest.approx(0.003)
    assert reached.is_enough
    assert agreement(small_kl(), {"image": np.ones(1)}, {"image": np.zeros(1)}, 1e-4).bound == 1e-4


def test_the_bound_of_other_models_stays():
    vae = VAE((8, 8, 1), 2, widths=(8,), groups=4)
    reached = agreement(vae, {"mean": np.float32([30.002])}, {"mean": np.float32([30.0])}, 1e-4)
    assert reached.bound == 1e-4
    assert not reached.is_enough


def test_what_is_not_a_number_is_not_enough():
    assert not agreement(small_kl(), {"image": np.float32([math.nan])}, {"image": np.zeros(1)}, 1.0).is_enough


def test_answers_to_many_arrays_are_computed_a_few_at_a_time(monkeypatch):
    vae = small_kl()
    images = np.random.default_rng(0).random((5, 16, 16, 3), "float32")
    whole = float32.answer(vae, "encode", {"image": images})
    counts, original = [], vae.encoder.__class__.__call__
    monkeypatch.setattr(float32, "images_at_a_time", lambda shape: 2)
    monkeypatch.setattr(
        vae.encoder.__class__,
        "__call__",
        lambda self, images, labels=None: counts.append(len(images)) or original(self, images, labels),
    )

    found = float32.answer(vae, "encode", {"image": images})

    assert counts == [2, 2, 1]
    for name, values in whole.items():
        assert isinstance(found[name], np.ndarray)
        np.testing.assert_allclose(found[name], values, atol=1e-5)
