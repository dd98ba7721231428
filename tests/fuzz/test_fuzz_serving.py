"""Damaged requests get an answer or an error, and the server keeps running."""

import io

import numpy as np
import pytest
import tensorflow as tf
from damage import damaged
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from keras_vae.export.saved_model import load_saved_model
from keras_vae.export.signatures import write_saved_model
from keras_vae.models import VAE


def record(kind):
    file = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(file, kind)
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[file.getvalue()]))
    return tf.train.Example(features=tf.train.Features(feature={"image/encoded": feature})).SerializeToString()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    few_layers = {"attention_resolution": 0, "mapping_layers": 0, "generative_skips": False}
    write_saved_model(VAE((8, 8, 1), 2, (4,), groups=2, **few_layers), folder)
    return load_saved_model(folder)


@given(content=st.one_of(st.binary(max_size=40), damaged(record("PNG")), damaged(record("JPEG"))))
def test_tf_examples(served, content):
    try:
        answer = served.signatures["serve_tf_examples"](examples=tf.constant([content]))
    # TensorFlow in Python cannot decode a message that quotes the request; a server's client gets it as bytes.
    except (tf.errors.OpError, UnicodeDecodeError):
        return
    assert np.isfinite(answer["reconstruction"]).all()
