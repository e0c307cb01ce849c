"""Graphs for where loading has to be fast: all that follows from the weights alone is computed, weights stand apart.

A graph of a bundle casts its weights and puts their gates into another order each time that it is loaded. In a browser
that takes longer than all else, for the code of a cast is compiled as soon as it is hot. Folded graphs need none of it,
and what several of them have in common stands in the file of weights once.

Source: onnx/onnx.proto for the numbers of fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from asr.acoustic.graph import prepare_graph
from asr.acoustic.network import Network
from asr.acoustic.onnx_runtime import open_session, stored_weights
from asr.acoustic.protobuf import contents, read_fields, write_bytes, write_number

WEIGHTS_LOCATION = "weights"  # what folded graphs call the file of their weights

_MODEL_GRAPH, _GRAPH_INITIALIZER = 7, 5
_TENSOR_RAW, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 9, 13, 14
_EXTERNAL = 1
_MIN_BYTES = 256  # constants below stay in the graph: shapes, indices


@dataclass(frozen=True, slots=True, eq=False)
class FoldedGraphs:
    """Graphs and the weights that they share.

    Attributes:
        graphs: The ONNX graphs by name, which refer to the weights as external data at `WEIGHTS_LOCATION`, in single
            precision from its first byte on.
        weights: Shape `(num_weights,)`; in half precision if no digit is lost.
    """

    graphs: Mapping[str, bytes]
    weights: NDArray[np.floating[Any]]


def fold_graphs(network: Network, graph: bytes, streaming_graph: bytes | None = None) -> FoldedGraphs:
    """Fold the graphs of a network.

    Args:
        network: The network.
        graph: The graph of whole utterances.
        streaming_graph: That of its steps; `None` for none.

    Returns:
        Both under the names `model.onnx` and `streaming.onnx`.

    Raises:
        BundleError: If a graph does not fit the weights.
    """
    whole = stored_weights(network, graph)
    prepared = {"model.onnx": prepare_graph(graph, network.config, whole, quantized=False)}
    if streaming_graph is not None:
        prepared["streaming.onnx"] = (streaming_graph, stored_weights(network, streaming_graph))
    weights: dict[bytes, int] = {}  # where each content begins
    folded = {name: _move_weights(_fold(*each, name), weights) for name, each in prepared.items()}
    single = np.frombuffer(b"".join(weights), np.float32)
    half = single.astype(np.float16)
    return FoldedGraphs(folded, half if np.array_equal(half, single) else single)


def _fold(graph: bytes, weights: Mapping[str, NDArray[Any]], name: str) -> bytes:
    """Let ONNX Runtime compute what does not depend on the input, and return the graph with its weights inside."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / name
        options.optimized_model_filepath = str(path)
        open_session(graph, weights, name, options)
        return path.read_bytes()


def _move_weights(model: bytes, weights: dict[bytes, int]) -> bytes:
    """Return a model that refers to its weights; `weights` gets those that it lacks."""
    written = []
    for number, content, whole in read_fields(model):
        if number == _MODEL_GRAPH:
            fields = [
                write_bytes(kind, _move(inner, weights)) if kind == _GRAPH_INITIALIZER else field
                for kind, inner, field in read_fields(content)
            ]
            whole = write_bytes(number, b"".join(fields))
        written.append(whole)
    return b"".join(written)


def _move(tensor: bytes, weights: dict[bytes, int]) -> bytes:
    """Return a tensor that refers to its content, if that is large."""
    fields = list(read_fields(tensor))
    [*raw] = contents(fields, _TENSOR_RAW)
    if not raw or len(raw[0]) < _MIN_BYTES:
        return tensor
    offset = weights.setdefault(raw[0], sum(map(len, weights)))
    entries = {"location": WEIGHTS_LOCATION, "offset": str(offset), "length": str(len(raw[0]))}
    external = [
        write_bytes(_TENSOR_EXTERNAL, write_bytes(1, key.encode()) + write_bytes(2, value.encode()))
        for key, value in entries.items()
    ]
    kept = [whole for number, _, whole in fields if number != _TENSOR_RAW]
    return b"".join([*kept, *external, write_number(_TENSOR_LOCATION, _EXTERNAL)])
