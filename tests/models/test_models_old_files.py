"""Files that older versions wrote load as before."""

from pathlib import Path

import keras
import numpy as np

from keras_vae.layers import Prior
from keras_vae.models import VAE

FILES = Path(__file__).with_name("files")


@keras.saving.register_keras_serializable(package="tests")
class MovedPrior(Prior):
    """N(m, I) with a learned m."""

    def __init__(self, latent_shape, **kwargs):
        super().__init__(latent_shape, **kwargs)
        self.mean = self.add_weight(shape=self.latent_shape, initializer="zeros", name="mean")

    def log_prob(self, z):
        return -0.5 * keras.ops.sum(keras.ops.square(z - self.mean) + np.log(2 * np.pi), axis=-1)

    def sample(self, count, seed=None):
        return self.mean + keras.random.normal((count, *self.latent_shape), seed=seed)


@keras.saving.register_keras_serializable(package="tests")
class VAEWithMovedPrior(VAE):
    def make_prior(self):
        return MovedPrior(self.latent_shape, name="prior")


def test_a_model_from_before_bottlenecks_loads_with_its_own_prior():
    vae = keras.saving.load_model(FILES / "vae_without_bottleneck.keras", safe_mode=True)

    # The numbers that the version of the file printed.
    image = np.linspace(0, 1, 64, dtype="float32").reshape(1, 8, 8, 1)
    mean, log_var = (keras.ops.convert_to_numpy(part) for part in vae.encode(image))
    np.testing.assert_allclose(mean, [[-0.975906, 1.023155]], atol=2e-6)
    np.testing.assert_allclose(log_var, [[0.002540, -0.153697]], atol=2e-6)
    reconstruction = keras.ops.convert_to_numpy(vae.reconstruct(image))
    np.testing.assert_allclose(reconstruction.mean(), 0.500953, atol=2e-6)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(vae.prior.mean), [0.5, -1.5])
    np.testing.assert_allclose(float(vae.likelihood_scale), 0.25)
