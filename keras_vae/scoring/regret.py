"""How much more likely an image gets with a posterior of its own than with the encoder's.

Xiao, Yan & Amit 2020, "Likelihood Regret: An Out-of-Distribution Detection Score For Variational Auto-encoder".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_vae.losses import likelihood_nll
from keras_vae.models import VAE
from keras_vae.models.batches import images_at_a_time
from keras_vae.scoring.detector import Array, Labels

# Pairs of opposite draws, over which an ELBO is a mean.
PAIRS = 16
# Adam's first step, in standard deviations of the encoder's posterior. It falls to 0 along a cosine.
STEP = 0.3


class LikelihoodRegret:
    """The best ELBO over Gaussian posteriors of an image, less the ELBO with the encoder's, in nats.

    The encoder knows images like those of its training, so that little is left to gain for them. The paper trains a
    copy of the encoder for each image; here the mean and the log-variance themselves are optimised.

    Args:
        vae: a model with a posterior variance and a density of its prior. Its weights stay as they are.
        steps: of Adam, each with one draw of z an image.
        seed: of the draws, which are the same for all images.
    """

    def __init__(self, vae: VAE, steps: int, seed: int = 0) -> None:
        self._vae, self._steps, self._seed = vae, steps, seed
        self._posteriors: _Posteriors | None = None

    def __call__(self, images: Array, labels: Labels = None) -> Array:
        """Of images (N, H, W, C), float32 in [0, 1], and labels int32 (N,) for a conditional model: float32 (N,)."""
        # A power of two, so that few graphs are traced.
        size = min(images_at_a_time(images.shape[1:3]), 1 << (len(images) - 1).bit_length())
        if self._posteriors is None or self._posteriors.count != size:
            self._posteriors = _Posteriors(self._vae, size, self._steps)
        found = []
        for start in range(0, len(images), size):
            rows = np.arange(start, start + size) % len(images)  # the last part is filled from the first images
            found.append(self._of_part(self._posteriors, images[rows], None if labels is None else labels[rows]))
        return np.concatenate(found)[: len(images)]

    def _of_part(self, posteriors: _Posteriors, images: Array, labels: Labels) -> Array:
        rng = np.random.default_rng(self._seed)
        halves = rng.standard_normal((PAIRS, self._vae.latent_dim), np.float32)
        pairs = np.concatenate([halves, -halves])
        mean, log_var = (ops.convert_to_numpy(part) for part in self._vae.encode_flat(images, labels))
        inputs = [images, mean, log_var, *([] if labels is None else [labels])]
        posteriors.restart()
        before = posteriors.elbo(inputs, pairs)
        for draw in rng.standard_normal((self._steps, self._vae.latent_dim), np.float32):
            posteriors.step(inputs, draw)
        return posteriors.elbo(inputs, pairs) - before


class _Posteriors(keras.Model):
    """Posteriors of ``count`` images: a model, since training one is how Keras takes gradients on every backend.

    Its inputs are images, the encoder's means and log-variances, perhaps labels, and standard normal noise, the latter
    as vectors. Its output is each image's negative ELBO, by the z of that noise.
    """

    def __init__(self, vae: VAE, count: int, steps: int) -> None:
        super().__init__(dtype="float32", name="posteriors")
        self.count = count
        # Keras does not look into functions, so that the weights of the VAE are not those of this model.
        self._vae: Callable[[], VAE] = lambda: vae
        self.shift = self.add_weight(shape=(count, vae.latent_dim), initializer="zeros", name="shift")
        self.growth = self.add_weight(shape=(count, vae.latent_dim), initializer="zeros", name="growth")
        self.built = True
        schedule = keras.optimizers.schedules.CosineDecay(STEP, steps)
        # XLA takes longer to compile than the steps take.
        self.compile(keras.optimizers.Adam(schedule), loss=lambda _, negative_elbo: negative_elbo, jit_compile=False)

    def restart(self) -> None:
        """Go back to the encoder's posteriors, and to the first step."""
        for variable in [self.shift, self.growth, *self.optimizer.variables]:
            variable.assign(ops.zeros(variable.shape, variable.dtype))

    def step(self, inputs: list[Any], noise: Array) -> None:
        self.train_on_batch(self._with_noise(inputs, noise), np.zeros(self.count, np.float32))

    def elbo(self, inputs: list[Any], draws: Array) -> Array:
        """The mean over draws (S, D): (N,)."""
        found = [self.predict_on_batch(self._with_noise(inputs, noise)) for noise in draws]
        mean: Array = -np.mean(found, axis=0)
        return mean

    def _with_noise(self, inputs: list[Any], noise: Array) -> list[Any]:
        return [*inputs, np.tile(noise, (self.count, 1))]

    def call(self, inputs: list[Any]) -> Any:
        images, mean, log_var, *labels, noise = inputs
        vae = self._vae()
        mean, log_var = mean + ops.exp(0.5 * log_var) * self.shift, log_var + self.growth
        z = mean + ops.exp(0.5 * log_var) * noise
        nll = likelihood_nll(vae.likelihood, images, vae.decode(z, *labels), vae.likelihood_scale)
        return nll + vae.prior.kl(*(ops.reshape(part, (-1, *vae.latent_shape)) for part in (mean, log_var, z)))
