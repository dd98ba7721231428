"""Inspect a model in LiteRT's file format, and write it smaller."""

from __future__ import annotations

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

# An integer model may convert its inputs from float and its outputs to float.
EDGES = {"QUANTIZE", "DEQUANTIZE"}
_OPERATORS = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}


def foreign_operators(model: bytes) -> list[str]:
    """Names of operators that are not LiteRT's own: TensorFlow's ("Flex…") and custom ones."""
    codes = _read(model).operatorCodes
    return sorted({code.customCode.decode() for code in codes if code.customCode})


def float_operators(model: bytes) -> list[str]:
    """Names of operators that compute in floating point, except `EDGES`."""
    read = _read(model)
    found = set()
    for graph in read.subgraphs:
        for operator in graph.operators:
            tensors = [graph.tensors[index] for index in (*operator.inputs, *operator.outputs) if index >= 0]
            if any(tensor.type in (schema.TensorType.FLOAT16, schema.TensorType.FLOAT32) for tensor in tensors):
                found.add(_OPERATORS[read.operatorCodes[operator.opcodeIndex].builtinCode])
    return sorted(found - EDGES)


def slimmed(model: bytes) -> bytes:
    """The same model without names of inner tensors, and with one empty buffer shared by all tensors without constants.

    Signatures refer to their tensors by number, so only debugging by name is lost.
    """
    read = _read(model)
    for graph in read.subgraphs:
        ends = {*graph.inputs, *graph.outputs}
        for index, tensor in enumerate(graph.tensors):
            if index not in ends:
                tensor.name = None
            if read.buffers[tensor.buffer].data is None:
                tensor.buffer = 0  # the format keeps it empty
    used = sorted(
        {0}
        | {tensor.buffer for graph in read.subgraphs for tensor in graph.tensors}
        | {entry.buffer for entry in read.metadata or ()}
    )
    number = {old: new for new, old in enumerate(used)}
    read.buffers = [read.buffers[old] for old in used]
    for holder in (*(read.metadata or ()), *(tensor for graph in read.subgraphs for tensor in graph.tensors)):
        holder.buffer = number[holder.buffer]
    builder = flatbuffers.Builder(len(model))
    builder.Finish(read.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _read(model: bytes) -> schema.ModelT:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
