"""FID's features against NumPy, FID against SciPy, and the files that are refused."""

import hashlib

import numpy as np
import pytest
import tensorflow as tf
from made_up_inception import add_constant, add_node, make_graph, reference_features, write_graph
from scipy.linalg import sqrtm

from keras_vae.errors import InputError
from keras_vae.metrics import InceptionFeatures, frechet_distance


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_graph(tmp_path_factory.mktemp("inception") / "classify_image_graph_def.pb")


@pytest.fixture(scope="module")
def features(path):
    return InceptionFeatures(path)


def random_images(count, *shape, seed=0):
    return np.random.default_rng(seed).random((count, *shape), "float32")


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (5, 7, 3), (3, 2, 3), (40, 31, 3)])
def test_the_features_are_those_of_the_images_in_8_bits_at_any_size(features, shape):
    images = random_images(3, *shape)

    found = features(images)

    assert found.shape == (3, 2048)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, reference_features(images), rtol=1e-4, atol=1e-5)  # sums in float32


def test_bytes_have_the_features_of_the_floats_that_they_stand_for(features):
    pixels = np.random.default_rng(1).integers(0, 256, (4, 6, 6, 3), dtype=np.uint8)
    assert np.array_equal(features(pixels), features(pixels / np.float32(255)))


def test_values_beyond_the_range_are_clipped_as_a_file_of_8_bits_clips_them(features):
    images = random_images(2, 6, 6, 1)
    assert np.array_equal(features(4 * images - 2), features(np.clip(4 * images - 2, 0, 1)))


@pytest.mark.parametrize("count", [0, 1, 33, 64])
def test_any_number_of_images_goes_through_in_batches(features, count):
    images = random_images(count, 6, 6, 1)
    found = features(images)
    assert found.shape == (count, 2048)
    np.testing.assert_allclose(found, reference_features(images), rtol=1e-4, atol=1e-5)


def test_the_distance_of_the_features_is_fid(features):
    images, others = random_images(40, 8, 8, 1), random_images(30, 8, 8, 1, seed=1) ** 2
    first, second = reference_features(images), reference_features(others)
    covariance, other_covariance = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    # In the space that these features span, of 70 dimensions instead of 2,048.
    centred = np.concatenate([first - first.mean(axis=0), second - second.mean(axis=0)])
    span = np.linalg.svd(centred, full_matrices=False)[2].T
    root = sqrtm(span.T @ covariance @ span @ span.T @ other_covariance @ span)
    expected = np.square(first.mean(axis=0) - second.mean(axis=0)).sum()
    expected += np.trace(covariance) + np.trace(other_covariance) - 2 * np.trace(root).real

    assert frechet_distance(features(images), features(others)) == pytest.approx(expected, rel=1e-4)


def test_a_file_is_named_by_its_digest(features, path):
    assert features.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.zeros((2, 8, 8, 2), "float32"), "C of 1 or 3"),
        (np.zeros((8, 8, 3), "float32"), r"\(N, H, W, C\)"),
        (np.zeros((2, 8, 8, 3), "int32"), "floats in .0, 1. or uint8"),
        (np.full((2, 8, 8, 3), np.nan, "float32"), "not finite"),
    ],
)
def test_anything_but_images_is_refused(features, images, said):
    with pytest.raises(InputError, match=said):
        features(images)


def refusal_of(path):
    with pytest.raises(InputError) as refused:
        InceptionFeatures(path)
    message = str(refused.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("inception.pt", "pickle"),
        ("pt_inception-2015-12-05-6726825d.pth", "pickle"),
        ("inception_v3_features.PKL", "pickle"),
        ("inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5", "other weights"),
        ("inception.keras", "other weights"),
    ],
)
def test_weights_in_other_formats_are_refused_and_the_right_file_is_named(tmp_path, name, said):
    (tmp_path / name).write_bytes(b"weights")
    message = refusal_of(tmp_path / name)
    assert said in message
    assert "classify_image_graph_def.pb" in message
    assert "inception-2015-12-05.tgz" in message


