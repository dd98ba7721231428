"""List a SavedModel's operations before loading it, and refuse those that access files, the network or Python."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from keras_vae.errors import InputError

# Reads messages by their descriptions, which come from a file unless they are TensorFlow's own (the default).
_READS_MESSAGES, _OWN_DESCRIPTIONS = "DecodeProtoV2", b"local://"
# The operations of a SavedModel's own saver.
_OF_SAVERS = frozenset({"SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename"})
# Operations that read or write files, talk to other processes, or call Python. A VAE needs none of them.
_REACHES_OUT = re.compile(
    "File|Reader|Dataset|Iterator|Save|Restore|Checkpoint|Vocab|Proto|Remap|Snapshot|PyFunc|Print|Summary|Debug|ImportEvent"
    "|Send|Recv|Remote|Rpc|Socket|Collective|DataService|Tpu|TPU|HostCompute|CompileAndExecute"
)


def check_operations(folder: Path) -> None:
    """Check the graph and the functions of a SavedModel. Functions that only its saver calls may save and restore.

    Raises:
        InputError: naming the refused operation, or if the file cannot be read.
    """
    path = folder / "saved_model.pb"
    # TensorFlow would read saved_model.cpb instead of the file that is checked here.
    if (folder / "saved_model.cpb").exists():
        raise InputError(f"{folder}: holds saved_model.cpb, which is refused; export the model again")
    try:
        saved_model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    # TensorFlow loads any other kind by running the graph's own saver.
    if len(saved_model.meta_graphs) != 1 or not saved_model.meta_graphs[0].HasField("object_graph_def"):
        raise InputError(
            f"{folder}: is refused, because it is not a SavedModel of TensorFlow 2; export the model again"
        )
    for node in _nodes(saved_model.meta_graphs[0]):
        if _REACHES_OUT.search(node.op) and not _reads_own_messages(node):
            raise InputError(f"{folder}: is refused, because its operation {node.op!r:.60} reaches outside the model")


def _reads_own_messages(node: Any) -> bool:
    source = node.attr.get("descriptor_source")
    return node.op == _READS_MESSAGES and (source is None or source.s == _OWN_DESCRIPTIONS)


def _nodes(graph: Any) -> Iterator[Any]:
    saver = {_node_of(graph.saver_def.save_tensor_name), _node_of(graph.saver_def.restore_op_name)}
    called_by_saver = set(_called(node for node in graph.graph_def.node if node.name in saver))
    library = graph.graph_def.library.function
    bodies = {function.signature.name: function.node_def for function in library}
    others = [node for node in graph.graph_def.node if node.name not in saver]
    others += [node for name, body in bodies.items() if name not in called_by_saver for node in body]
    # A function that others call as well must be as harmless as the rest.
    called = set(_called(others)) | set(graph.object_graph_def.concrete_functions)
    exposed = [*others, *(node for name in called_by_saver & called for node in bodies.get(name, ()))]
    everything = [*graph.graph_def.node, *(node for body in bodies.values() for node in body)]
    yield from (node for node in everything if node.op not in _OF_SAVERS)
    yield from exposed


def _called(nodes: Iterable[Any]) -> Iterator[str]:
    """Names of the functions that nodes call, through an attribute or as an operation."""
    for node in nodes:
        yield node.op
        for value in node.attr.values():
            yield value.func.name
            yield from (function.name for function in value.list.func)


def _node_of(tensor: str) -> str:
    return tensor.partition(":")[0]
