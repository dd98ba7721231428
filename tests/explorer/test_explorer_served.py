"""The page that the command serves, in Chromium, against the model itself."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from browsing import drag, latent_of, pixels_of, posterior_of, rest

from keras_vae.explorer import LiteModels
from keras_vae.models import VAE

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("keras-vae")


@pytest.fixture(scope="module")
def digits():
    """The published model of two dimensions."""
    return VAE.from_preset("mnist-latent2")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The address of its page; in the end the command is interrupted as by Ctrl-C, and ends well."""
    # An empty PATH: neither npm nor a browser is needed.
    environment = {**os.environ, "PATH": str(tmp_path_factory.mktemp("empty"))}
    arguments = ["explore", str(ROOT / "saved_models" / "mnist-latent2"), "--dataset", "sample", "--no-browser"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # Shells let what they start in the background ignore Ctrl-C, and the tests may be started so.
    pipes["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen([COMMAND, *arguments], env=environment, **pipes) as running:
        try:
            line = running.stdout.readline()
            yield re.search(r"http://127\.0\.0\.1:\d+/", line)[0]
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=30)
        finally:
            running.kill()
    assert (running.returncode, out) == (0, "")
    assert err.splitlines() == ["encoding test images of mnist-sample (500)", "stopped"]


def test_dragging_and_drawing_show_what_the_model_computes(address, open_page, digits):
    page = open_page(address)
    for end in ((0.3, 0.35), (0.62, 0.4), (0.5, 0.75)):
        drag(page, "plane", [(0.5, 0.5), end])
        rest(page)
        z = latent_of(page)
        assert np.abs(pixels_of(page, "decoded") - 255 * np.asarray(digits.decode(z)[0])).max() <= 1
    drag(page, "drawing", [(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)])
    rest(page)
    mean, log_var = digits.encode(pixels_of(page, "original").astype(np.float32)[None] / 255)
    found = posterior_of(page)
    for name, expected in zip(("z₀", "z₁"), zip(mean[0], np.exp(np.asarray(log_var[0]) / 2), strict=True), strict=True):
        np.testing.assert_allclose(found[name], expected, atol=2e-3)


def test_lite_files_compute_what_the_model_does(digits):
    (folder,) = (ROOT / "saved_models" / "mnist-latent2").glob("*/tflite")
    models = LiteModels(folder / "encoder_fp32.tflite", folder / "decoder_fp32.tflite")
    assert (models.image_shape, models.latent_shape, models.is_conditional) == ((28, 28, 1), (2,), False)
    z = np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32)
    images = models.decode(z)
    assert np.abs(images - 255 * np.asarray(digits.decode(z))).max() <= 0.51
    mean, log_var = models.encode(images[0])
    np.testing.assert_allclose([mean, log_var], np.concatenate(digits.encode(images[:1] / np.float32(255))), atol=1e-3)
