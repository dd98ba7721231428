"""Inspect a model in LiteRT's file format, and write it smaller."""

from __future__ import annotations

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

# An integer model may convert its inputs from float and its outputs to float.
EDGES = {"QUANTIZE", "DEQUANTIZE"}
_OPERATORS = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}


def foreign_operators(model: bytes) -> list[str]:
    """Names of operators that are not LiteRT's own: TensorFlow's ("Flex…") and custom ones."""
    viewed = _viewed(model)
    codes = (viewed.OperatorCodes(index).CustomCode() for index in range(viewed.OperatorCodesLength()))
    return sorted({code.decode() for code in codes if code})


def float_operators(model: bytes) -> list[str]:
    """Names of operators that compute in floating point, except `EDGES`."""
    viewed = _viewed(model)
    found = set()
    for graph in map(viewed.Subgraphs, range(viewed.SubgraphsLength())):
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            ends = (
                *map(operator.Inputs, range(operator.InputsLength())),
                *map(operator.Outputs, range(operator.OutputsLength())),
            )
            types = {graph.Tensors(index).Type() for index in ends if index >= 0}
            if types & {schema.TensorType.FLOAT16, schema.TensorType.FLOAT32}:
                found.add(_OPERATORS[viewed.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()])
    return sorted(found - EDGES)


def slimmed(model: bytes) -> bytes:
    """The same model without names of inner tensors, and with one empty buffer shared by all tensors without constants.

    Signatures refer to their tensors by number, so only debugging by name is lost.
    """
    read = schema.ModelT.InitFromObj(_viewed(model))
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


def _viewed(model: bytes) -> schema.Model:
    """The model in place: to make Python's objects of all of it takes a third of a second."""
    return schema.Model.GetRootAs(model, 0)
