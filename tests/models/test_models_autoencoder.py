"""What goes into Encoder, Decoder and VAE and what comes out, in every size, policy and mode."""

import keras
import numpy as np
import pytest

from keras_vae.errors import InputError
from keras_vae.models import VAE, Decoder

rng = np.random.default_rng(0)


def numpy_of(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.parametrize(
    ("image_shape", "latent_dim", "stem_stride", "policy"),
    [
        ((28, 28, 1), 2, 2, "float32"),
        ((32, 32, 3), 16, 2, "mixed_bfloat16"),
        ((27, 31, 1), 1, 1, "mixed_float16"),
    ],
)
def test_every_size_comes_back_in_float32_between_0_and_1(image_shape, latent_dim, stem_stride, policy):
    vae = VAE(image_shape, latent_dim, (4, 8), groups=4, stem_stride=stem_stride, context_tokens=2, dtype=policy)
    images = rng.random((2, *image_shape)).astype("float32")

    mean, log_var = (numpy_of(part) for part in vae.encode(images))
    decoded = numpy_of(vae.decode(mean * 100))

    assert mean.shape == log_var.shape == (2, latent_dim)
    assert decoded.shape == (2, *image_shape)
    assert {array.dtype for array in (mean, log_var, decoded)} == {np.dtype("float32")}
    assert 0.0 <= decoded.min() < decoded.max() <= 1.0
    assert vae.compute_output_shape((None, *image_shape)) == (None, *image_shape)
    assert vae.decoder.compute_output_shape((None, latent_dim)) == (None, *image_shape)
    assert vae.encoder.compute_output_shape((None, *image_shape)) == ((None, latent_dim),) * 2


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float32"])
def test_the_dtype_of_a_model_is_that_of_its_layers_whatever_the_global_policy(small, policy):
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        vae = VAE(**small, num_classes=2, dtype=policy)
    finally:
        keras.mixed_precision.set_dtype_policy(before)

    # the ends stay in float32: what is next to the posterior and to z, and the image
    ends = {
        vae.bottleneck,
        vae.sampling,
        vae.prior,
        vae.encoder.mean_head,
        vae.encoder.log_var_head,
        vae.decoder.to_image,
    }
    ends |= {vae.decoder.stem, vae.decoder.latent_tokens, *vae.encoder.mapping, *vae.decoder.mapping}
    layers = set(vae._flatten_layers())
    assert {layer.dtype_policy.name for layer in layers - ends} == {policy}
    assert {layer.dtype_policy.name for layer in ends} == {"float32"}


@pytest.mark.parametrize("mapping_layers", [0, 2])
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_does_not_round_the_latents(small, mapping_layers, policy):
    class Watched(Decoder):
        def map(self, z):
            self.seen, vectors = z, super().map(z)
            return vectors

    decoder = Watched(**small, mapping_layers=mapping_layers, dtype=policy)
    near = np.array([[1.0, 1.0], [1.0 + 2**-12, 1.0]], "float32")
    decoder(near)

    np.testing.assert_array_equal(numpy_of(decoder.seen), near)
    for layer in (decoder.stem, decoder.latent_tokens):
        assert np.ptp(numpy_of(layer(decoder.map(near))), axis=0).max() > 0


def test_the_posterior_stays_where_exp_is_finite(small, images):
    vae = VAE(**small)
    for bias, bound in ((-1e4, -30.0), (1e4, 20.0)):
        vae.encoder.log_var_head.bias.assign(np.full(2, bias, "float32"))

        np.testing.assert_array_equal(numpy_of(vae.encode(images)[1]), bound)


def test_parts_and_whole_agree_outside_training(vae, images):
    mean, _ = vae.encode(images)
    by_parts = numpy_of(vae.decode(mean))

    np.testing.assert_array_equal(numpy_of(vae(images, training=False)), by_parts)
    np.testing.assert_array_equal(numpy_of(vae.reconstruct(images)), by_parts)


def test_training_decodes_a_fresh_draw_of_the_posterior(small, images):
    noisy, same_seed = VAE(**small, seed=3), VAE(**small, seed=3)
    mean, log_var = noisy.encode(images)

    first, second = numpy_of(noisy(images, training=True)), numpy_of(noisy(images, training=True))

    np.testing.assert_array_equal(first, numpy_of(noisy.decode(same_seed.sampling(mean, log_var))))
    assert np.abs(first - second).max() > 1e-4


def test_a_plain_autoencoder_is_deterministic_in_training(small, images):
    autoencoder = VAE(**small, variational=False)

    trained, plain = (numpy_of(autoencoder(images, training=training)) for training in (True, False))

    np.testing.assert_array_equal(trained, plain)


def test_samples_are_those_of_their_seed(vae):
    first, again, other = (numpy_of(vae.sample(4, seed=seed)) for seed in (1, 1, 2))

    assert first.shape == (4, 12, 12, 1)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4


def test_samples_decode_draws_of_the_prior(vae):
    z = keras.random.normal((4, 2), seed=1)

    np.testing.assert_array_equal(numpy_of(vae.sample(4, seed=1)), numpy_of(vae.decode(z)))


def test_labels_change_the_posterior_and_the_image(conditional_vae, images):
    z = np.zeros((1, 2), "float32")
    zero, one = (np.array([label], "int32") for label in (0, 1))

    means = [numpy_of(conditional_vae.encode(images[:1], label)[0]) for label in (zero, one)]
    decoded = [numpy_of(conditional_vae.decode(z, label)) for label in (zero, one)]

    assert np.abs(means[0] - means[1]).max() > 1e-5
    assert np.abs(decoded[0] - decoded[1]).max() > 1e-5


def test_each_image_of_a_batch_gets_its_own_label(conditional_vae):
    z, labels = rng.normal(size=(3, 2)).astype("float32"), np.array([2, 0, 1], "int32")

    batch = numpy_of(conditional_vae.decode(z, labels))

    alone = [numpy_of(conditional_vae.decode(z[i : i + 1], labels[i : i + 1]))[0] for i in range(3)]
    # the same sums, in another order where the batch is blocked otherwise
    np.testing.assert_allclose(batch, alone, atol=1e-5)
    np.testing.assert_array_equal(
        numpy_of(conditional_vae.sample(3, seed=0, labels=labels)),
        numpy_of(conditional_vae.decode(keras.random.normal((3, 2), seed=0), labels)),
    )


def test_a_conditional_model_asks_for_missing_labels(conditional_vae, images):
    with pytest.raises(ValueError, match=r"Encoder: a model of 3 classes needs labels \(N,\), got none"):
        conditional_vae.encode(images)
    with pytest.raises(ValueError, match=r"Decoder: a model of 3 classes needs labels \(N,\), got none"):
        conditional_vae.sample(2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": 3}, "groups=3 does not divide the width 8"),
        ({"num_heads": 3}, "num_heads=3 does not divide the width 8"),
    ],
)
def test_numbers_that_do_not_divide_a_width_are_refused_by_name(small, change, message):
    with pytest.raises(ValueError, match=message):
        VAE(**{**small, **change})


