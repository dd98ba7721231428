"""What a SavedModel would do, read before it is loaded: one that reaches for files, network or Python is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from keras_vae.errors import InputError

# Reads messages by descriptions of them, which lie in a file unless they are TensorFlow's own, as when none are named.
_READS_MESSAGES, _OWN_DESCRIPTIONS = "DecodeProtoV2", b"local://"
# What a SavedModel's own saver is made of.
_OF_SAVERS = frozenset({"SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename"})
# Operations that read or write files, talk to other processes, or call Python. Images to images need none of them.
_REACHES_OUT = re.compile(
    "File|Reader|Dataset|Iterator|Save|Restore|Checkpoint|Vocab|Proto|Remap|Snapshot|PyFunc|Print|Summary|Debug|ImportEvent"
    "|Send|Recv|Remote|Rpc|Socket|Collective|DataService|Tpu|TPU|HostCompute|CompileAndExecute"
)


def check_operations(folder: Path) -> None:
    """Check the graph and the functions of a SavedModel; those that its saver alone calls may save and restore.

    Raises:
        InputError: naming the operation, or when the file cannot be read.
    """
    path = folder / "saved_model.pb"
    # TensorFlow would read it instead.
    if (folder / "saved_model.cpb").exists():
        raise InputError(f"{folder}: holds saved_model.cpb, which is not read; export the model again")
    try:
        saved_model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    # Of any other, TensorFlow would run the graph's own saver to load it.
    if len(saved_model.meta_graphs) != 1 or not saved_model.meta_graphs[0].HasField("object_graph_def"):
        raise InputError(f"{folder}: is not loaded: it is no SavedModel of TensorFlow 2; export the model again")
    for node in _nodes(saved_model.meta_graphs[0]):
        if _REACHES_OUT.search(node.op) and not _reads_own_messages(node):
            raise InputError(f"{folder}: is not loaded: its operation {node.op!r:.60} reaches outside of the model")


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
    # What anything else may call has to be as harmless as the rest.
    called = set(_called(others)) | set(graph.object_graph_def.concrete_functions)
    exposed = [*others, *(node for name in called_by_saver & called for node in bodies.get(name, ()))]
    everything = [*graph.graph_def.node, *(node for body in bodies.values() for node in body)]
    yield from (node for node in everything if node.op not in _OF_SAVERS)
    yield from exposed


def _called(nodes: Iterable[Any]) -> Iterator[str]:
    """The names of the functions that nodes call, by whatever attribute, or as an operation of their own."""
    for node in nodes:
        yield node.op
        for value in node.attr.values():
            yield value.func.name
            yield from (function.name for function in value.list.func)


def _node_of(tensor: str) -> str:
    return tensor.partition(":")[0]
