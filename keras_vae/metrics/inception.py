"""Features of the Inception network that FID is defined on, from TensorFlow's published graph of 2015.

Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision"; Heusel et al. 2017, "GANs Trained by a
Two Time-Scale Update Rule Converge to a Local Nash Equilibrium" (FID).
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from keras_vae.errors import InputError
from keras_vae.layers.image_input import check_images

_WIDTH = 2048
# The nodes whose tensors take the images, before they are resized and scaled, and give the features.
_IMAGES, _FEATURES = "ExpandDims", "pool_3"
_BATCH = 32
_FILE = (
    "FID takes classify_image_graph_def.pb, which is in "
    "https://download.tensorflow.org/models/image/imagenet/inception-2015-12-05.tgz"
)
_PICKLES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin"})
_KERAS_FILES = frozenset({".h5", ".hdf5", ".keras"})
# Protocol Buffers hold no more.
_MOST_BYTES = 2**31 - 1
# The file may come from a stranger. These operations compute on nothing but their inputs; the published graph needs
# some of them, and its variants, such as those whose normalisation is folded into the convolutions, the others.
_OPERATIONS = frozenset(
    {
        *("Const", "Placeholder", "Identity", "NoOp", "CheckNumerics"),
        *("Cast", "Reshape", "Squeeze", "ExpandDims", "Pad"),
        *("Add", "AddV2", "Sub", "Mul", "RealDiv", "Rsqrt", "BiasAdd", "Relu", "Concat", "ConcatV2", "ResizeBilinear"),
        *("Conv2D", "MatMul", "MaxPool", "AvgPool", "Mean"),
        *("BatchNormWithGlobalNormalization", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"),
    }
)


class InceptionFeatures:
    """Features of images for FID: `frechet_distance` of two sets of them is the Fréchet Inception distance.

    The features are the last pooling of the Inception network in TensorFlow's frozen graph of 2015,
    ``classify_image_graph_def.pb``. The graph itself resizes images to 299×299 and scales them. FIDs are computed from
    files of 8 bits a channel, so floats are first rounded to whole numbers out of 255, and grey images are repeated to
    RGB. The network runs on TensorFlow, whichever backend Keras uses.

    Args:
        path: the file with the graph.

    Attributes:
        sha256: the SHA-256 of the file, in hexadecimal. It tells which network a distance belongs to.

    Raises:
        InputError: if there is no such file, or it is a pickle, a file of Keras, or anything but a graph from
            ``ExpandDims:0`` to 2,048 features ``pool_3:0`` whose operations compute on their inputs alone.

    Example:
        >>> features = InceptionFeatures("classify_image_graph_def.pb")
        >>> frechet_distance(features(images), features(reconstructions))

    Reference: Szegedy et al. 2016; Heusel et al. 2017, section 4.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        content = _read(Path(path))
        self.sha256 = hashlib.sha256(content).hexdigest()
        graph_def = _between_images_and_features(content, path)
        # Deferred: metrics run on every backend. A session, since the normalisation of the graph is an operation that
        # TensorFlow runs only for graphs of that time, and a function does not remember its time.
        import tensorflow as tf

        try:
            with tf.Graph().as_default() as graph:
                tf.graph_util.import_graph_def(graph_def, name="")
            # Soft placement puts an operation without a GPU kernel on the CPU.
            config = tf.compat.v1.ConfigProto(allow_soft_placement=True)
            # TensorFlow's rewriting of graphs aborts the process at some malformed ones.
            config.graph_options.rewrite_options.disable_meta_optimizer = True
            self._session = tf.compat.v1.Session(graph=graph, config=config)
            shape = self._run(np.zeros((1, 8, 8, 3), np.float32)).shape
        except (ValueError, TypeError, tf.errors.OpError) as error:
            raise InputError(f"{path}: its graph cannot be run ({type(error).__name__}); {_FILE}") from error
        if shape != (1, 1, 1, _WIDTH):
            raise InputError(
                f"{path}: its {_FEATURES}:0 has shape {shape} for one image, and not (1, 1, 1, {_WIDTH}); {_FILE}"
            )

    def __call__(self, images: Any) -> npt.NDArray[np.float32]:
        """Features of images.

        Args:
            images: (N, H, W, C), floats in [0, 1] or uint8, C of 1 or 3, of any size.

        Returns:
            (N, 2048).

        Raises:
            InputError: if the images have another shape or dtype, or values that are not finite.
        """
        check_images("Inception", images)
        images = keras.ops.convert_to_numpy(images)
        if images.shape[-1] not in (1, 3):
            raise InputError(f"Inception needs images (N, H, W, C) with C of 1 or 3, got shape {images.shape}")
        features = np.empty((len(images), _WIDTH), np.float32)
        for start in range(0, len(images), _BATCH):
            pixels = _eight_bit(images[start : start + _BATCH])
            if pixels.shape[-1] == 1:
                pixels = np.repeat(pixels, 3, axis=-1)
            features[start : start + _BATCH] = self._run(pixels).reshape(-1, _WIDTH)
        return features

    def _run(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return self._session.run(f"{_FEATURES}:0", {f"{_IMAGES}:0": pixels})


def _eight_bit(images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Images as whole numbers from 0 to 255 in float32."""
    if images.dtype == np.uint8:
        return images.astype(np.float32)
    pixels = 255 * images.astype(np.float32)
    if not np.isfinite(pixels).all():
        raise InputError("Inception: images have values that are not finite; did the model diverge in training?")
    return np.clip(np.rint(pixels), 0, 255)


def _read(path: Path) -> bytes:
    if path.suffix.lower() in _PICKLES:
        raise InputError(f"{path}: is a pickle, which can run code when it is read, so it is refused; {_FILE}")
    if path.suffix.lower() in _KERAS_FILES:
        raise InputError(f"{path}: Keras's Inception has other weights, with which figures are no FID; {_FILE}")
    if not path.is_file():
        raise InputError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}; {_FILE}")
    try:
        content = path.read_bytes() if path.stat().st_size <= _MOST_BYTES else None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    if content is None:
        raise InputError(f"{path}: is too large for a GraphDef; {_FILE}")
    return content


def _between_images_and_features(content: bytes, path: str | os.PathLike[str]) -> Any:
    """The GraphDef of what `_FEATURES` needs, with a placeholder for `_IMAGES`.

    The graph before `_IMAGES` decodes a JPEG file and makes a batch of one, which the placeholder does not fix.
    """
    import tensorflow as tf  # deferred: see above

    try:
        graph_def = tf.compat.v1.GraphDef.FromString(content)
    except DecodeError as error:
        raise InputError(f"{path}: is not a GraphDef; {_FILE}") from error
    nodes = {node.name: node for node in graph_def.node}
    if missing := [f"{name}:0" for name in (_IMAGES, _FEATURES) if name not in nodes]:
        raise InputError(f"{path}: lacks the tensor {' and '.join(missing)}; {_FILE}")
    placeholder = tf.compat.v1.NodeDef(name=_IMAGES, op="Placeholder")
    placeholder.attr["dtype"].type = tf.float32.as_datatype_enum
    placeholder.attr["shape"].shape.CopyFrom(tf.TensorShape((None, None, None, 3)).as_proto())
    nodes[_IMAGES] = placeholder
    needed, waiting = set(), [_FEATURES]
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        if name not in nodes:
            raise InputError(f"{path}: is damaged: it lacks the node {name!r:.60}; {_FILE}")
        needed.add(name)
        # An input is a node, ^node for one that only has to run before, or node:number.
        waiting += [tensor.removeprefix("^").partition(":")[0] for tensor in nodes[name].input]
    if _IMAGES not in needed:
        raise InputError(f"{path}: its {_FEATURES}:0 does not depend on {_IMAGES}:0; {_FILE}")
    if foreign := sorted({nodes[name].op for name in needed} - _OPERATIONS):
        raise InputError(f"{path}: has the operation {foreign[0]!r:.60}, so it is refused; {_FILE}")
    chosen = [node for name, node in nodes.items() if name in needed]
    return tf.compat.v1.GraphDef(node=chosen, versions=graph_def.versions)
