"""A small graph in place of the Inception network of FID: its names, operations and version, with made-up weights."""

import numpy as np
import tensorflow as tf

WIDTH = 2048
# Images are resized to 5×5; the 3×3 convolution with a stride of 2 leaves 2×2, which are averaged.
_SIDE = 5
_EPSILON = 1e-3
# TensorFlow removed the graph's kind of normalisation for graphs of version 9 and later.
_VERSION = 8


def make_weights(width=WIDTH):
    """A convolution's kernel (3, 3, 3, width), and mean, variance and shift of its outputs."""
    rng = np.random.default_rng(0)
    return {
        "conv/conv2d_params": rng.normal(0, 0.5, (3, 3, 3, width)).astype("float32"),
        "conv/batchnorm/moving_mean": rng.normal(0, 0.2, width).astype("float32"),
        "conv/batchnorm/moving_variance": rng.uniform(0.5, 2, width).astype("float32"),
        "conv/batchnorm/beta": rng.normal(0.3, 0.2, width).astype("float32"),
        "conv/batchnorm/gamma": rng.normal(1, 0.2, width).astype("float32"),  # the graph does not use it
    }


def make_graph(width=WIDTH):
    """The GraphDef, with the decoder of JPEG files before it and the classifier's reshaping behind it."""
    graph = tf.compat.v1.GraphDef()
    graph.versions.producer = _VERSION
    add_constant(graph, "DecodeJpeg/contents", b"no JPEG")
    add_node(graph, "DecodeJpeg", "DecodeJpeg", ["DecodeJpeg/contents"], channels=3)
    add_node(graph, "Cast", "Cast", ["DecodeJpeg"], SrcT=tf.uint8, DstT=tf.float32)
    add_constant(graph, "ExpandDims/dim", 0)
    add_node(graph, "ExpandDims", "ExpandDims", ["Cast", "ExpandDims/dim"], T=tf.float32)
    add_constant(graph, "ResizeBilinear/size", np.array([_SIDE, _SIDE], np.int32))
    add_node(graph, "ResizeBilinear", "ResizeBilinear", ["ExpandDims", "ResizeBilinear/size"], T=tf.float32)
    add_constant(graph, "Sub/y", np.float32(128))
    add_node(graph, "Sub", "Sub", ["ResizeBilinear", "Sub/y"], T=tf.float32)
    add_constant(graph, "Mul/y", np.float32(1 / 128))
    add_node(graph, "Mul", "Mul", ["Sub", "Mul/y"], T=tf.float32)
    weights = make_weights(width)
    for name, array in weights.items():
        add_constant(graph, name, array)
    kernel, *statistics = weights
    add_node(graph, "conv/Conv2D", "Conv2D", ["Mul", kernel], T=tf.float32, strides=[1, 2, 2, 1], padding=b"VALID")
    add_node(
        graph,
        "conv/batchnorm",
        "BatchNormWithGlobalNormalization",
        ["conv/Conv2D", *statistics],
        T=tf.float32,
        variance_epsilon=_EPSILON,
        scale_after_normalization=False,
    )
    add_node(graph, "conv/CheckNumerics", "CheckNumerics", ["conv/batchnorm"], T=tf.float32, message=b"not finite")
    add_node(graph, "conv/control", "Identity", ["conv/batchnorm", "^conv/CheckNumerics"], T=tf.float32)
    add_node(graph, "conv", "Relu", ["conv/control"], T=tf.float32)
    window = {"ksize": [1, 2, 2, 1], "strides": [1, 1, 1, 1], "padding": b"VALID"}
    add_node(graph, "pool_3", "AvgPool", ["conv"], T=tf.float32, **window)
    add_constant(graph, "pool_3/_reshape/shape", np.array([1, width], np.int32))
    add_node(graph, "pool_3/_reshape", "Reshape", ["pool_3", "pool_3/_reshape/shape"], T=tf.float32)
    return graph


def add_constant(graph, name, value):
    """Add a Const."""
    tensor = tf.make_tensor_proto(value)
    node = add_node(graph, name, "Const", [], dtype=tf.as_dtype(tensor.dtype))
    node.attr["value"].tensor.CopyFrom(tensor)


def add_node(graph, name, operation, inputs, **attributes):
    """Add a node; returns it."""
    node = graph.node.add(name=name, op=operation, input=inputs)
    for key, value in attributes.items():
        attribute = node.attr[key]
        if isinstance(value, tf.DType):
            attribute.type = value.as_datatype_enum
        elif isinstance(value, list):
            attribute.list.i.extend(value)
        else:
            field = {bool: "b", bytes: "s", int: "i", float: "f"}[type(value)]
            setattr(attribute, field, value)
    return node


def write_graph(path, graph=None):
    """Write a GraphDef, by default `make_graph`; returns the path."""
    path.write_bytes((graph or make_graph()).SerializeToString())
    return path


def reference_features(images):
    """What the graph computes of images (N, H, W, C), floats in [0, 1]: (N, `WIDTH`), by NumPy in float64."""
    pixels = np.floor(255 * np.asarray(images, np.float64) + 0.5)
    pixels = np.broadcast_to(pixels, (*pixels.shape[:3], 3))
    x = _resized(_resized(pixels, axis=1), axis=2) / 128 - 1
    kernel, mean, variance, beta, _ = make_weights().values()
    patches = np.stack([x[:, i : i + 3, j : j + 3] for i in (0, 2) for j in (0, 2)], axis=1)
    x = np.einsum("npijc,ijcd->npd", patches, kernel.astype(np.float64))
    x = (x - mean) / np.sqrt(variance + _EPSILON) + beta
    return np.maximum(x, 0).mean(axis=1)


def _resized(pixels, axis):
    """Bilinear, as TensorFlow 1 places pixels: the i-th of the output is at i·size/`_SIDE` of the input."""
    size = pixels.shape[axis]
    at = np.arange(_SIDE) * size / _SIDE
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, size - 1)
    weight = (at - low).reshape([-1 if index == axis else 1 for index in range(4)])
    return pixels.take(low, axis) * (1 - weight) + pixels.take(high, axis) * weight
