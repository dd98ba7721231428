"""The autoregressive prior over codes: its probabilities sum to 1, draws follow them, labels and guidance lead them."""

import itertools
import math

import keras
import numpy as np
import pytest
from scipy.stats import chisquare

from keras_vae.latents import AutoregressiveCodes
from keras_vae.latents.causal_transformer import CausalTransformer

SIZE, SHAPE = 2, (2, 2)
ALL_CODES = np.array(list(itertools.product(range(SIZE), repeat=4)), "int32").reshape(-1, *SHAPE)
DRAWS = 8000


def to_numpy(values):
    return keras.ops.convert_to_numpy(values)


def small_prior(codebook_size=SIZE, code_shape=SHAPE, **options):
    return AutoregressiveCodes(codebook_size, code_shape, width=8, num_layers=2, num_heads=2, **options)


def randomized(prior, scale=0.5):
    rng = np.random.default_rng(0)
    for weight in prior.trainable_weights:
        # Labels that are told apart.
        weight.assign(rng.normal(0, 5 * scale if weight.name == "label_tokens" else scale, weight.shape))
    return prior


def counts_of(draws, size=SIZE):
    flat = to_numpy(draws).reshape(len(draws), -1)
    return np.bincount(flat @ size ** np.arange(flat.shape[1])[::-1], minlength=size ** flat.shape[1])


def log_prob_of_label(prior, codes, label):
    """``log p(codes | label)`` of each, by the loss of one at a time."""
    prior.label_dropout = 0.0
    labels = np.array([label], "int32")
    return np.array([-float(prior.fitting_loss(code[None], labels, seed=0)) for code in codes])


def test_a_new_prior_is_uniform():
    log_prob = to_numpy(small_prior().log_prob(ALL_CODES))
    np.testing.assert_allclose(log_prob, -4 * math.log(SIZE), rtol=1e-6)


def test_the_probabilities_of_all_codes_sum_to_one():
    log_prob = to_numpy(randomized(small_prior(), 1.0).log_prob(ALL_CODES)).astype("float64")
    assert log_prob.max() - log_prob.min() > 0.5
    assert np.exp(log_prob).sum() == pytest.approx(1, abs=1e-5)


def test_draws_follow_the_probabilities():
    prior = randomized(small_prior())
    draws = prior.sample(DRAWS, seed=1)
    assert draws.shape == (DRAWS, *SHAPE)
    assert keras.backend.standardize_dtype(draws.dtype) == "int32"
    expected = np.exp(to_numpy(prior.log_prob(ALL_CODES)).astype("float64"))
    assert chisquare(counts_of(draws), DRAWS * expected / expected.sum()).pvalue > 0.01


@pytest.mark.parametrize("label", [0, 1])
def test_draws_of_a_class_follow_the_probabilities_given_its_label(label):
    prior = randomized(small_prior(num_classes=2))
    expected = np.exp(log_prob_of_label(prior, ALL_CODES, label))
    other = np.exp(log_prob_of_label(prior, ALL_CODES, 1 - label))
    draws = prior.sample(DRAWS, seed=2, labels=np.full(DRAWS, label, "int32"))
    assert chisquare(counts_of(draws), DRAWS * expected / expected.sum()).pvalue > 0.01
    assert chisquare(counts_of(draws), DRAWS * other / other.sum()).pvalue < 1e-6


def test_without_a_label_the_draws_are_those_of_the_density():
    prior = randomized(small_prior(num_classes=2))
    none = np.full(50, 2, "int32")
    np.testing.assert_array_equal(to_numpy(prior.sample(50, 3)), to_numpy(prior.sample(50, 3, none)))
    np.testing.assert_allclose(
        to_numpy(prior.log_prob(ALL_CODES[:5])), log_prob_of_label(prior, ALL_CODES[:5], 2), rtol=1e-5
    )


