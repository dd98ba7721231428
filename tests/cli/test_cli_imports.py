"""What a command imports with TensorFlow."""

import subprocess
import sys

IMPORTS = """
import sys
from keras_vae_cli.runtime import NOT_NEEDED, start_tensorflow
start_tensorflow()
print(*(name for name in NOT_NEEDED if name in sys.modules))
import sklearn.mixture, matplotlib.figure
from keras_vae.visualize import fit_projection, latent_plot, manifold_picture
from keras_vae.models import GaussianMixtureSampler
"""


def test_packages_that_keras_does_not_need_are_left_out_and_can_be_imported_afterwards():
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout == "\n"
