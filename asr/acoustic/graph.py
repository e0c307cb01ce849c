"""The graph of the network is changed as it is opened: LSTMs run backwards by themselves, and in int8 if asked.

The graph that is exported reverses each utterance of a batch by gathering its frames; an LSTM of ONNX Runtime does so
at no cost. In int8 the first layer stays as it is, because its input has no bounds (`asr.acoustic.quantization`).

Source: onnx/onnx.proto for the numbers of fields.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.acoustic.config import ModelConfig
from asr.acoustic.protobuf import Field, contents, read_fields, write_bytes, write_number
from asr.acoustic.quantization import KINDS, PARTS, PINNED, STORED, list_cells, pin_cell, quantize_cell, require_lstm
from asr.errors import BundleError

_MODEL_GRAPH, _MODEL_OPSET = 7, 8
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT, _VALUE_NAME = 1, 5, 12, 1
_NODE_INPUT, _NODE_OUTPUT, _NODE_TYPE, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 1, 2, 8, 9, 13, 14
_ATTRIBUTE_NAME, _ATTRIBUTE_NUMBER, _ATTRIBUTE_TEXT, _ATTRIBUTE_KIND = 1, 3, 4, 20
_NUMBER, _TEXT, _INT32 = 2, 3, 6
_EXTERNAL = 1
_WEIGHT_DIMS = 2  # of what is added to the graph; constants have fewer
_TYPES = {np.dtype(np.float32): 1, np.dtype(np.int8): 3, np.dtype(np.int64): 7}
_DOMAIN = b"com.microsoft"
_REORDER = b"GatherElements"
_LENGTHS = b"lengths"
_FRAMES = b"batch.frames"
_FIRST_LAYER = "model.layers.0."


@dataclass(frozen=True, slots=True)
class _Changes:
    """What becomes of the nodes of a graph.

    Attributes:
        new: Weights and other constants that it gets, by name.
        config: The settings of the network.
        is_batch: Whether the graph takes whole utterances, several at once; else it takes one step of one.
    """

    new: Mapping[str, NDArray[Any]]
    config: ModelConfig
    is_batch: bool


def prepare_graph(
    graph: bytes, config: ModelConfig, weights: Mapping[str, NDArray[Any]], *, quantized: bool
) -> tuple[bytes, dict[str, NDArray[Any]]]:
    """Change the graph of whole utterances.

    Args:
        graph: What `asr.acoustic.export` wrote.
        config: The settings of the network.
        weights: Its weights, by the names that the graph has for them.
        quantized: Whether the LSTMs after the first layer are to run in int8.

    Returns:
        The graph and its weights.

    Raises:
        BundleError: If the network has no LSTM for int8, or the graph is none of this network.
    """
    if quantized:
        require_lstm(config)
    elif config.cell != "lstm":
        return graph, dict(weights)
    new: dict[str, NDArray[Any]] = {
        "batch.round": np.array([config.subsampling - 1]),
        "batch.subsampling": np.array([config.subsampling]),
    }
    if quantized:
        size = config.hidden_size
        new |= {"batch.before": np.array([0, 0, 1, 0, 0, 0]), "batch.after": np.array([0, 0, 0, 0, 0, 1])}
        new |= {"batch.start": np.array([0]), "batch.end": np.array([size]), "batch.axis": np.array([3])}
        for cell in list_cells(weights):
            if not cell.startswith(_FIRST_LAYER):
                new |= pin_cell(cell, config, weights)
    return _change(graph, weights, _Changes(new, config, is_batch=True), "model.onnx")


def quantize_steps(
    graph: bytes, config: ModelConfig, weights: Mapping[str, NDArray[Any]]
) -> tuple[bytes, dict[str, NDArray[Any]]]:
    """Quantise the LSTMs of the graph of a step; it has no neighbours, so its ranges are as they come.

    Args:
        graph: What `asr.acoustic.export` wrote.
        config: The settings of the network.
        weights: Its weights, by the names that the graph has for them.

    Returns:
        The graph and its weights.

    Raises:
        BundleError: If the network has no LSTM, or the graph is none of this network.
    """
    require_lstm(config)
    new: dict[str, NDArray[Any]] = {}
    for cell in list_cells(weights):
        new |= quantize_cell(cell, weights)
    return _change(graph, weights, _Changes(new, config, is_batch=False), "streaming.onnx")


def _change(
    graph: bytes, weights: Mapping[str, NDArray[Any]], changes: _Changes, name: str
) -> tuple[bytes, dict[str, NDArray[Any]]]:
    """Change a graph, and return the weights that it still needs."""
    try:
        changed, needed = _change_model(graph, changes)
    except (IndexError, KeyError, ValueError) as error:
        raise BundleError(
            f"{name} is no graph that asr export wrote ({error}); write it again with asr export"
        ) from error
    new = {each: array for each, array in changes.new.items() if array.ndim >= _WEIGHT_DIMS}
    return changed, {each: array for each, array in {**weights, **new}.items() if each.encode() in needed}


def _change_model(model: bytes, changes: _Changes) -> tuple[bytes, set[bytes]]:
    """Change the graph of a model, let it use the operators of ONNX Runtime, and list the values that it needs."""
    changed, needed = [], set[bytes]()
    for number, content, whole in read_fields(model):
        if number == _MODEL_GRAPH:
            graph, needed = _change_graph(content, changes)
            whole = write_bytes(number, graph)
        changed.append(whole)
    opset = write_bytes(_OPSET_DOMAIN, _DOMAIN) + write_number(_OPSET_VERSION, 1)
    return b"".join([*changed, write_bytes(_MODEL_OPSET, opset)]), needed


def _change_graph(graph: bytes, changes: _Changes) -> tuple[bytes, set[bytes]]:
    """Change the nodes of a graph, leave out those that nothing needs any more, and declare the new weights."""
    fields = list(read_fields(graph))
    nodes = [list(read_fields(content)) for number, content, _ in fields if number == _GRAPH_NODE]
    # What each value is made of first: the data of a cast, a slice, a concatenation.
    origins = {
        output: inputs[0]
        for node in nodes
        if (inputs := contents(node, _NODE_INPUT))
        for output in contents(node, _NODE_OUTPUT)
    }
    needed = {contents(read_fields(output), _VALUE_NAME)[0] for output in contents(fields, _GRAPH_OUTPUT)}
    kept: list[bytes] = []
    for node in reversed(nodes):  # each stands behind those whose values it takes
        if needed.intersection(contents(node, _NODE_OUTPUT)):
            changed = _change_node(node, origins, changes)
            needed.update(name for each in changed for name in contents(read_fields(each), _NODE_INPUT))
            kept += reversed(changed)
    counting = _count_frames() if _FRAMES in needed else []
    needed.update(name for each in counting for name in contents(read_fields(each), _NODE_INPUT))
    others = [
        whole
        for number, content, whole in fields
        if number not in {_GRAPH_NODE, _GRAPH_INITIALIZER}
        or (number == _GRAPH_INITIALIZER and contents(read_fields(content), _TENSOR_NAME)[0] in needed)
    ]
    declared = [_declare(name, array) for name, array in changes.new.items() if name.encode() in needed]
    written = [write_bytes(_GRAPH_NODE, each) for each in [*counting, *reversed(kept)]]
    return b"".join([*written, *others, *(write_bytes(_GRAPH_INITIALIZER, each) for each in declared)]), needed


def _count_frames() -> list[bytes]:
    """Count the frames of each utterance after subsampling, as an LSTM takes them."""
    return [
        _node(b"Add", [_LENGTHS, b"batch.round"], [b"batch.rounded"]),
        _node(b"Div", [b"batch.rounded", b"batch.subsampling"], [b"batch.frames_int64"]),
        _node(b"Cast", [b"batch.frames_int64"], [_FRAMES], [_number_attribute(b"to", _INT32)]),
    ]


def _change_node(node: list[Field], origins: Mapping[bytes, bytes], changes: _Changes) -> list[bytes]:
    """Change a node, if it is an LSTM or puts the frames of each utterance of a batch into another order."""
    [kind], inputs, outputs = (contents(node, each) for each in (_NODE_TYPE, _NODE_INPUT, _NODE_OUTPUT))
    if kind == _REORDER:  # LSTMs run backwards by themselves
        return [_node(b"Identity", inputs[:1], outputs)]
    if kind != b"LSTM":
        return [b"".join(whole for _, _, whole in node)]
    cell = _trace(inputs[1], origins).rpartition(b".weight_ih_l0")[0]
    if not changes.is_batch:  # it begins with the states after the step before, and has one direction
        bare = [inputs[0], b"", inputs[3], b"", *inputs[5:7]]
        return [_quantized_node(cell, bare, outputs, changes.config.hidden_size, [])]
    frames = _FRAMES if changes.config.bidirectional else b""
    is_backward = cell.endswith(b".backward_cell")
    direction = [_text_attribute(b"direction", b"reverse")] if is_backward else []
    if f"{cell.decode()}.bias" not in changes.new:
        size = _number_attribute(b"hidden_size", changes.config.hidden_size)
        return [_node(kind, [*inputs[:4], frames, *inputs[5:]], outputs, [size, *direction])]
    low, high, bounded, lower, padded, wide = (
        b"%b.%b" % (cell, name) for name in (b"low", b"high", b"bounded", b"lower", b"padded", b"wide")
    )
    bare = [padded, b"", b"%b.bias" % cell, frames, b"", b""]
    return [
        _node(b"Clip", [inputs[0], low, high], [bounded]),
        _node(b"Pad", [bounded, b"batch.before", low], [lower]),
        _node(b"Pad", [lower, b"batch.after", high], [padded]),
        _quantized_node(cell, bare, [wide], changes.config.hidden_size + PINNED, direction),
        _node(b"Slice", [wide, b"batch.start", b"batch.end", b"batch.axis"], outputs[:1]),
    ]


def _quantized_node(
    cell: bytes, bare: Sequence[bytes], outputs: Sequence[bytes], hidden_size: int, direction: Sequence[bytes]
) -> bytes:
    """Write an LSTM in int8; `bare` are its data, nothing, its bias, lengths and both states at the start."""
    names = [b"%b.%b" % (cell, kind.encode()) for kind in KINDS]
    weights, scales, zeros = ([b"%b.%b" % (name, part.encode()) for name in names] for part in PARTS)
    tail = [each for pair in zip(scales, zeros, strict=True) for each in pair]
    inputs = [bare[0], *weights, *bare[2:], b"", *tail]  # no peepholes
    attributes = [_number_attribute(b"hidden_size", hidden_size), *direction]
    return _node(b"DynamicQuantizeLSTM", inputs, outputs, attributes, _DOMAIN)


def _node(
    kind: bytes,
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    attributes: Sequence[bytes] = (),
    domain: bytes = b"",
) -> bytes:
    """Write a node."""
    return b"".join([
        *(write_bytes(_NODE_INPUT, each) for each in inputs),
        *(write_bytes(_NODE_OUTPUT, each) for each in outputs),
        write_bytes(_NODE_TYPE, kind),
        *(write_bytes(_NODE_ATTRIBUTE, each) for each in attributes),
        *([write_bytes(_NODE_DOMAIN, domain)] if domain else []),
    ])


def _number_attribute(name: bytes, value: int) -> bytes:
    """Write an attribute that is a number."""
    content = write_number(_ATTRIBUTE_NUMBER, value) + write_number(_ATTRIBUTE_KIND, _NUMBER)
    return write_bytes(_ATTRIBUTE_NAME, name) + content


def _text_attribute(name: bytes, value: bytes) -> bytes:
    """Write an attribute that is a text."""
    content = write_bytes(_ATTRIBUTE_TEXT, value) + write_number(_ATTRIBUTE_KIND, _TEXT)
    return write_bytes(_ATTRIBUTE_NAME, name) + content


def _trace(value: bytes, origins: Mapping[bytes, bytes]) -> bytes:
    """Name the stored weight that a value is made of."""
    while not value.endswith(STORED.encode()):
        value = origins[value]
    return value


def _declare(name: str, array: NDArray[Any]) -> bytes:
    """Declare a weight, which is handed over when the graph is opened, or a constant, which is part of it."""
    declared = [
        *(write_number(_TENSOR_DIMS, size) for size in array.shape),
        write_number(_TENSOR_TYPE, _TYPES[array.dtype]),
        write_bytes(_TENSOR_NAME, name.encode()),
    ]
    if array.ndim < _WEIGHT_DIMS:
        return b"".join([*declared, write_bytes(_TENSOR_RAW, array.tobytes())])
    location = write_bytes(1, b"location") + write_bytes(2, b"handed over")  # a file, which is never read
    return b"".join([
        *declared,
        write_bytes(_TENSOR_EXTERNAL, location),
        write_number(_TENSOR_LOCATION, _EXTERNAL),
    ])
