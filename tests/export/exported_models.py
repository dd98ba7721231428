"""Small models, images, and Keras's outputs, with which exported files are compared."""

import re

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_vae.models import VAE

# Not square, and not divided by the stem: the model pads and crops.
SHAPE = (11, 12, 1)
CLASSES = 3


def make_vae(**options):
    """A model of one level, 6×6, that attends to itself and to z.

    Its last weights are larger than a new model's, which would decode all latents to nearly the same grey; and its
    means are spread as the prior is, like a trained model's: int8 has one scale for both.
    """
    keras.utils.set_random_seed(0)
    vae = VAE(SHAPE, **{"latent_dim": 2, "widths": (8,), "groups": 4, "context_tokens": 2, **options})
    labels = make_labels(40) if vae.num_classes else None
    mean, _ = vae.encode(make_images(40), labels)
    center, spread = np.mean(mean, axis=0), np.std(mean, axis=0)
    head = vae.encoder.mean_head
    head.kernel.assign(head.kernel / spread)
    head.bias.assign((head.bias - center) / spread)
    for weight in vae.decoder.to_image.trainable_variables:
        weight.assign(5 * weight)
    return vae


def make_images(count=5, seed=0):
    """Images float32 (count, 11, 12, 1), each a whole number of 1/255."""
    return np.random.default_rng(seed).integers(0, 256, (count, *SHAPE)).astype("float32") / 255


def make_labels(count=5):
    return np.arange(count, dtype="int32") % CLASSES


def make_latents(count=5):
    return np.random.default_rng(1).standard_normal((count, 2)).astype("float32")


def reconstruction_in(vae, images, labels=None):
    """The expected outputs of ``serving_default``, by name, as tensors."""
    mean, log_var = vae.encode(images, labels)
    return {"reconstruction": vae.decode(mean, labels), "mean": mean, "log_var": log_var}


def reconstruction_of(vae, images, labels=None):
    """The same as NumPy arrays."""
    return {name: np.asarray(value) for name, value in reconstruction_in(vae, images, labels).items()}


def make_example(encoded, label=None):
    """A serialised tf.Example with an encoded image and its label."""
    feature = {"image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))}
    if label is not None:
        feature["label"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[int(label)]))
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def png(image):
    """An image float32 (H, W, C) in [0, 1] as PNG."""
    return tf.io.encode_png(np.round(255 * image).astype("uint8")).numpy()


def assert_answers(found, expected, tolerance=1e-5):
    """Check for the same names, and for values that agree up to the float32 rounding of a few layers."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(np.asarray(found[name]), value, rtol=0, atol=tolerance, err_msg=name)


def assert_parsing_and_decoding_wait_for_their_checks(version):
    """Check the graph itself, since an idle machine may run the check first without any dependency."""
    file = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    parsers, decoders = [], []
    for function in file.meta_graphs[0].graph_def.library.function:
        nodes = {node.name: node for node in function.node_def}
        parsers += [ancestors(node, nodes) for node in nodes.values() if node.op == "ParseExampleV2"]
        decoders += [node for node in nodes.values() if node.op == "DecodeImage"]
    assert parsers
    for before in parsers:
        # The edges from the assertion go to the parser's own constants.
        assert "DecodeProtoV2" in {node.op for node in before}
        assert any("Assert" in node.name for node in before), [node.name for node in before]
    assert decoders
    for node in decoders:
        assert any(re.match(r"\^.*Assert", name) for name in node.input), list(node.input)


def ancestors(node, nodes):
    """The nodes of a function that must run before a given node."""
    found, following = set(), [node]
    while following:
        names = {name.removeprefix("^").split(":")[0] for name in following.pop().input}
        new = (names & nodes.keys()) - found
        found |= new
        following += [nodes[name] for name in new]
    return [nodes[name] for name in found]
