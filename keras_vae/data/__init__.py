"""Images to train on (bundled sample, MNIST's IDX files, any TFDS data set) and the pipeline over them."""

from keras_vae.data.dataset import ArraySplit, ImageDataset, Split, StreamSplit
from keras_vae.data.load import load_dataset
from keras_vae.data.pipeline import evaluation_batches, steps_per_epoch, training_batches

__all__ = [
    "ArraySplit",
    "ImageDataset",
    "Split",
    "StreamSplit",
    "evaluation_batches",
    "load_dataset",
    "steps_per_epoch",
    "training_batches",
]
