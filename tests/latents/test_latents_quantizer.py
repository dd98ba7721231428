"""What every quantiser does: codes and their shapes, gradients, the prior, statistics, usage, saving."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_vae.errors import InputError
from keras_vae.latents import CodePrior, FiniteScalarQuantizer, UniformCodes, VectorQuantizer
from keras_vae.latents.bottleneck import LOG_VAR_MIN

SHAPE = (2, 3, 6)


@keras.saving.register_keras_serializable(package="tests")
class Lopsided(CodePrior):
    """Independent codes of which number 0 is drawn with the learned probability sigmoid(weight)."""

    def build(self, codes_shape):
        self.weight = self.add_weight((), "ones", name="weight")

    def log_prob(self, codes):
        is_zero = keras.ops.equal(codes, 0)
        rest = keras.ops.log_sigmoid(-self.weight) - np.log(self.codebook_size - 1)
        each = keras.ops.where(is_zero, keras.ops.log_sigmoid(self.weight), rest)
        return keras.ops.sum(each, axis=tuple(range(1, len(each.shape))))

    def sample(self, count, seed=None):
        return keras.ops.zeros((count, *self.code_shape), "int32")


def variables_of(layer):
    return [keras.ops.convert_to_numpy(variable) for variable in layer.variables]


@pytest.mark.parametrize(
    ("latent_shape", "code_dim", "expected"),
    [((6,), None, (1,)), ((6,), 2, (3,)), ((2, 3, 6), None, (2, 3)), ((2, 3, 6), 3, (2, 3, 2))],
)
def test_the_last_axis_is_cut_into_groups(latent_shape, code_dim, expected, make_features, values):
    layer = VectorQuantizer(8, code_dim)
    latents = values(layer(make_features(latent_shape)))
    assert layer.code_shape == expected
    assert latents["codes"].shape == (5, *expected)
    assert latents["codes"].dtype == np.int32
    assert latents["z"].shape == (5, *latent_shape)
    assert latents["z"].dtype == latents["kl"].dtype == np.float32


def test_finite_scalars_have_one_code_for_as_many_channels_as_there_are_levels():
    layer = FiniteScalarQuantizer((5, 4, 3))
    layer.build((None, *SHAPE))
    assert layer.codebook_size == 60
    assert layer.code_shape == (2, 3, 2)


def test_z_is_what_the_codes_embed_to(quantiser, make_features, values):
    latents = quantiser(make_features(SHAPE))
    np.testing.assert_array_equal(values(quantiser.embed(latents["codes"])), values(latents["z"]))
    np.testing.assert_array_equal(values(quantiser.codes_of(make_features(SHAPE))), values(latents["codes"]))


def test_the_posterior_is_a_point(quantiser, make_features, values):
    mean, log_var = values(quantiser.posterior(make_features(SHAPE)))
    np.testing.assert_array_equal(mean, values(quantiser(make_features(SHAPE))["z"]))
    np.testing.assert_array_equal(log_var, np.full_like(mean, LOG_VAR_MIN))


def test_the_features_position_decides_about_the_codes_position(make_features, values):
    layer = VectorQuantizer(16, 3, seed=0)
    features = make_features(SHAPE)
    before = values(layer(features)["codes"])
    features[2, 1, 0, 3:] += 10
    changed = np.argwhere(values(layer(features)["codes"]) != before)
    np.testing.assert_array_equal(changed, [[2, 1, 0, 1]])


def test_the_kl_under_the_uniform_prior_is_the_logarithm_of_the_number_of_latents(quantiser, make_features, values):
    expected = np.prod(quantiser.code_shape) * np.log(quantiser.codebook_size)
    np.testing.assert_allclose(values(quantiser(make_features(SHAPE))["kl"]), np.full(5, expected), rtol=1e-6)


def test_samples_are_embedded_draws_of_the_prior(quantiser, values):
    draws = quantiser.sample(3, seed=4)
    np.testing.assert_array_equal(values(draws), values(quantiser.embed(quantiser.prior.sample(3, seed=4))))
    assert values(draws).shape == (3, *SHAPE)


def test_uniform_codes_are_drawn_equally_often_and_by_the_seed(values):
    prior = UniformCodes(4, (2, 5))
    draws, again, other = (values(prior.sample(2000, seed=seed)) for seed in (1, 1, 2))
    assert draws.shape == (2000, 2, 5)
    assert draws.dtype == np.int32
    # Twenty thousand draws: the standard deviation of a share is 0.003.
    np.testing.assert_allclose(np.bincount(draws.ravel()) / draws.size, np.full(4, 0.25), atol=0.015)
    np.testing.assert_array_equal(draws, again)
    assert not np.array_equal(draws, other)


def test_another_prior_gives_the_kl_and_learns_from_it(make_features, gradients, values):
    layer = VectorQuantizer(16, seed=0, prior=Lopsided(16, (2, 3)))
    latents = values(layer(make_features(SHAPE)))
    zeros = (latents["codes"] == 0).sum(axis=(1, 2))
    chance = 1 / (1 + np.exp(-1.0))
    expected = -zeros * np.log(chance) - (6 - zeros) * np.log((1 - chance) / 15)
    np.testing.assert_allclose(latents["kl"], expected, rtol=1e-5)
    (found,) = gradients(lambda: keras.ops.sum(layer(make_features(SHAPE))["kl"]), [layer.prior.weight])
    assert found == pytest.approx(-(zeros - 6 * chance).sum(), rel=1e-4)


def test_a_prior_of_other_codes_is_refused():
    with pytest.raises(InputError, match="the prior is for 2x3 codes of 8, the bottleneck makes 2x3 codes of 16"):
        VectorQuantizer(16, prior=UniformCodes(8, (2, 3))).build((None, *SHAPE))


def test_channels_that_are_no_multiple_are_refused():
    with pytest.raises(InputError, match="6 latent channels cannot be cut into codes of 4 channels"):
        VectorQuantizer(16, 4).build((None, *SHAPE))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros((2, 3, 2), "int32"), r"codes must have the shape \(N, 2, 3\), got \(2, 3, 2\)"),
        (np.zeros((2, 3), "int32"), r"codes must have the shape \(N, 2, 3\), got \(2, 3\)"),
        (np.zeros((1, 2, 3), "float32"), "codes must be integers, got float32"),
        (np.full((1, 2, 3), 16), r"codes must be in \[0, 16\), got 16 to 16"),
        (np.full((1, 2, 3), -1), r"codes must be in \[0, 16\), got -1 to -1"),
    ],
)
def test_other_codes_are_refused(codes, message):
    layer = VectorQuantizer(16)
    layer.build((None, *SHAPE))
    with pytest.raises(InputError, match=message):
        layer.embed(codes)


def test_tensors_of_another_shape_or_dtype_are_refused():
    layer = VectorQuantizer(16)
    layer.build((None, *SHAPE))
    with pytest.raises(InputError, match="shape"):
        layer.embed(keras.ops.zeros((2, 3), "int32"))
    with pytest.raises(InputError, match="integers"):
        layer.embed(keras.ops.zeros((2, 2, 3), "float32"))


@given(seed=st.integers(0, 2**16), offset=st.floats(-100, 100), scale=st.floats(0.01, 100))
def test_codes_are_in_range_whatever_the_features(seed, offset, scale):
    features = (offset + scale * np.random.default_rng(seed).standard_normal((2, *SHAPE))).astype("float32")
    for layer in BUILT:
        codes = keras.ops.convert_to_numpy(layer.codes_of(features))
        assert 0 <= codes.min() <= codes.max() < layer.codebook_size


@settings(max_examples=30)
@given(seed=st.integers(0, 2**16), parts=st.sampled_from([2, 3, 4]))
def test_the_statistics_of_parts_average_to_those_of_the_batch(seed, parts):
    features = np.random.default_rng(seed).standard_normal((12, *SHAPE)).astype("float32")
    for layer in BUILT:
        whole = layer(features)["statistics"]
        own = [layer(part)["statistics"] for part in np.split(features, parts)]
        for name, expected in whole.items():
            mean = np.mean([keras.ops.convert_to_numpy(part[name]) for part in own], axis=0)
            np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-6)


def test_usage_is_the_mean_share_of_each_code(quantiser, make_features, values):
    latents = values(quantiser(make_features(SHAPE)))
    counts = np.bincount(latents["codes"].ravel(), minlength=quantiser.codebook_size)
    np.testing.assert_allclose(latents["statistics"]["usage"], counts / counts.sum(), rtol=1e-6)


def test_the_losses_have_the_names_that_training_expects(quantiser, make_features):
    assert tuple(quantiser(make_features(SHAPE))["losses"]) == quantiser.loss_names


def test_statistics_at_zero_look_like_those_of_a_batch(quantiser, make_features, values):
    made, zeros = values(quantiser(make_features(SHAPE))["statistics"]), values(quantiser.statistics_at_zero())
    assert made.keys() == zeros.keys()
    for name, array in zeros.items():
        assert (array.shape, array.dtype) == (made[name].shape, made[name].dtype)
        assert not array.any()


def test_running_usage_is_a_moving_average_without_a_bias_to_its_start(quantiser, make_features, values):
    first, second = (values(quantiser(make_features(SHAPE, seed=seed))["statistics"]) for seed in (1, 2))
    quantiser.follow(first)
    usage = values(quantiser.usage.value)
    np.testing.assert_allclose(usage / usage.sum(), first["usage"], rtol=1e-5)
    quantiser.follow(second)
    usage = values(quantiser.usage.value)
    expected = (0.99 * first["usage"] + second["usage"]) / 1.99
    np.testing.assert_allclose(usage / usage.sum(), expected, rtol=1e-4)


def test_perplexity_and_used_codes_are_those_of_the_running_usage(quantiser, values):
    assert float(quantiser.perplexity()) == 1.0
    assert float(quantiser.used_codes()) == 0.0
    usage = np.zeros(quantiser.codebook_size, "float32")
    usage[:4] = 0.25
    quantiser.usage.assign(usage)
    assert float(quantiser.perplexity()) == pytest.approx(4, rel=1e-5)
    assert float(quantiser.used_codes()) == pytest.approx(4 / quantiser.codebook_size)
    quantiser.usage.assign(np.full_like(usage, 1 / len(usage)))
    assert float(quantiser.perplexity()) == pytest.approx(quantiser.codebook_size, rel=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_statistics_that_are_not_finite_change_nothing(quantiser, make_features, values, bad):
    statistics = values(quantiser(make_features(SHAPE))["statistics"])
    quantiser.follow(statistics)
    before = variables_of(quantiser)
    for name in statistics:
        spoilt = {**statistics, name: statistics[name].copy()}
        spoilt[name].ravel()[0] = bad
        quantiser.follow(spoilt)
    for variable, array in zip(variables_of(quantiser), before, strict=True):
        np.testing.assert_array_equal(variable, array)


def test_features_that_are_not_finite_give_valid_codes_and_statistics_that_change_nothing(
    quantiser, make_features, values
):
    features = make_features(SHAPE)
    features[0, 1, 1, 2] = np.nan
    latents = values(quantiser(features))
    assert 0 <= latents["codes"].min() <= latents["codes"].max() < quantiser.codebook_size
    assert np.isnan(latents["z"]).any()
    before = variables_of(quantiser)
    quantiser.follow(latents["statistics"])
    for variable, array in zip(variables_of(quantiser), before, strict=True):
        np.testing.assert_array_equal(variable, array)


def test_a_frozen_layer_does_not_learn(quantiser, make_features, values):
    statistics = values(quantiser(make_features(SHAPE))["statistics"])
    quantiser.trainable = False
    before = variables_of(quantiser)
    quantiser.follow(statistics)
    for variable, array in zip(variables_of(quantiser), before, strict=True):
        np.testing.assert_array_equal(variable, array)


def test_a_call_changes_nothing(quantiser, make_features):
    before = variables_of(quantiser)
    quantiser(make_features(SHAPE))
    for variable, array in zip(variables_of(quantiser), before, strict=True):
        np.testing.assert_array_equal(variable, array)


def test_the_variables_are_all_that_there_is_to_resume(quantiser, make_features, values):
    copy = type(quantiser).from_config(quantiser.get_config())
    if hasattr(copy, "seed_generator"):
        copy.seed_generator.state.assign([99, 7])
    copy.build((None, *SHAPE))
    quantiser.follow(quantiser(make_features(SHAPE))["statistics"])
    for to, of in zip(copy.variables, quantiser.variables, strict=True):
        to.assign(of)
    for seed in range(3):
        for layer in (quantiser, copy):
            layer.follow(layer(make_features(SHAPE, seed=seed))["statistics"])
    for variable, array in zip(variables_of(copy), variables_of(quantiser), strict=True):
        np.testing.assert_array_equal(variable, array)


def test_features_of_half_precision_are_quantised_in_float32(quantiser, make_features, values):
    features = keras.ops.cast(make_features(SHAPE), "bfloat16")
    latents = values(quantiser(features))
    np.testing.assert_array_equal(
        latents["codes"], values(quantiser.codes_of(values(keras.ops.cast(features, "float32"))))
    )
    assert {array.dtype for array in keras.tree.flatten(latents)} == {np.dtype("float32"), np.dtype("int32")}


class Mean(keras.layers.Layer):
    """Calls a bottleneck's posterior, as a model does."""

    def __init__(self, bottleneck):
        super().__init__()
        self.bottleneck = bottleneck
        self.scale = self.add_weight((), "ones")

    def call(self, features):
        return self.bottleneck.posterior(features)[0]


