"""A tiny data set, its TFRecord files, and records of any kind."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_vae.data import ArraySplit, ImageDataset, load_tfrecords

SHAPE = (12, 12, 3)
CLASSES = ("cat", "dog", "bird")


def noise(count, shape=SHAPE, labels=True):
    images = np.random.default_rng(count).integers(0, 256, (count, *shape), dtype=np.uint8)
    return ArraySplit(images, (np.arange(count) % len(CLASSES)).astype(np.int32) if labels else None)


def make_dataset(labels=True, shape=SHAPE):
    splits = noise(23, shape, labels), noise(9, shape, labels)
    return ImageDataset("pets", "idx", *splits, class_names=CLASSES if labels else None, version="1.2")


def read(folder, **options):
    return load_tfrecords([folder / "train" / "*"], [folder / "test" / "*"], **options)


def png(pixels, format="png"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format)
    return file.getvalue()


def write_records(path, *records):
    """Records given as features (bytes, int or float), or serialised."""

    def feature(value):
        if isinstance(value, bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        if isinstance(value, int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))

    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for record in records:
            if isinstance(record, dict):
                features = {name: feature(value) for name, value in record.items()}
                record = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
            writer.write(record)
    return path


# A record as it should be.
GOOD = {"image/encoded": png(np.zeros(SHAPE, np.uint8)), "label": 1}