def test_what_is_no_file_is_refused(tmp_path):
    assert "no such file" in refusal_of(tmp_path / "missing.pb")
    assert "is a folder" in refusal_of(tmp_path)


@pytest.mark.parametrize("cut", [1000, -1])
def test_what_is_no_graph_is_refused(tmp_path, path, cut):
    (tmp_path / "cut.pb").write_bytes(path.read_bytes()[:cut])
    assert "is not a GraphDef; FID takes classify_image_graph_def.pb" in refusal_of(tmp_path / "cut.pb")


def renamed(graph, old, new):
    for node in graph.node:
        node.name = new if node.name == old else node.name
        inputs = [new if name == old else name for name in node.input]
        del node.input[:]
        node.input.extend(inputs)
    return graph


def without(graph, name):
    kept = [node for node in graph.node if node.name != name]
    return tf.compat.v1.GraphDef(node=kept, versions=graph.versions)


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (tf.compat.v1.GraphDef(), "lacks the tensor ExpandDims:0 and pool_3:0"),
        (renamed(make_graph(), "ExpandDims", "image"), "lacks the tensor ExpandDims:0;"),
        (renamed(make_graph(), "pool_3", "features"), "lacks the tensor pool_3:0;"),
        (without(make_graph(), "conv/conv2d_params"), "lacks the node 'conv/conv2d_params'"),
        (make_graph(width=1024), r"has shape (1, 1, 1, 1024) for one image, and not (1, 1, 1, 2048)"),
    ],
)
def test_graphs_without_the_tensors_of_fid_are_refused_and_what_is_missing_is_named(tmp_path, graph, said):
    assert said in refusal_of(write_graph(tmp_path / "other.pb", graph))


def test_features_of_no_image_are_refused(tmp_path):
    graph = without(make_graph(), "pool_3")
    add_constant(graph, "pool_3", np.zeros((1, 1, 1, 2048), np.float32))
    assert "pool_3:0 does not depend on ExpandDims:0" in refusal_of(write_graph(tmp_path / "constant.pb", graph))


@pytest.mark.parametrize("part", ["type of the node", "type of its value"])
def test_a_graph_that_cannot_be_run_is_refused(tmp_path, part):
    graph = make_graph()
    scale = next(node for node in graph.node if node.name == "Mul/y")
    if part == "type of the node":
        scale.attr["dtype"].type = tf.int32.as_datatype_enum
    else:  # TensorFlow's rewriting of graphs would abort the process
        scale.attr["value"].tensor.dtype = tf.int64.as_datatype_enum
    assert "its graph cannot be run (" in refusal_of(write_graph(tmp_path / "broken.pb", graph))


def with_a_file(graph, node, operation):
    """The graph, in which ``node`` waits until another operation has written or read a file."""
    add_constant(graph, "name", b"written")
    inputs = {"ReadFile": ["name"], "WriteFile": ["name", "name"], "PyFunc": []}[operation]
    attributes = {"token": b"pyfunc_0"} if operation == "PyFunc" else {}
    add_node(graph, "stray", operation, inputs, **attributes)
    next(found for found in graph.node if found.name == node).input.append("^stray")
    return graph


@pytest.mark.parametrize("operation", ["ReadFile", "WriteFile", "PyFunc"])
def test_operations_that_reach_files_or_python_are_refused(tmp_path, operation):
    file = write_graph(tmp_path / "hostile.pb", with_a_file(make_graph(), "conv", operation))
    assert f"has the operation '{operation}', so it is refused" in refusal_of(file)


@pytest.mark.parametrize("node", ["Cast", "pool_3/_reshape"])
def test_what_is_outside_of_the_network_never_runs(tmp_path, monkeypatch, node):
    monkeypatch.chdir(tmp_path)
    graph = with_a_file(make_graph(), node, "WriteFile")
    images = random_images(2, 6, 6, 3)

    found = InceptionFeatures(write_graph(tmp_path / "graph.pb", graph))(images)

    np.testing.assert_allclose(found, reference_features(images), rtol=1e-4, atol=1e-5)
    assert [file.name for file in tmp_path.iterdir()] == ["graph.pb"]
