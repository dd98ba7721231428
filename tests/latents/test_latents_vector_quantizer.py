"""Vector quantisation against NumPy by the paper's equations: codes, gradients, losses, moving averages, restarts."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_vae.errors import InputError
from keras_vae.latents import VectorQuantizer, vector_quantizer

SHAPE = (2, 3, 6)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def nearest(rows, codebook):
    distances = ((rows[:, None].astype("float64") - codebook) ** 2).sum(axis=-1)
    return distances.argmin(axis=1)


def built(*arguments, shape=SHAPE, **settings):
    layer = VectorQuantizer(*arguments, **{"seed": 1, **settings})
    layer.build((None, *shape))
    return layer


def batches(layer, count, seed=0, scale=1.0, size=20):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        features = rng.normal(scale=scale, size=(size, *layer.latent_shape)).astype("float32")
        layer.follow(layer(features)["statistics"])


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("code_dim", [None, 3])
def test_each_group_becomes_the_nearest_vector(cosine, code_dim, make_features, values):
    layer = built(16, code_dim, cosine=cosine)
    features, codebook = make_features(SHAPE), values(layer.codebook.value)
    rows = features.reshape(-1, layer.code_dim)
    if cosine:
        rows, codebook = unit(rows), unit(codebook)
    expected = nearest(rows, codebook)
    latents = values(layer(features))
    np.testing.assert_array_equal(latents["codes"].ravel(), expected)
    np.testing.assert_allclose(latents["z"].reshape(rows.shape), codebook[expected], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(values(layer.vectors), codebook, rtol=1e-6, atol=1e-7)


def test_features_far_from_the_origin_find_the_nearest_vector(make_features, values):
    layer = built(64)
    far = 1000 + 0.05 * np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
    layer.codebook.assign(far)
    features = 1000 + 0.05 * make_features(SHAPE, count=50)
    expected = nearest(features.reshape(-1, 6), values(layer.codebook.value))
    assert (values(layer(features)["codes"]).ravel() == expected).mean() > 0.99


def test_a_codebook_searched_in_parts_gives_the_same_codes(make_features, values, monkeypatch):
    layer = built(50)
    layer.codebook.assign(np.round(values(layer.codebook.value)))  # with ties, and code 49 in a part of its own
    whole = values(layer(make_features(SHAPE, count=30, scale=2.0)))
    monkeypatch.setattr(vector_quantizer, "CODES_AT_ONCE", 7)
    parts = values(layer(make_features(SHAPE, count=30, scale=2.0)))
    np.testing.assert_array_equal(parts["codes"], whole["codes"])


@given(seed=st.integers(0, 2**16), scale=st.floats(0.01, 100), cosine=st.booleans())
def test_quantising_what_codes_embed_to_gives_it_back(seed, scale, cosine):
    layer = COSINE if cosine else EUCLIDEAN
    rng = np.random.default_rng(seed)
    layer.codebook.assign(scale * rng.standard_normal(layer.codebook.shape))
    z = keras.ops.convert_to_numpy(layer.embed(rng.integers(0, 16, (3, *layer.code_shape))))
    np.testing.assert_allclose(layer.embed(layer.codes_of(z)), z, rtol=1e-5, atol=1e-6)


def test_the_gradient_goes_straight_through(make_features, gradients):
    layer, features = built(16), keras.Variable(make_features(SHAPE))
    weights = make_features(SHAPE, seed=9)
    (found,) = gradients(lambda: keras.ops.sum(keras.ops.multiply(layer(features.value)["z"], weights)), [features])
    np.testing.assert_allclose(found, weights, rtol=1e-6)


def test_by_cosine_the_gradient_is_that_of_the_normalised_features(make_features, gradients):
    layer, features = built(16, 3, cosine=True), keras.Variable(make_features(SHAPE))
    weights = make_features(SHAPE, seed=9)
    (found,) = gradients(lambda: keras.ops.sum(keras.ops.multiply(layer(features.value)["z"], weights)), [features])
    rows, upstream = make_features(SHAPE).reshape(-1, 3), weights.reshape(-1, 3)
    along = (unit(rows) * upstream).sum(axis=-1, keepdims=True) * unit(rows)
    expected = (upstream - along) / np.linalg.norm(rows, axis=-1, keepdims=True)
    np.testing.assert_allclose(found.reshape(-1, 3), expected, rtol=1e-4, atol=1e-5)


def test_the_commitment_loss_pulls_the_features_to_their_vectors(make_features, gradients, values):
    layer, features = built(16, commitment=0.5), keras.Variable(make_features(SHAPE))
    latents = values(layer(features.value))
    assert latents["losses"].keys() == {"commitment"}
    difference = make_features(SHAPE) - latents["z"]
    assert latents["losses"]["commitment"] == pytest.approx(0.5 * (difference**2).sum() / 5, rel=1e-5)
    (found,) = gradients(lambda: layer(features.value)["losses"]["commitment"], [features])
    np.testing.assert_allclose(found, 0.5 * 2 * difference / 5, rtol=1e-5, atol=1e-6)


def test_the_codebook_loss_pulls_the_vectors_to_their_features(make_features, gradients, values):
    layer = built(16, decay=0)
    assert [weight.name for weight in layer.trainable_weights] == ["codebook"]
    latents = values(layer(make_features(SHAPE)))
    difference = make_features(SHAPE) - latents["z"]
    assert latents["losses"]["codebook"] == pytest.approx((difference**2).sum() / 5, rel=1e-5)
    expected = np.zeros((16, 6))
    np.add.at(expected, latents["codes"].ravel(), -2 * difference.reshape(-1, 6) / 5)

    def loss():
        made = layer(make_features(SHAPE))
        # z and the commitment loss have no gradient for the codebook.
        return made["losses"]["codebook"] + made["losses"]["commitment"] + keras.ops.sum(made["z"])

    (found,) = gradients(loss, [layer.codebook])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_codebook_by_moving_averages_is_not_trained(make_features):
    assert not built(16).trainable_weights


def test_the_statistics_are_means_over_the_codes_of_the_batch(make_features, values):
    layer = built(16)
    rows, latents = make_features(SHAPE).reshape(-1, 6), values(layer(make_features(SHAPE)))
    sums, residuals = np.zeros((16, 6)), np.zeros(16)
    for row, number, z in zip(rows, latents["codes"].ravel(), latents["z"].reshape(-1, 6), strict=True):
        sums[number] += row / 30
        residuals[number] += ((row - z) ** 2).sum() / 30
    np.testing.assert_allclose(latents["statistics"]["sums"], sums, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(latents["statistics"]["residuals"], residuals, rtol=1e-4, atol=1e-6)


def test_the_first_batch_moves_each_used_vector_to_the_mean_of_its_features(make_features, values):
    layer = built(16, restart=0)
    before = values(layer.codebook.value)
    codes = values(layer.codes_of(make_features(SHAPE))).ravel()
    layer.follow(layer(make_features(SHAPE))["statistics"])
    after, rows = values(layer.codebook.value), make_features(SHAPE).reshape(-1, 6)
    for number in range(16):
        expected = rows[codes == number].mean(axis=0) if (codes == number).any() else before[number]
        np.testing.assert_allclose(after[number], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cosine", [False, True])
def test_the_codebook_is_the_ratio_of_two_moving_averages(cosine, values):
    layer = built(8, decay=0.9, cosine=cosine, restart=0)
    rng = np.random.default_rng(0)
    layer.codebook.assign(0.1 * rng.normal(size=(8, 6)))  # near the middle, so that all codes are used
    counts, sums = 0.0, 0.0
    for _ in range(6):
        features = rng.normal(size=(40, *SHAPE)).astype("float32")
        codes = values(layer.codes_of(features)).ravel()
        rows = unit(features.reshape(-1, 6)) if cosine else features.reshape(-1, 6)
        one_hot = np.eye(8)[codes]
        counts = 0.9 * counts + one_hot.sum(axis=0)
        sums = 0.9 * sums + one_hot.T @ rows
        layer.follow(layer(features)["statistics"])
        expected = sums / counts[:, None]
        np.testing.assert_allclose(values(layer.vectors), unit(expected) if cosine else expected, rtol=1e-3, atol=1e-5)


def test_the_spread_is_the_running_variance_of_each_codes_features(values):
    layer = built(2, shape=(3,), decay=0.95, restart=0)
    layer.codebook.assign([[50.0, 50, 50], [-50, -50, -50]])
    rng = np.random.default_rng(0)
    for _ in range(200):
        side = rng.choice([1, -1], size=(100, 1))
        features = side * (20 + np.where(side > 0, 2.0, 0.5) * rng.standard_normal((100, 3)))
        layer.follow(layer(features.astype("float32"))["statistics"])
    variance = values(layer.spread.value) / values(layer.usage.value) / 3
    # About 1,900 numbers on each side stay in the running mean: a standard error of 5%.
    np.testing.assert_allclose(variance, [4.0, 0.25], rtol=0.2)


def test_an_unused_vector_stays_in_place_without_restarts(values):
    layer = built(16, restart=0)
    far = np.full((16, 6), 1000, "float32")
    far[:4] = np.random.default_rng(0).normal(size=(4, 6))
    layer.codebook.assign(far)
    batches(layer, 50)
    np.testing.assert_array_equal(values(layer.codebook.value)[4:], far[4:])


@pytest.mark.parametrize("settings", [{}, {"cosine": True}, {"decay": 0}, {"code_dim": 3}], ids=str)
def test_dead_codes_are_restarted_where_the_features_are(settings, values):
    layer = built(32, **settings)
    # All features are nearest to vector 0.
    codebook = np.full((32, layer.code_dim), -1000, "float32")
    codebook[0] = 1
    codebook[1:, 0] += np.linspace(0, 1, 31)
    layer.codebook.assign(codebook)
    batches(layer, 1)
    assert float(layer.used_codes()) <= 4 / 32
    batches(layer, 40, seed=1)
    assert float(layer.used_codes()) == 1.0
    assert float(layer.perplexity()) > 16
    assert np.abs(values(layer.vectors)).max() < 6


def test_a_code_that_dies_in_training_is_restarted_once_its_usage_has_faded(values):
    layer = built(4, shape=(2,), decay=0.5, restart=0.1)
    batches(layer, 30)
    assert float(layer.used_codes()) == 1.0
    died = values(layer.codebook.value)
    died[2] = 500
    layer.codebook.assign(died)
    batches(layer, 2, seed=1)
    np.testing.assert_allclose(values(layer.codebook.value)[2], 500)
    batches(layer, 10, seed=2)
    assert np.abs(values(layer.codebook.value)[2]).max() < 6


def test_codes_in_use_are_not_restarted(values):
    layer, without = built(4, shape=(2,)), built(4, shape=(2,), restart=0)
    for each in (layer, without):
        batches(each, 20, size=500)
    np.testing.assert_array_equal(values(layer.codebook.value), values(without.codebook.value))


def test_the_seed_decides_about_the_vectors_and_the_restarts(values):
    first, again, other = (built(16, seed=seed) for seed in (1, 1, 2))
    for layer in (first, again, other):
        batches(layer, 5, size=2)
    np.testing.assert_array_equal(values(first.codebook.value), values(again.codebook.value))
    assert not np.array_equal(values(first.codebook.value), values(other.codebook.value))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"codebook_size": 1}, "codebook_size must be at least 2, got 1"),
        ({"code_dim": 0}, "code_dim must be at least 1, got 0"),
        ({"commitment": -1}, "commitment must be at least 0, got -1"),
        ({"decay": 1}, "decay must be below 1, got 1"),
        ({"decay": -0.1}, "decay must be at least 0, got -0.1"),
        ({"restart": float("nan")}, "restart must be at least 0, got nan"),
    ],
)
def test_arguments_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        VectorQuantizer(**settings)


EUCLIDEAN, COSINE = built(16, 3), built(16, 3, cosine=True)
