"""Spatial latents: the latent as a feature map, fully convolutional."""

import keras
import numpy as np
import pytest

from keras_vae.models import VAE

SHAPE = (16, 12, 1)


def spatial(**options):
    keras.utils.set_random_seed(0)
    return VAE(
        **{"image_shape": SHAPE, "latent_shape": (4, 3, 2), "widths": (8, 16), "groups": 4, "num_heads": 2, **options}
    )


def images(count=3, height=16, width=12):
    return np.random.default_rng(0).random((count, height, width, 1)).astype("float32")


def numpy_of(values):
    return keras.ops.convert_to_numpy(values)


def test_a_spatial_posterior_is_a_feature_map_and_decodes_to_an_image():
    vae = spatial()
    mean, log_var = vae.encode(images())
    assert vae.latent_shape == (4, 3, 2)
    assert vae.latent_dim == 24
    assert mean.shape == log_var.shape == (3, 4, 3, 2)
    assert vae.decode(mean).shape == (3, *SHAPE)
    assert vae.sample(5, seed=0).shape == (5, *SHAPE)


def test_flat_latents_are_the_same_numbers_in_a_row():
    vae = spatial()
    mean, _ = vae.encode(images())
    flat, _ = vae.encode_flat(images())
    np.testing.assert_array_equal(numpy_of(flat), numpy_of(mean).reshape(3, 24))
    np.testing.assert_allclose(numpy_of(vae.decode(flat)), numpy_of(vae.decode(mean)), atol=1e-6)


@pytest.mark.parametrize("generative_skips", [True, False])
@pytest.mark.parametrize(("height", "width"), [(32, 24), (8, 20), (18, 13)])
def test_images_of_other_sizes_come_back_at_their_own_size(height, width, generative_skips):
    vae = spatial(generative_skips=generative_skips)
    other = images(2, height, width)
    mean, _ = vae.encode(other)
    assert mean.shape == (2, -(-height // 4), -(-width // 4), 2)
    assert vae.reconstruct(other).shape == other.shape
    assert vae(other).shape == other.shape


def test_without_attention_a_latent_sees_its_own_part_of_the_image_alone():
    vae = spatial(attention_resolution=0, image_shape=(64, 64, 1), latent_shape=(16, 16, 2), widths=(8, 8))
    changed = images(1, 64, 64)
    changed[:, -4:, -4:] = 0
    before, after = (numpy_of(vae.encode(batch)[0]) for batch in (images(1, 64, 64), changed))
    # Normalisation by groups sees the whole image, so that far away is "hardly", not "not at all".
    moved = np.abs(after - before)[0].mean(axis=-1)
    assert moved[-1, -1] > 20 * moved[0, 0]


def test_a_spatial_model_survives_a_file(tmp_path):
    vae = spatial()
    vae.scaling_factor.assign(0.25)
    vae.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert copy.latent_shape == vae.latent_shape
    assert float(copy.scaling_factor) == 0.25
    np.testing.assert_allclose(numpy_of(copy.reconstruct(images())), numpy_of(vae.reconstruct(images())), atol=1e-6)


def test_a_vector_latent_has_no_scaling_factor():
    assert VAE(SHAPE, 2, (8,), groups=4).scaling_factor is None


def test_a_conditional_spatial_model_attends_to_the_label_as_well():
    vae = spatial(num_classes=3)
    batch = images()
    first, second = (numpy_of(vae.reconstruct(batch, np.full(3, label, "int32"))) for label in (0, 1))
    assert np.abs(first - second).max() > 1e-6


def test_a_grid_that_the_images_do_not_come_to_is_refused_with_the_one_that_they_do():
    with pytest.raises(ValueError, match=r"the latent is 7×7, but images of 16×12 .* give 4×3"):
        spatial(latent_shape=(7, 7, 2))
