"""The fused AdamW against Keras's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vae.training.muon import Muon
from keras_vae.training.optimizers import FusedAdamW, SkippingOptimizer, apply_where
from keras_vae.training.schedules import warmup_cosine

NAMES = {"kernel": (3, 4), "bias": (4,), "gamma": (4,), "beta": (4,)}


def make_variables():
    rng = np.random.default_rng(0)
    return [keras.Variable(rng.standard_normal(shape, "float32"), name=name) for name, shape in NAMES.items()]


def make_gradients(step):
    rng = np.random.default_rng(100 + step)
    return [10.0 ** (step % 4 - 2) * rng.standard_normal(shape, "float32") for shape in NAMES.values()]


def run(optimizer, steps=15, wrap=None):
    """The variables after each of ``steps`` updates."""
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    outer = optimizer if wrap is None else wrap(optimizer)
    variables = make_variables()
    outer.build(variables)
    history = []
    for step in range(steps):
        scale = 1.0 if wrap is None else float(outer.dynamic_scale)
        gradients = [keras.ops.convert_to_tensor(scale * gradient) for gradient in make_gradients(step)]
        outer.apply(gradients, variables)
        history.append([variable.numpy().copy() for variable in variables])
    return history


OPTIONS = {
    "plain": {},
    "decay": {"weight_decay": 0.1},
    "global clipping": {"weight_decay": 0.1, "global_clipnorm": 0.5},
    "clipping each": {"clipnorm": 0.3},
    "other moments": {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
}


@pytest.mark.parametrize("wrap", [None, keras.optimizers.LossScaleOptimizer, SkippingOptimizer])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_fused_adamw_takes_the_steps_of_adamw(options, wrap):
    fused, plain = (
        run(kind(warmup_cosine(0.05, 0.2, 15), **options), wrap=wrap) for kind in (FusedAdamW, keras.optimizers.AdamW)
    )

    for one, other in zip(fused, plain, strict=True):
        for name, value, expected in zip(NAMES, one, other, strict=True):
            # Fifteen float32 updates of at most 0.05, written in another order; weights of order one.
            np.testing.assert_allclose(value, expected, rtol=2e-5, atol=2e-6, err_msg=name)


def test_fused_adamw_with_a_constant_rate_takes_the_steps_of_adamw():
    for one, other in zip(run(FusedAdamW(0.01)), run(keras.optimizers.AdamW(0.01)), strict=True):
        for value, expected in zip(one, other, strict=True):
            np.testing.assert_allclose(value, expected, rtol=2e-5, atol=2e-6)


def test_weight_decay_shrinks_kernels_alone():
    optimizer = FusedAdamW(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    variables = make_variables()
    before = [variable.numpy().copy() for variable in variables]
    optimizer.apply([keras.ops.zeros_like(variable) for variable in variables], variables)

    for name, old, variable in zip(NAMES, before, variables, strict=True):
        np.testing.assert_allclose(variable.numpy(), old * (0.95 if name == "kernel" else 1.0), rtol=1e-6)


def test_amsgrad_is_refused():
    with pytest.raises(ValueError, match="no amsgrad"):
        FusedAdamW(1e-3, amsgrad=True)


def test_fused_adamw_survives_a_config_round_trip():
    optimizer = FusedAdamW(warmup_cosine(0.1, 0.1, 50), weight_decay=0.02, beta_1=0.7, global_clipnorm=3.0)

    restored = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))

    assert type(restored) is FusedAdamW
    assert restored.get_config() == optimizer.get_config()


def test_skipping_leaves_everything_alone_and_keeps_its_scale():
    optimizer = SkippingOptimizer(FusedAdamW(0.1))
    variables = make_variables()
    optimizer.build(variables)
    optimizer.apply([keras.ops.ones_like(variable) for variable in variables], variables)
    state = [variable.numpy().copy() for variable in variables + optimizer.inner_optimizer.variables]

    for bad in ((np.nan, 1.0), (np.inf, 1.0), (np.inf, -np.inf)):
        for _ in range(100):
            gradients = [keras.ops.ones_like(variable) for variable in variables]
            optimizer.apply([bad[0] * gradients[0], bad[1] * gradients[1], *gradients[2:]], variables)

    after = [variable.numpy() for variable in variables + optimizer.inner_optimizer.variables]
    assert all(np.array_equal(one, other) for one, other in zip(state, after, strict=True))
    assert float(optimizer.dynamic_scale) == 1.0


@pytest.mark.parametrize("kind", [FusedAdamW, Muon])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_applying_where_all_is_finite_makes_the_same_steps_and_skips_the_others(kind, options):
    options = {name: value for name, value in options.items() if kind is FusedAdamW or not name.startswith("beta")}
    ours, plain = (kind(warmup_cosine(0.05, 0.2, 15), **options) for _ in range(2))
    guarded = SkippingOptimizer(ours)
    variables, expected = make_variables(), make_variables()
    guarded.build(variables)
    plain.build(expected)
    for step in range(6):
        gradients = [keras.ops.convert_to_tensor(gradient) for gradient in make_gradients(step)]
        is_finite = step not in (0, 3)
        if is_finite:
            plain.apply(gradients, expected)
        else:
            gradients[step % 2] *= np.inf if step else np.nan
        norm = tf.linalg.global_norm(gradients)
        apply_where(guarded, tf.math.is_finite(norm), gradients, variables, norm)

        state, wanted = ([each.numpy() for each in both] for both in
                         (variables + ours.variables, expected + plain.variables))  # fmt: skip
        for one, other in zip(state, wanted, strict=True):
            np.testing.assert_array_equal(one, other)


def test_steps_of_kerass_own_optimizers_are_skipped_too():
    optimizer = SkippingOptimizer(keras.optimizers.SGD(0.5))
    variable = keras.Variable(np.ones(3, "float32"))
    optimizer.build([variable])

    for is_finite, left in ((False, 1.0), (True, 0.5)):
        apply_where(optimizer, tf.constant(is_finite), [tf.ones(3)], [variable], tf.constant(1.0))
        np.testing.assert_array_equal(variable.numpy(), np.full(3, left, "float32"))
