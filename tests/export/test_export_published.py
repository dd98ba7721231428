"""The published models: `from_preset` loads the same weights that `saved_models/` serves."""

from pathlib import Path

import numpy as np
import pytest
from exported_models import assert_parsing_and_decoding_wait_for_their_checks

from keras_vae.data import load_dataset
from keras_vae.export.loading import load_exported
from keras_vae.export.manifest import check_manifest
from keras_vae.models import VAE

pytestmark = pytest.mark.slow

SAVED_MODELS = Path(__file__).resolve().parents[2] / "saved_models"
# All test images, through the posterior mean: MSE, LPIPS (three taps), KL in nats, Fréchet distance of prior samples.
PROMISED = {
    "mnist-latent2": (0.0340, 0.060, 10.0, 180.0),
    "mnist-latent4": (0.0225, 0.040, 16.0, 150.0),
    "mnist-latent16": (0.0048, 0.0090, 50.0, 60.0),
}


@pytest.fixture(scope="module")
def digits():
    return load_dataset("sample").test.first(500)[0].astype("float32") / 255


@pytest.fixture(scope="module", params=PROMISED)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def vae(name):
    return VAE.from_preset(name)


def test_from_preset_reconstructs_digits_as_well_as_promised(name, vae, digits):
    mse, _, kl, _ = PROMISED[name]
    mean, log_var = (np.asarray(part) for part in vae.encode(digits))

    # The mean over five hundred digits is within 10% of that over ten thousand.
    assert np.mean((np.asarray(vae.decode(mean)) - digits) ** 2) < 1.1 * mse
    assert np.mean(np.sum(np.exp(log_var) + mean**2 - 1 - log_var, axis=1)) / 2 < 1.1 * kl


def test_the_published_version_is_whole_keeps_its_promise_and_is_the_same_model(name, vae, digits):
    (version,) = (SAVED_MODELS / name).iterdir()
    metrics = check_manifest(version).evaluation["metrics"]
    measured = [metrics[key] for key in ("mse", "lpips", "kl", "frechet_prior")]
    assert all(found <= promised for found, promised in zip(measured, PROMISED[name], strict=True)), measured

    served = load_exported(version)
    np.testing.assert_allclose(served.reconstruct(digits[:8]), vae.reconstruct(digits[:8]), atol=1e-4)


def test_the_published_version_checks_examples_and_images_before_it_decodes_them(name):
    (version,) = (SAVED_MODELS / name).iterdir()
    assert_parsing_and_decoding_wait_for_their_checks(version)