def test_a_model_of_mixed_precision_gets_z_in_float32(quantiser, make_features, values):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model, copy = Mean(quantiser), type(quantiser).from_config(quantiser.get_config())
        copy.build((None, *SHAPE))
        assert {variable.dtype for variable in copy.weights} == {"float32"}
        features = keras.ops.cast(make_features(SHAPE), "bfloat16")
        found, expected = values([model(features), quantiser.posterior(features)[0]])
    finally:
        keras.config.set_dtype_policy("float32")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_a_quantiser_survives_its_config(quantiser):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(quantiser), safe_mode=True)
    assert type(copy) is type(quantiser)
    assert copy.get_config() == quantiser.get_config()


def test_a_functional_model_with_a_quantiser_survives_a_file(quantiser, make_features, values, tmp_path):
    inputs = keras.Input(SHAPE)
    latents = quantiser(inputs)
    model = keras.Model(inputs, [latents["z"], latents["kl"], latents["codes"]])
    quantiser.follow(quantiser(make_features(SHAPE))["statistics"])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    for found, expected in zip(loaded(make_features(SHAPE)), model(make_features(SHAPE)), strict=True):
        np.testing.assert_array_equal(values(found), values(expected))
    (copy,) = (layer for layer in loaded.layers if isinstance(layer, type(quantiser)))
    for to, of in zip(copy.weights, quantiser.weights, strict=True):
        np.testing.assert_array_equal(values(to.value), values(of.value))


