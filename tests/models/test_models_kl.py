"""The autoencoder of latent diffusion: its layout, its range of pixels, its sizes."""

import keras
import numpy as np
import pytest

from keras_vae.models import VAE, AutoencoderKL, KLDecoder, KLEncoder
from keras_vae.models.diffusers_names import places

SMALL = {"image_shape": (16, 12, 3), "block_out_channels": (8, 16), "norm_num_groups": 4, "layers_per_block": 1}
PUBLISHED = {
    "Stable Diffusion 1 and 2, SDXL": ({}, 83_653_863),
    "Stable Diffusion 3, FLUX.1": (
        {"latent_channels": 16, "use_quant_conv": False, "use_post_quant_conv": False},
        83_819_683,
    ),
}


def autoencoder(**options):
    keras.utils.set_random_seed(0)
    return AutoencoderKL(**{**SMALL, **options})


def images(count=2, height=16, width=12):
    return np.random.default_rng(0).random((count, height, width, 3), "float32")


def numpy_of(values):
    return keras.ops.convert_to_numpy(values)


@pytest.fixture
def forget_variables():
    """Forget the variables without a value that a test made, which Keras would give one at the next chance."""
    yield
    keras.utils.clear_session()


@pytest.mark.parametrize(("options", "parameters"), PUBLISHED.values(), ids=PUBLISHED)
def test_the_published_models_have_their_number_of_parameters(forget_variables, options, parameters):
    with keras.StatelessScope(initialize_variables=False):  # 335 MB of weights, which are not needed to count them
        vae = AutoencoderKL((64, 64, 3), **options)

        assert vae.encoder.count_params() + vae.decoder.count_params() == parameters
        assert sum(np.prod(place.variable.shape) for place in places(vae)) == parameters


@pytest.mark.parametrize("changes", [{}, {"use_quant_conv": False}, {"mid_block_add_attention": False}])
def test_every_weight_of_encoder_and_decoder_has_one_place(changes):
    vae = autoencoder(**changes)
    found = list(places(vae))

    assert {id(place.variable) for place in found} == {id(w) for w in (*vae.encoder.weights, *vae.decoder.weights)}
    names = [name for place in found for name in place.names]
    assert len(set(names)) == len(names)


def test_the_latent_is_a_map_on_the_coarsest_grid():
    vae = autoencoder(block_out_channels=(8, 8, 16), latent_channels=5)

    mean, log_var = vae.encode(images())

    assert vae.latent_shape == (4, 3, 5)
    assert vae.latent_dim == 60
    assert mean.shape == log_var.shape == (2, 4, 3, 5)
    assert vae.decode(mean).shape == (2, 16, 12, 3)
    flat = numpy_of(mean).reshape(2, 60)
    np.testing.assert_allclose(numpy_of(vae.decode(flat)), numpy_of(vae.decode(mean)), atol=1e-6)


def test_bytes_are_the_same_as_the_floats_that_they_stand_for():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 12, 3), "uint8")
    vae = autoencoder()

    found, expected = (numpy_of(vae.encode(batch)[0]) for batch in (pixels, pixels.astype("float32") / 255))

    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_log_variance_is_clipped():
    vae = autoencoder()
    vae.encoder.quant_conv.bias.assign([0, 0, 0, 0, 100, -100, 0, 0])

    log_var = numpy_of(vae.encode(images())[1])

    assert np.all(log_var[..., 0] == 20)
    assert np.all(log_var[..., 1] == -30)


def test_pixels_are_clipped_everywhere_but_in_training():
    vae = autoencoder()
    vae.decoder.to_image.bias.assign([5, -5, 0])  # in [-1, 1], so that 3 and -2 in [0, 1]
    mean, _ = vae.encode(images())

    for shown in (vae.decode(mean), vae.reconstruct(images()), vae(images()), vae.sample(2, seed=0)):
        assert 0 <= numpy_of(shown).min() <= numpy_of(shown).max() <= 1
    for trained in (vae.decoder(mean), vae(images(), training=True)):
        assert numpy_of(trained)[..., 0].min() > 1
        assert numpy_of(trained)[..., 1].max() < 0


