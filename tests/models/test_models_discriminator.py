"""The patch discriminator: shapes, normalisations, and that it judges patches."""

import keras
import numpy as np
import pytest

from keras_vae.models import PatchDiscriminator

rng = np.random.default_rng(0)


def numpy_of(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.parametrize(
    ("normalization", "image_shape", "grid", "policy"),
    [
        ("spectral", (28, 28, 1), (7, 7), "float32"),
        ("batch", (27, 31, 3), (7, 8), "mixed_bfloat16"),
        ("group", (27, 31, 1), (7, 8), "mixed_float16"),
        ("none", (5, 4, 1), (2, 1), "float32"),
    ],
)
def test_there_is_a_float32_logit_for_each_patch(normalization, image_shape, grid, policy):
    model = PatchDiscriminator(image_shape, (8, 8, 8), normalization=normalization, groups=4, dtype=policy)
    images = rng.random((2, *image_shape)).astype("float32")

    for training in (False, True):
        patch_logits = numpy_of(model(images, training=training))

        assert patch_logits.shape == (2, *grid, 1)
        assert patch_logits.dtype == np.float32
        assert np.isfinite(patch_logits).all()
    assert model.compute_output_shape((None, *image_shape)) == (None, *grid, 1)
    assert {layer.dtype_policy.name for layer in model._flatten_layers()} == {policy}


@pytest.mark.parametrize("normalization", ["spectral", "none"])
def test_a_logit_heeds_its_own_patch_alone(normalization):
    model = PatchDiscriminator((28, 28, 1), (8, 8), normalization=normalization)
    images = rng.random((1, 28, 28, 1)).astype("float32")
    changed = images.copy()
    changed[0, 27, 27] += 1.0

    difference = numpy_of(model(changed) - model(images))[0, :, :, 0]

    # 4×4 kernels, the first of stride 2, then two of stride 1: a patch has 2·(2·3 + 1) + 2 = 16 pixels a side
    rows, columns = np.nonzero(difference)
    assert rows.size > 0
    assert min(rows.min(), columns.min()) >= (28 - 16) // 2


def test_group_normalisation_mixes_patches_and_so_is_not_local():
    model = PatchDiscriminator((28, 28, 1), (8, 8), normalization="group", groups=4)
    images = rng.random((1, 28, 28, 1)).astype("float32")
    changed = images.copy()
    changed[0, 27, 27] += 1.0

    assert numpy_of(model(changed) - model(images))[0, 0, 0, 0] != 0


def test_training_calls_bring_the_spectral_norm_of_every_kernel_to_one():
    model = PatchDiscriminator((8, 8, 1), (4, 4))
    for conv in (*model.convs, model.to_logits):
        # Singular values 1, 1/2, 1/4 …: of two that are nearly equal, the leading vector would be anyone's guess.
        shape = conv.kernel.shape
        left, values, right = np.linalg.svd(rng.standard_normal((np.prod(shape[:-1]), shape[-1])), full_matrices=False)
        conv.kernel.assign((left * 0.5 ** np.arange(len(values)) @ right).reshape(shape))
    kernels = [conv.kernel.numpy() for conv in (*model.convs, model.to_logits)]
    images = rng.random((1, 8, 8, 1)).astype("float32")

    for _ in range(40):
        model(images, training=True)

    for conv, kernel in zip((*model.convs, model.to_logits), kernels, strict=True):
        np.testing.assert_array_equal(conv.kernel.numpy(), kernel)
        largest = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]))[2][0]
        # what is tracked is the leading right singular vector, up to its sign; the iteration is at 1e-2 by now
        assert abs(largest @ conv.left.numpy()[0]) == pytest.approx(1.0, abs=1e-2)


def test_the_same_images_outside_training_change_nothing():
    model = PatchDiscriminator((8, 8, 1), (8, 8), normalization="batch")
    before = model.get_weights()

    model(rng.random((2, 8, 8, 1)).astype("float32"))

    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_an_unknown_normalisation_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="must be one of spectral, batch, group, none, got 'layer'"):
        PatchDiscriminator(normalization="layer")


def test_groups_that_do_not_divide_a_width_are_refused_by_number():
    with pytest.raises(ValueError, match=r"groups \(3\).*\(8\)"):
        PatchDiscriminator((8, 8, 1), (8, 8), normalization="group", groups=3)
