"""Harmful SavedModels are refused before anything in them runs."""

import re

import pytest
import tensorflow as tf
from stand_ins import make_manifest
from tensorflow.core.protobuf import saved_model_pb2

from keras_vae.errors import InputError
from keras_vae.export.loading import load_exported
from keras_vae.export.manifest import write_manifest
from keras_vae.export.operations import check_operations


def save(folder, function):
    """A version whose ``decode`` does what ``function`` does."""
    module = tf.Module()
    module.function = tf.function(function, input_signature=[tf.TensorSpec((None, 2), tf.float32, name="z")])
    tf.saved_model.save(module, str(folder), signatures={"decode": module.function})
    write_manifest(folder, make_manifest(latent_shape=(2,)))


@pytest.fixture
def target(tmp_path):
    return str(tmp_path / "harmed")


def writes(target):
    def decode(z):
        tf.io.write_file(target, "harm")
        return {"image": z}

    return decode


def reads(target):
    def decode(z):
        return {"image": z, "secret": tf.io.read_file("/etc/hostname")}

    return decode


def writes_within_a_branch(target):
    def harm():
        tf.io.write_file(target, "harm")
        return 1.0

    def decode(z):
        return {"image": z * tf.cond(tf.reduce_sum(z) > 0, harm, lambda: 0.0)}

    return decode


def calls_python(target):
    def decode(z):
        return {"image": tf.numpy_function(lambda values: values, [z], tf.float32)}

    return decode


def reads_records(target):
    def decode(z):
        records = tf.data.TFRecordDataset("/etc/hostname")
        return {"image": z, "secret": records.reduce(tf.constant(""), lambda so_far, record: so_far + record)}

    return decode


def saves(target):
    def decode(z):
        tf.raw_ops.SaveV2(prefix=target, tensor_names=["z"], shape_and_slices=[""], tensors=[z])
        return {"image": z}

    return decode


def prints_into_a_file(target):
    def decode(z):
        tf.print(z, output_stream=f"file://{target}")
        return {"image": z}

    return decode


def reads_descriptions_from_a_file(target):
    def decode(z):
        _, (found,) = tf.io.decode_proto(tf.constant([b""]), "m", ["f"], [tf.string], descriptor_source="/etc/hostname")
        return {"image": z, "secret": found}

    return decode


@pytest.mark.parametrize(
    "harm",
    [
        writes,
        reads,
        writes_within_a_branch,
        calls_python,
        reads_records,
        saves,
        prints_into_a_file,
        reads_descriptions_from_a_file,
    ],
)
def test_a_model_that_reaches_outside_is_refused_by_the_name_of_the_operation(harm, target, tmp_path):
    save(tmp_path / "1", harm(target))
    with pytest.raises(InputError, match=r"its operation '\w+' reaches outside the model"):
        load_exported(tmp_path / "1")
    assert not list(tmp_path.glob("harmed*"))


def test_functions_of_the_saver_are_no_way_round(tmp_path):
    """The saver's functions write files, so nothing else may call them."""
    save(tmp_path / "1", lambda z: {"image": z})
    check_operations(tmp_path / "1")
    path = tmp_path / "1" / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    (graph,) = model.meta_graphs
    names = [function.signature.name for function in graph.graph_def.library.function]
    (saving,) = [name for name in names if "traced_save" in name]
    call = graph.graph_def.node.add(name="again", op="StatefulPartitionedCall")
    call.attr["f"].func.name = saving
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=r"SaveV2|ShardedFilename|MergeV2Checkpoints"):
        check_operations(tmp_path / "1")


def change_graph(folder, change):
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    change(model)
    path.write_bytes(model.SerializeToString())


def test_the_saver_may_save_and_restore_and_nothing_else(tmp_path):
    save(tmp_path / "1", lambda z: {"image": z})

    def harm(model):
        (graph,) = model.meta_graphs
        (saving,) = [each for each in graph.graph_def.library.function if "traced_save" in each.signature.name]
        saving.node_def.add(name="harm", op="WriteFile")

    change_graph(tmp_path / "1", harm)
    with pytest.raises(InputError, match="WriteFile"):
        check_operations(tmp_path / "1")


def test_a_node_that_claims_to_be_the_saver_is_none(tmp_path):
    save(tmp_path / "1", lambda z: {"image": z})

    def harm(model):
        (graph,) = model.meta_graphs
        graph.graph_def.node.add(name="harm", op="WriteFile")
        graph.saver_def.restore_op_name = "harm"

    change_graph(tmp_path / "1", harm)
    with pytest.raises(InputError, match="WriteFile"):
        check_operations(tmp_path / "1")


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.meta_graphs[0].ClearField("object_graph_def"),
        lambda model: model.meta_graphs.add().CopyFrom(model.meta_graphs[0]),
    ],
    ids=["no objects", "two graphs"],
)
def test_models_that_are_loaded_by_running_their_saver_are_refused(change, tmp_path):
    save(tmp_path / "1", lambda z: {"image": z})
    change_graph(tmp_path / "1", change)
    with pytest.raises(InputError, match="not a SavedModel of TensorFlow 2"):
        check_operations(tmp_path / "1")


def test_a_second_graph_that_tensorflow_would_prefer_is_refused(tmp_path):
    save(tmp_path / "1", lambda z: {"image": z})
    (tmp_path / "1" / "saved_model.cpb").write_bytes(b"")
    with pytest.raises(InputError, match=r"holds saved_model\.cpb"):
        check_operations(tmp_path / "1")


def test_an_unreadable_graph_is_named(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff" * 20)
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'saved_model.pb'}: cannot be read")):
        check_operations(tmp_path)
