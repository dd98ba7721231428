"""Models that are trained one after another in one process, as in a notebook, do not stay in memory."""

import subprocess
import sys

import pytest

# Prints the resident memory in MB after each of twenty trainings of both players.
TRAININGS = """
import ctypes, gc, re
from pathlib import Path
import numpy as np
import tensorflow as tf
from keras_vae.config import RunConfig
from keras_vae.training import build_trainer

config = RunConfig().replace(
    model__image_shape=(8, 8, 1), model__widths=(4,), model__groups=2, model__attention_resolution=0,
    model__generative_skips=False, model__mapping_layers=0, discriminator__widths=(4,), data__batch_size=4,
    objective__perceptual_weight=0.0, optimizer__optimizer="adamw",
)
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # as the commands do
images = np.random.default_rng(0).random((8, 8, 8, 1), dtype=np.float32)
for _ in range(20):
    trainer = build_trainer(config, 2)
    trainer.fit(images, batch_size=4, verbose=0, shuffle=False)
    del trainer
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    print(int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1e3)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads resident memory as Linux tells it")
def test_twenty_trained_models_take_no_more_memory_than_three():
    done = subprocess.run([sys.executable, "-c", TRAININGS], capture_output=True, text=True, check=True)

    resident = [float(line) for line in done.stdout.splitlines()]
    assert len(resident) == 20
    # The first few fill caches and pools. A model that stays takes tens of MB: seventeen would be far above this bound,
    # which leaves room for the allocators' own ups and downs.
    assert resident[-1] - resident[2] < 100, resident