def test_guidance_moves_the_draws_away_from_those_without_a_label():
    # With a single code there is one factor: p(code) (p(code | label) / p(code))^w, up to its sum.
    prior = randomized(small_prior(5, (1,), num_classes=1, guidance=3.0))
    codes = np.arange(5, dtype="int32")[:, None]
    without, with_label = to_numpy(prior.log_prob(codes)), log_prob_of_label(prior, codes, 0)
    expected = np.exp(without + 3 * (with_label - without))
    draws = prior.sample(DRAWS, seed=5, labels=np.zeros(DRAWS, "int32"))
    assert chisquare(counts_of(draws, 5), DRAWS * expected / expected.sum()).pvalue > 0.01


def test_the_same_seed_draws_the_same_in_parts_of_any_size():
    prior = randomized(small_prior(num_classes=2))
    labels = np.arange(1200, dtype="int32") % 2
    noise = keras.random.normal((1200, *SHAPE), dtype="float32", seed=5)
    np.testing.assert_array_equal(to_numpy(prior.sample(1200, 5, labels)), to_numpy(prior.draw(noise, labels)))
    assert not np.array_equal(to_numpy(prior.sample(1200, 6, labels)), to_numpy(prior.sample(1200, 5, labels)))


def test_extreme_noise_draws_codes_in_range():
    prior = randomized(small_prior(), 3.0)
    for noise in (-50.0, 50.0):
        draws = to_numpy(prior.draw(np.full((4, *SHAPE), noise, "float32")))
        assert draws.min() >= 0
        assert draws.max() < SIZE


def test_gradients_reach_every_weight(gradients):
    prior = randomized(small_prior(num_classes=2))
    codes, labels = ALL_CODES, np.arange(16, dtype="int32") % 2
    for gradient in gradients(lambda: prior.fitting_loss(codes, labels, seed=0), prior.trainable_weights):
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_the_density_is_float32_under_every_policy(policy):
    expected = to_numpy(randomized(small_prior()).log_prob(ALL_CODES))
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        prior = randomized(small_prior())
        assert {weight.dtype for weight in prior.weights} == {"float32"}
        found = prior.log_prob(ALL_CODES)
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    np.testing.assert_array_equal(to_numpy(found), expected)


def test_a_prior_survives_its_config_and_weights():
    prior = randomized(small_prior(num_classes=2, guidance=2.0))
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(prior), safe_mode=True)
    assert copy.get_config() == prior.get_config()
    copy.set_weights(prior.get_weights())
    labels = np.array([0, 1, 2], "int32")
    np.testing.assert_array_equal(to_numpy(copy.sample(3, 0, labels)), to_numpy(prior.sample(3, 0, labels)))


def test_steps_of_the_transformer_give_what_a_call_gives():
    transformer = randomized_transformer(length=5)
    tokens = np.random.default_rng(1).normal(size=(3, 5, 8)).astype("float32")
    expected = to_numpy(transformer(tokens))
    memory = transformer.no_memory(3)
    for position in range(5):
        found, memory = transformer.step(keras.ops.convert_to_tensor(tokens[:, position]), position, memory)
        np.testing.assert_allclose(to_numpy(found), expected[:, position], atol=1e-5)


def test_no_position_sees_what_comes_after_it():
    transformer = randomized_transformer(length=4)
    tokens = np.random.default_rng(1).normal(size=(1, 4, 8)).astype("float32")
    changed = tokens.copy()
    changed[:, 2, 0] += 1.0
    before, after = to_numpy(transformer(tokens))[0], to_numpy(transformer(changed))[0]
    np.testing.assert_array_equal(after[:2], before[:2])
    assert not np.allclose(after[2], before[2])
    assert not np.allclose(after[3], before[3])


def randomized_transformer(length):
    transformer = CausalTransformer(length, width=8, num_layers=2, num_heads=2)
    transformer.build((None, length, 8))
    return randomized(transformer)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="num_heads=3 does not divide the width 8"):
        CausalTransformer(4, width=8, num_heads=3)