def test_a_learned_prior_survives_the_file_of_its_bottleneck(make_features, values, tmp_path):
    inputs = keras.Input(SHAPE)
    layer = VectorQuantizer(16, prior=Lopsided(16, (2, 3)))
    model = keras.Model(inputs, layer(inputs)["kl"])
    layer.prior.weight.assign(0.3)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    found, expected = values([loaded(make_features(SHAPE)), model(make_features(SHAPE))])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="graphs of TensorFlow")
def test_a_graph_for_batches_of_any_size_gives_the_same_latents(quantiser, make_features, values):
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE))])
    def step(features):
        latents = quantiser(features)
        return latents, quantiser.embed(latents["codes"]), quantiser.perplexity()

    expected = values(quantiser(make_features(SHAPE)))
    latents, embedded, _ = values(step(make_features(SHAPE)))
    np.testing.assert_array_equal(latents["codes"], expected["codes"])
    np.testing.assert_array_equal(embedded, expected["z"])
    for name, array in expected["statistics"].items():
        np.testing.assert_allclose(latents["statistics"][name], array, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="graphs of TensorFlow")
def test_learning_in_a_graph_is_learning_step_by_step(quantiser, make_features, values):
    import tensorflow as tf

    copy = type(quantiser).from_config(quantiser.get_config())
    copy.build((None, *SHAPE))

    @tf.function
    def step(features):
        copy.follow(copy(features)["statistics"])

    for seed in range(3):
        quantiser.follow(quantiser(make_features(SHAPE, seed=seed))["statistics"])
        step(tf.constant(make_features(SHAPE, seed=seed)))
    for variable, array in zip(variables_of(copy), variables_of(quantiser), strict=True):
        np.testing.assert_allclose(variable, array, rtol=1e-4, atol=1e-5)


def _built():
    made = [
        VectorQuantizer(16, 3, seed=0),
        VectorQuantizer(16, cosine=True, seed=0),
        FiniteScalarQuantizer((8, 5, 3)),
    ]
    for layer in made:
        layer.build((None, *SHAPE))
    return made


BUILT = _built()
