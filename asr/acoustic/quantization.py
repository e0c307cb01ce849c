"""The LSTMs of a graph become int8: weights quantised in numpy, and the graph changed to run them.

    W ≈ scale · Q    with a scale for each unit of each gate, and Q in int8

`DynamicQuantizeLSTM` of ONNX Runtime scales its input as it comes, over the whole batch; so an utterance has to be run
by itself, and the graph takes no batches any more. What stays in single precision takes a fifth of the time.

The package `onnx`, which would change the graph in fewer lines, is 60 MB and needed nowhere else in recognition. So the
graph is changed as what it is in a file: fields of protocol buffers, of which only nodes are taken apart.

Source: Jacob et al. (2018), doi:10.1109/CVPR.2018.00286; onnx/onnx.proto for the numbers of fields.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asr.acoustic.config import ModelConfig
from asr.errors import BundleError

_Field: TypeAlias = tuple[int, bytes, bytes]  # its number, its content if that has a length, and the whole of it

_MODEL_GRAPH, _MODEL_OPSET = 7, 8
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT, _VALUE_NAME = 1, 5, 12, 1
_NODE_INPUT, _NODE_OUTPUT, _NODE_TYPE, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 1, 2, 8, 13, 14
_EXTERNAL = 1
_TYPES = {np.dtype(np.float32): 1, np.dtype(np.int8): 3}
_DOMAIN = b"com.microsoft"
_REORDER = b"GatherElements"
STORED = ".stored"  # ends the name that `asr.acoustic.export` gives a weight
_PARTS = ("int8", "scales", "zeros")
# Of weights, where products with 8-bit inputs are added up in pairs in 16 bits, which would overflow.
_LARGEST_WITHOUT = 63
_CPU_INFO = Path("/proc/cpuinfo")

Precision = Literal["float32", "int8", "auto"]


def has_fast_int8() -> bool:
    """Tell whether the processor adds products of 8 bits up in 32, as far as Linux tells."""
    try:
        features = _CPU_INFO.read_text(encoding="utf-8")
    except OSError:
        return False
    return re.search(r"\b(avx512_vnni|avx_vnni|asimddp)\b", features) is not None


def choose_precision(precision: Precision, config: ModelConfig) -> Precision:
    """Replace `auto`: by `int8` where that is fast and the network is made of LSTMs, and else by `float32`."""
    if precision != "auto":
        return precision
    return "int8" if config.cell == "lstm" and has_fast_int8() else "float32"


def quantize_network(
    graph: bytes, config: ModelConfig, weights: Mapping[str, NDArray[Any]], name: str
) -> tuple[bytes, dict[str, NDArray[Any]]]:
    """Quantise the LSTMs of a network.

    Args:
        graph: What `asr.acoustic.export` wrote.
        config: The settings of the network.
        weights: Its weights, by the names that the graph has for them.
        name: The file of the graph, for messages.

    Returns:
        The graph and its weights.

    Raises:
        BundleError: If the network has no LSTM, or the graph is none of this network.
    """
    if config.cell != "lstm":
        raise BundleError(f"the network is made of {config.cell} and cannot run in int8; take float32")
    lstms = {each for each in weights if each.removesuffix(STORED).endswith((".weight_ih_l0", ".weight_hh_l0"))}
    quantized: dict[str, NDArray[Any]] = {}
    for lstm in sorted(lstms):
        parts = quantize_weight(weights[lstm], 127 if has_fast_int8() else _LARGEST_WITHOUT)
        quantized.update(zip((f"{lstm}.{part}" for part in _PARTS), parts, strict=True))
    kept = {each: array for each, array in weights.items() if each not in lstms}
    try:
        changed = _change_model(graph, quantized)
    except (IndexError, KeyError, ValueError) as error:
        raise BundleError(f"{name} is no graph that asr export wrote ({error}); write it again") from error
    return changed, kept | quantized


def quantize_weight(
    weight: NDArray[Any], largest: int
) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.int8]]:
    """Quantise the input or recurrent weights of an LSTM, row by row.

    Args:
        weight: Shape `(4 * hidden_size, input_size)`, the gates in PyTorch's order i, f, g, o.
        largest: The greatest int8 to use.

    Returns:
        In ONNX's order i, o, f, g: int8 of shape `(1, input_size, 4 * hidden_size)`, the scales, shape
        `(1, 4 * hidden_size)`, and zeros of that shape, for nothing is shifted.
    """
    gates = np.split(weight.astype(np.float32), 4)
    ordered = np.concatenate([gates[gate] for gate in (0, 3, 1, 2)])
    scales = np.maximum(np.abs(ordered).max(axis=1), np.float32(1e-30)) / np.float32(largest)
    rounded = np.rint(ordered / scales[:, None]).astype(np.int8)
    return np.ascontiguousarray(rounded.T)[None], scales[None], np.zeros((1, len(scales)), np.int8)


def _change_model(model: bytes, weights: Mapping[str, NDArray[Any]]) -> bytes:
    """Change the graph of a model, and let it use the operators of ONNX Runtime."""
    changed = [
        _write_bytes(number, _change_graph(content, weights)) if number == _MODEL_GRAPH else whole
        for number, content, whole in _read_fields(model)
    ]
    opset = _write_bytes(_OPSET_DOMAIN, _DOMAIN) + _write_number(_OPSET_VERSION, 1)
    return b"".join([*changed, _write_bytes(_MODEL_OPSET, opset)])


def _change_graph(graph: bytes, weights: Mapping[str, NDArray[Any]]) -> bytes:
    """Change the nodes of a graph, leave out those that nothing needs any more, and declare the new weights."""
    fields = list(_read_fields(graph))
    nodes = [list(_read_fields(content)) for number, content, _ in fields if number == _GRAPH_NODE]
    # What each value is made of first: the data of a cast, a slice, a concatenation.
    origins = {
        output: inputs[0]
        for node in nodes
        if (inputs := _contents(node, _NODE_INPUT))
        for output in _contents(node, _NODE_OUTPUT)
    }
    needed = {_contents(_read_fields(output), _VALUE_NAME)[0] for output in _contents(fields, _GRAPH_OUTPUT)}
    has_lengths = any(_contents(node, _NODE_TYPE) == [_REORDER] for node in nodes)
    kept: list[bytes] = []
    for node in reversed(nodes):  # each stands behind those whose values it takes
        if needed.intersection(_contents(node, _NODE_OUTPUT)):
            changed = _change_node(node, origins, has_lengths=has_lengths)
            needed.update(_contents(_read_fields(changed), _NODE_INPUT))
            kept.append(_write_bytes(_GRAPH_NODE, changed))
    declared = [_write_bytes(_GRAPH_INITIALIZER, _declare(name, array)) for name, array in weights.items()]
    others = [
        whole
        for number, content, whole in fields
        if number not in {_GRAPH_NODE, _GRAPH_INITIALIZER}
        or (number == _GRAPH_INITIALIZER and _contents(_read_fields(content), _TENSOR_NAME)[0] in needed)
    ]
    return b"".join([*reversed(kept), *others, *declared])


def _change_node(node: list[_Field], origins: Mapping[bytes, bytes], *, has_lengths: bool) -> bytes:
    """Change a node, if it is an LSTM or puts the frames of each utterance of a batch into another order."""
    [kind], inputs = _contents(node, _NODE_TYPE), _contents(node, _NODE_INPUT)
    outputs = [_write_bytes(_NODE_OUTPUT, each) for each in _contents(node, _NODE_OUTPUT)]
    if kind == _REORDER:  # one utterance needs no order of its own: the LSTM runs backwards
        return b"".join([_write_bytes(_NODE_INPUT, inputs[0]), *outputs, _write_bytes(_NODE_TYPE, b"Identity")])
    if kind != b"LSTM":
        return b"".join(whole for _, _, whole in node)
    data, bias = inputs[0], inputs[3]
    names = [_trace(each, origins) for each in inputs[1:3]]
    quantized, scales, zeros = ([b"%b.%b" % (name, part.encode()) for name in names] for part in _PARTS)
    # A whole utterance begins at zero; a step, which has no lengths, at the states after the one before.
    states = [b"", b""] if has_lengths else inputs[5:7]
    inputs = [data, *quantized, bias, b"", *states, b""]  # neither lengths nor peepholes
    inputs += [each for pair in zip(scales, zeros, strict=True) for each in pair]
    is_backward = has_lengths and b".backward_cell." in names[0]
    backwards = [_write_bytes(_NODE_ATTRIBUTE, _BACKWARDS)] if is_backward else []
    return b"".join([
        *(_write_bytes(_NODE_INPUT, each) for each in inputs),
        *outputs,
        _write_bytes(_NODE_TYPE, b"DynamicQuantizeLSTM"),
        *(whole for number, _, whole in node if number == _NODE_ATTRIBUTE),
        *backwards,
        _write_bytes(_NODE_DOMAIN, _DOMAIN),
    ])


def _trace(value: bytes, origins: Mapping[bytes, bytes]) -> bytes:
    """Name the stored weight that a value is made of."""
    while not value.endswith(STORED.encode()):
        value = origins[value]
    return value


def _declare(name: str, array: NDArray[Any]) -> bytes:
    """Declare a weight that is handed over when the graph is opened; the file that is named is never read."""
    location = _write_bytes(1, b"location") + _write_bytes(2, b"handed over")
    return b"".join([
        *(_write_number(_TENSOR_DIMS, size) for size in array.shape),
        _write_number(_TENSOR_TYPE, _TYPES[array.dtype]),
        _write_bytes(_TENSOR_NAME, name.encode()),
        _write_bytes(_TENSOR_EXTERNAL, location),
        _write_number(_TENSOR_LOCATION, _EXTERNAL),
    ])


def _contents(fields: Iterable[_Field], wanted: int) -> list[bytes]:
    """Return the contents of all fields of a number."""
    return [content for number, content, _ in fields if number == wanted]


def _read_fields(message: bytes) -> Iterator[_Field]:
    """Take a message apart."""
    begin = 0
    while begin < len(message):
        key, end = _read_number(message, begin)
        content = b""
        match key & 7:
            case 0:  # a number
                _, end = _read_number(message, end)
            case 1:  # eight bytes
                end += 8
            case 2:  # a length, and so many bytes
                length, start = _read_number(message, end)
                end = start + length
                content = message[start:end]
            case 5:  # four bytes
                end += 4
            case other:
                raise ValueError(f"a field of type {other}")
        if end > len(message):
            raise ValueError("a field that is cut off")
        yield key >> 3, content, message[begin:end]
        begin = end


def _read_number(message: bytes, begin: int) -> tuple[int, int]:
    """Read a number of seven bits a byte, and return where it ends."""
    value = shift = 0
    while True:
        byte = message[begin]
        begin += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, begin


def _write_number(number: int, value: int) -> bytes:
    """Write a field that is a number."""
    return _encode(number << 3) + _encode(value)


def _write_bytes(number: int, content: bytes) -> bytes:
    """Write a field that has a length."""
    return _encode(number << 3 | 2) + _encode(len(content)) + content


def _encode(value: int) -> bytes:
    """Write seven bits a byte, the lowest first."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])


_BACKWARDS = _write_bytes(1, b"direction") + _write_bytes(4, b"reverse") + _write_number(20, 3)