@pytest.mark.parametrize(("height", "width"), [(32, 8), (13, 18), (3, 5)])
def test_images_of_any_size_come_back_at_their_own_size(height, width):
    vae = autoencoder(block_out_channels=(8, 8, 16))
    other = images(2, height, width)

    assert vae.encode(other)[0].shape == (2, -(-height // 4), -(-width // 4), 4)
    assert vae.reconstruct(other).shape == other.shape
    assert vae(other, training=True).shape == other.shape


def test_without_padding_the_remainder_is_dropped():
    vae = autoencoder(block_out_channels=(8, 8, 16), padding="none")

    assert vae.encode(images(2, 19, 13))[0].shape == (2, 4, 3, 4)
    assert vae.reconstruct(images(2, 19, 13)).shape == (2, 16, 12, 3)
    with pytest.raises(ValueError, match="at least 4 pixels"):
        vae.encode(images(1, 3, 9))


def test_the_trained_size_may_be_odd_with_padding():
    vae = autoencoder(image_shape=(15, 13, 3))

    assert vae.latent_shape == (8, 7, 4)
    assert vae.decode(vae.encode(images(2, 15, 13))[0]).shape == (2, 15, 13, 3)


def test_both_factors_are_weights_that_a_file_keeps(tmp_path):
    vae = autoencoder(scaling_factor=0.5, shift_factor=0.125)
    vae.scaling_factor.assign(0.75)
    vae.save(tmp_path / "model.keras")

    copy = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)

    assert float(vae.shift_factor) == float(copy.shift_factor) == 0.125
    assert float(copy.scaling_factor) == 0.75
    np.testing.assert_array_equal(numpy_of(copy.reconstruct(images())), numpy_of(vae.reconstruct(images())))


def test_half_precision_is_upcast_where_the_model_asks_for_it():
    assert autoencoder(dtype="mixed_float16").compute_dtype == "float32"
    assert autoencoder(dtype="mixed_float16", force_upcast=False).encoder.stem.compute_dtype == "float16"
    assert autoencoder(dtype="mixed_bfloat16").encoder.stem.compute_dtype == "bfloat16"


def test_a_prior_may_be_fitted_afterwards_and_the_model_may_be_a_plain_autoencoder():
    assert autoencoder(prior="latent-flow").prior.latent_shape == (8, 6, 4)
    plain = autoencoder(variational=False)
    np.testing.assert_array_equal(numpy_of(plain.latents(images())["z"]), numpy_of(plain.encode(images())[0]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block_out_channels": (8, 10)}, "norm_num_groups must divide block_out_channels, got 4 and 10"),
        ({"in_channels": 4}, "in_channels must be the 3 channels of image_shape, got 4"),
        ({"out_channels": 1}, "out_channels must be the 3 channels of image_shape, got 1"),
        ({"layers_per_block": 0}, "layers_per_block must be at least 1, got 0"),
        ({"scaling_factor": 0.0}, "scaling_factor must be above 0"),
        ({"padding": "mirror"}, "padding must be one of zeros, none"),
        ({"padding": "none", "image_shape": (15, 12, 3)}, "multiples of 2 where padding is none, got 15×12"),
        ({"latent_dim": 4}, "AutoencoderKL has no latent_dim; its fields are image_shape, block_out_channels"),
        ({"prior": "flow"}, "spatial latent"),
    ],
)
def test_a_field_that_does_not_fit_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        autoencoder(**options)


def test_other_heads_and_descriptions_of_other_models_are_refused():
    with pytest.raises(ValueError, match="ends in mean, log_var, not in features"):
        KLEncoder(**SMALL, heads=["features"])
    with pytest.raises(ValueError, match="presets and runs describe no AutoencoderKL"):
        AutoencoderKL.from_preset("mnist", load_weights=False)


def test_it_is_a_vae_of_its_own_parts():
    vae = autoencoder()
    assert isinstance(vae, VAE)
    assert (type(vae.encoder), type(vae.decoder)) == (KLEncoder, KLDecoder)
