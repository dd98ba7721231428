"""Serialised tf.Examples are parsed or refused; TensorFlow's own parser of them may crash."""

import numpy as np
import pytest
import tensorflow as tf

from keras_vae.data.tf_example import parse_examples

FEATURES = {"image/encoded": tf.io.FixedLenFeature((), tf.string), "label": tf.io.FixedLenFeature((), tf.int64, -1)}


def field(content, length=None):
    """Field 1 of a message: a string or a message, with a declared length that may be wrong."""
    return b"\x0a" + bytes([len(content) if length is None else length]) + content


def message(content, length=None):
    """A tf.Example with one string, whose declared length may be wrong. All lengths around it are right."""
    entry = field(b"image/encoded") + b"\x12" + field(field(field(content, length)))[1:]
    return field(field(entry))


@pytest.fixture(params=[True, False], ids=["in a graph", "eagerly"])
def parse(request):
    def parsed(examples):
        return parse_examples(examples, FEATURES)

    specification = [tf.TensorSpec((None,), tf.string)]
    return tf.function(parsed, input_signature=specification) if request.param else parsed


def test_it_gives_what_tensorflow_does(parse):
    made = tf.train.Example()
    made.features.feature["image/encoded"].bytes_list.value.append(b"abc")
    assert made.SerializeToString() == message(b"abc")
    made.features.feature["label"].int64_list.value.append(7)

    found = parse(tf.constant([message(b"abc"), made.SerializeToString()]))

    np.testing.assert_array_equal(found["image/encoded"], [b"abc", b"abc"])
    np.testing.assert_array_equal(found["label"], [-1, 7])


def test_no_examples_give_no_rows(parse):
    assert parse(tf.constant([], tf.string))["image/encoded"].shape == (0,)


@pytest.mark.parametrize("length", [4, 100, 127])
def test_a_string_that_claims_to_be_longer_than_its_message_is_refused(parse, length):
    with pytest.raises(tf.errors.DataLossError):
        parse(tf.constant([message(b"abc"), message(b"abc", length)]))


def test_a_missing_feature_is_refused_as_tensorflow_does(parse):
    with pytest.raises(tf.errors.InvalidArgumentError, match="image/encoded"):
        parse(tf.constant([b""]))
