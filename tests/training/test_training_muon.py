"""Muon against Keras's Muon, against AdamW for the weights left to it, and against a singular value decomposition."""

import keras
import numpy as np
import pytest

from keras_vae.training.muon import Muon, orthogonalized
from keras_vae.training.optimizers import FusedAdamW
from keras_vae.training.schedules import warmup_cosine


def updated(optimizer, shape, name="kernel", steps=12):
    """A weight of ``shape`` after ``steps`` updates."""
    rng = np.random.default_rng(0)
    variable = keras.Variable(rng.standard_normal(shape, "float32"), name=name)
    optimizer.build([variable])
    for _ in range(steps):
        optimizer.apply([keras.ops.convert_to_tensor(rng.standard_normal(shape, "float32"))], [variable])
    return variable.numpy()


@pytest.mark.parametrize("shape", [(24, 40), (40, 24), (16, 16)], ids=str)
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_a_dense_kernel_takes_the_steps_of_kerass_muon(shape, weight_decay):
    ours = updated(Muon(warmup_cosine(0.02, 0.2, 12), weight_decay=weight_decay), shape)
    theirs = updated(keras.optimizers.Muon(warmup_cosine(0.02, 0.2, 12), weight_decay=weight_decay), shape)

    # Twelve steps of up to 0.02 through five iterations in float32, on weights of order one.
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_convolution_kernel_is_updated_as_one_matrix():
    as_kernel = updated(Muon(0.02), (3, 3, 8, 32))
    as_matrix = updated(Muon(0.02), (72, 32))

    np.testing.assert_array_equal(as_kernel.reshape(72, 32), as_matrix)


@pytest.mark.parametrize(("shape", "name"), [((32,), "bias"), ((3, 3, 8, 1), "to_image"), ((4, 6), "mean_head")])
def test_vectors_and_excluded_layers_take_the_steps_of_adamw(shape, name):
    options = {"learning_rate": 0.02, "weight_decay": 0.1}
    ours = updated(Muon(**options, exclude_layers=["to_image", "^mean"]), shape, name)

    np.testing.assert_array_equal(ours, updated(FusedAdamW(**options), shape, name))


@pytest.mark.parametrize("shape", [(64, 64), (576, 64), (32, 288)], ids=str)
def test_orthogonalized_keeps_the_singular_vectors_and_evens_out_the_values(shape):
    matrix = np.random.default_rng(1).standard_normal(shape).astype("float32")
    result = orthogonalized(matrix).numpy()

    left, _, right = np.linalg.svd(matrix, full_matrices=False)
    in_its_basis = left.T @ result @ right.T
    values = np.diag(in_its_basis)
    assert values.min() > 0.6
    assert values.max() < 1.3
    assert np.abs(in_its_basis - np.diag(values)).max() < 1e-4


def test_kernels_hold_one_moment_and_the_rest_two():
    optimizer = Muon(exclude_layers=["mean"])
    variables = [keras.Variable(np.zeros(shape, "float32"), name=name) for name, shape in
                 {"kernel": (3, 4), "mean": (4, 4), "bias": (4,)}.items()]  # fmt: skip
    optimizer.build(variables)

    elements = sum(int(np.prod(variable.shape)) for variable in optimizer.variables[2:])
    assert elements == 12 + 2 * 16 + 2 * 4


def test_muon_comes_back_from_its_config():
    optimizer = Muon(warmup_cosine(0.1, 0.1, 50), momentum=0.9, exclude_layers=["mean"], weight_decay=0.02)
    restored = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))

    assert type(restored) is Muon
    assert restored.get_config() == optimizer.get_config()
