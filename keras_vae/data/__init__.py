"""Images to train on (bundled sample, MNIST's IDX files, any TFDS data set, TFRecords) and the pipeline over them."""

from keras_vae.data.dataset import ArraySplit, ImageDataset, Split, StreamSplit
from keras_vae.data.load import load_dataset
from keras_vae.data.pipeline import evaluation_batches, steps_per_epoch, training_batches
from keras_vae.data.tfrecord import write_tfrecords
from keras_vae.data.tfrecord_source import load_tfrecords

__all__ = [
    "ArraySplit",
    "ImageDataset",
    "Split",
    "StreamSplit",
    "evaluation_batches",
    "load_dataset",
    "load_tfrecords",
    "steps_per_epoch",
    "training_batches",
    "write_tfrecords",
]
