"""Images to train on (bundled sample, IDX files, folders, any TFDS data set, TFRecords) and the pipeline over them."""

from keras_vae.data.augment import build_augmentation
from keras_vae.data.dataset import ArraySplit, ImageDataset, IndexedSplit, Split, StreamSplit
from keras_vae.data.folder import load_folder
from keras_vae.data.framing import Framing
from keras_vae.data.load import load_dataset
from keras_vae.data.part import Part
from keras_vae.data.pipeline import evaluation_batches, steps_per_epoch, training_batches
from keras_vae.data.tfrecord import write_tfrecords
from keras_vae.data.tfrecord_source import load_tfrecords

__all__ = [
    "ArraySplit",
    "Framing",
    "ImageDataset",
    "IndexedSplit",
    "Part",
    "Split",
    "StreamSplit",
    "build_augmentation",
    "evaluation_batches",
    "load_dataset",
    "load_folder",
    "load_tfrecords",
    "steps_per_epoch",
    "training_batches",
    "write_tfrecords",
]
