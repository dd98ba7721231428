"""Images to train on (bundled sample, IDX files, folders, any TFDS data set, TFRecords) and the pipeline over them.

Attributes are loaded on first use: the names of classes need no TensorFlow.
"""

from typing import TYPE_CHECKING

from keras_vae.lazy import lazy_attributes

if TYPE_CHECKING:
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

_MODULES = {
    "ArraySplit": "keras_vae.data.dataset",
    "Framing": "keras_vae.data.framing",
    "ImageDataset": "keras_vae.data.dataset",
    "IndexedSplit": "keras_vae.data.dataset",
    "Part": "keras_vae.data.part",
    "Split": "keras_vae.data.dataset",
    "StreamSplit": "keras_vae.data.dataset",
    "build_augmentation": "keras_vae.data.augment",
    "evaluation_batches": "keras_vae.data.pipeline",
    "load_dataset": "keras_vae.data.load",
    "load_folder": "keras_vae.data.folder",
    "load_tfrecords": "keras_vae.data.tfrecord_source",
    "steps_per_epoch": "keras_vae.data.pipeline",
    "training_batches": "keras_vae.data.pipeline",
    "write_tfrecords": "keras_vae.data.tfrecord",
}

__getattr__, __dir__ = lazy_attributes(__name__, _MODULES)
