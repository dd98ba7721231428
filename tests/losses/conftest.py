"""What the tests of the losses share: gradients on any backend, and a file of made-up VGG16 weights."""

import keras
import numpy as np
import pytest

BLOCK_WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class _Picture(keras.Model):
    """A model that is nothing but the images it gives."""

    def __init__(self, images):
        super().__init__()
        self.images = self.add_weight(shape=images.shape, initializer="zeros", name="images")
        self.images.assign(images)

    def call(self, inputs):
        return keras.ops.convert_to_tensor(self.images)


@pytest.fixture(scope="session")
def gradient_of():
    """The gradient of a Keras loss with respect to ``y_pred``, read off one SGD step of any backend."""

    def compute(loss, y_true, y_pred, learning_rate=1.0):
        picture = _Picture(y_pred)
        optimizer = keras.optimizers.SGD(learning_rate)
        picture.compile(optimizer=optimizer, loss=loss, run_eagerly=True, jit_compile=False)
        picture.train_on_batch(np.zeros((len(y_pred), 1), "float32"), y_true)
        return (y_pred - keras.ops.convert_to_numpy(picture.images)) / learning_rate

    return compute


def _make_weights(blocks, bias=0.1):
    """Random arrays in the layout of the weights file, scaled to keep activations near one."""
    rng = np.random.default_rng(0)
    arrays, channels = {}, 3
    for block, widths in enumerate(BLOCK_WIDTHS[:blocks], start=1):
        for index, width in enumerate(widths, start=1):
            kernel = rng.standard_normal((3, 3, channels, width), "float32") * np.sqrt(2 / (9 * channels))
            arrays[f"block{block}_conv{index}/kernel"] = kernel.astype("float16")
            arrays[f"block{block}_conv{index}/bias"] = np.full(width, bias, "float16")
            channels = width
        arrays[f"lpips/block{block}"] = rng.random(channels).astype("float16")
    return arrays


@pytest.fixture(scope="session")
def made_up_weights():
    """The function that makes them: ``made_up_weights(blocks, bias)``."""
    return _make_weights


@pytest.fixture(scope="session")
def full_weights(tmp_path_factory):
    """The path of an .npz with all five blocks."""
    path = tmp_path_factory.mktemp("weights") / "five_taps.npz"
    np.savez(path, **_make_weights(blocks=5))
    return path
