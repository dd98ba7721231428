"""Quantisation against vector-quantize-pytorch: the same codes, vectors, gradients and moving averages."""

import keras
import numpy as np
import pytest

from keras_vae.latents import FiniteScalarQuantizer, VectorQuantizer

if keras.backend.backend() == "tensorflow":
    pytest.skip("PyTorch with Triton crashes in a process of TensorFlow", allow_module_level=True)
torch = pytest.importorskip("torch")
reference = pytest.importorskip("vector_quantize_pytorch")

SHAPE = (4, 4, 12)
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def features_of(seed):
    return np.random.default_rng(seed).normal(size=(20, *SHAPE)).astype("float32")


def as_tokens(features):
    """The reference takes images as sequences (N, positions, channels)."""
    return torch.from_numpy(features.reshape(len(features), -1, features.shape[-1])).requires_grad_()


def their_gradient(tokens, outputs):
    weights = torch.from_numpy(features_of(9)[..., : tokens.shape[-1]].reshape(tokens.shape))
    (outputs * weights).sum().backward()
    return tokens.grad.numpy().reshape(-1, *SHAPE[:2], tokens.shape[-1])


def our_gradient(layer, features, gradients):
    variable, weights = keras.Variable(features), features_of(9)[..., : features.shape[-1]]
    (found,) = gradients(lambda: keras.ops.sum(keras.ops.multiply(layer(variable.value)["z"], weights)), [variable])
    return found


def pair(code_dim, *, cosine):
    """Ours and theirs, with the same codebook and the same memory of the codes' numbers: 1 each, as theirs has."""
    ours = VectorQuantizer(32, code_dim, decay=0.8, cosine=cosine, restart=0, commitment=0.5, seed=3)
    ours.build((None, *SHAPE))
    codebook = keras.ops.convert_to_numpy(ours.vectors)
    ours.codebook.assign(codebook)
    codes = 20 * np.prod(ours.code_shape)
    ours.usage.assign(np.full(32, 1 / codes))
    theirs = reference.VectorQuantize(
        dim=12,
        codebook_size=32,
        codebook_dim=code_dim,
        heads=12 // code_dim,
        decay=0.8,
        commitment_weight=0.5,
        use_cosine_sim=cosine,
        rotation_trick=False,
    )
    theirs._codebook.embed.copy_(torch.from_numpy(codebook.copy())[None])
    theirs._codebook.embed_avg.copy_(theirs._codebook.embed)
    return ours, theirs.train()


@pytest.mark.parametrize("cosine", [False, True], ids=["distance", "cosine"])
@pytest.mark.parametrize("code_dim", [12, 4])
def test_vector_quantisation_agrees(code_dim, cosine, gradients):
    ours, theirs = pair(code_dim, cosine=cosine)
    for seed in range(3):
        features = features_of(seed)
        latents, tokens = ours(features), as_tokens(features)
        expected_gradient = our_gradient(ours, features, gradients)
        quantised, codes, loss = theirs(tokens)
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(latents["codes"]).ravel(), codes.numpy().ravel())
        z = keras.ops.convert_to_numpy(latents["z"])
        np.testing.assert_allclose(z, quantised.detach().numpy().reshape(z.shape), **TOLERANCE)
        # Theirs is a mean over the latent's numbers, ours a sum.
        commitment = float(latents["losses"]["commitment"]) / np.prod(SHAPE)
        assert commitment == pytest.approx(float(loss.detach()), rel=1e-4)
        np.testing.assert_allclose(expected_gradient, their_gradient(tokens, quantised), **TOLERANCE)
        # They have moved their codebook in the call.
        ours.follow(latents["statistics"])
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(ours.vectors), theirs.codebook.detach().numpy(), **TOLERANCE
        )


@pytest.mark.parametrize("levels", [(8, 6, 5), (8, 5, 5, 5), (7, 5, 5, 5, 5, 4)], ids=str)
def test_finite_scalar_quantisation_agrees(levels, gradients):
    groups = 12 // len(levels)
    ours, theirs = FiniteScalarQuantizer(levels), reference.FSQ(list(levels), num_codebooks=groups)
    features = features_of(0)[..., : groups * len(levels)]
    latents, tokens = ours(features), as_tokens(features)
    quantised, codes = theirs(tokens)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(latents["codes"]).ravel(), codes.numpy().ravel())
    z = keras.ops.convert_to_numpy(latents["z"])
    np.testing.assert_allclose(z, quantised.detach().numpy().reshape(z.shape), rtol=1e-6)
    np.testing.assert_allclose(our_gradient(ours, features, gradients), their_gradient(tokens, quantised), **TOLERANCE)
    embedded = theirs.indices_to_codes(codes).numpy()
    np.testing.assert_allclose(ours.embed(latents["codes"]), embedded.reshape(z.shape), rtol=1e-6)