def test_a_preset_is_a_model_whose_fields_can_be_replaced():
    vae = VAE.from_preset("mnist", load_weights=False, latent_dim=3, widths=(8, 16))

    assert (vae.image_shape, vae.latent_dim, vae.encoder.widths) == ((28, 28, 1), 3, (8, 16))
    with pytest.raises(InputError, match="did you mean latent_dim"):
        VAE.from_preset("mnist", latent_dims=3)


def test_a_preset_without_weights_says_that_its_model_is_untrained(recwarn):
    with pytest.warns(UserWarning, match="^mnist has no trained weights, so this model is untrained"):
        VAE.from_preset("mnist", widths=(8, 16))
    recwarn.clear()
    VAE.from_preset("mnist", load_weights=False, widths=(8, 16))
    assert not [warning for warning in recwarn if "untrained" in str(warning.message)]


@pytest.fixture
def published(tmp_path, monkeypatch):
    """The folder of published weights, with those of mnist-latent4."""
    monkeypatch.setattr("keras_vae.models.vae.PUBLISHED_WEIGHTS", tmp_path)
    vae = VAE.from_preset("mnist-latent4", load_weights=False)
    rng = np.random.default_rng(0)
    vae.set_weights([rng.normal(size=weight.shape).astype("float32") for weight in vae.weights])
    vae.save_weights(tmp_path / "mnist-latent4.weights.h5")
    return vae


def test_a_published_preset_comes_with_its_weights(published):
    again = VAE.from_preset("mnist-latent4", latent_dim=4)

    for old, new in zip(published.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
    untrained = VAE.from_preset("mnist-latent4", load_weights=False)
    assert not np.array_equal(untrained.decoder.stem.kernel, again.decoder.stem.kernel)


def test_published_weights_are_not_loaded_into_another_model(published):
    with pytest.raises(InputError, match="mnist-latent4 is published with weights, which fit no other widths"):
        VAE.from_preset("mnist-latent4", widths=(8, 16))
    other = VAE.from_preset("mnist-latent4", load_weights=False, widths=(8, 16))
    assert other.encoder.widths == (8, 16)


def test_weights_that_are_not_there_are_missed_by_name(published):
    with pytest.raises(InputError, match="the weights of mnist-latent2 are not there"):
        VAE.from_preset("mnist-latent2")
