"""The acoustic model of a bundle on disk: weights, phone head and graphs, each compared with the settings."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np

from asr.acoustic.config import ModelConfig
from asr.acoustic.network import Network, PhoneOutput, Weights
from asr.errors import BundleError, TensorFileError
from asr.files import load_tensors

WEIGHTS_FILE = "model.safetensors"
GRAPH_FILE = "model.onnx"
STREAMING_GRAPH_FILE = "streaming.onnx"
PHONES_FILE = "phones.safetensors"

_Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
_MAX_GRAPH_BYTES = 2**24  # the graph holds no weights, and has some ten thousand bytes


def load_network(folder: Path, config: ModelConfig, vocabulary_size: int, phone_layer: int | None) -> Network:
    """Open the acoustic model, after comparing every name and shape with the settings.

    Args:
        folder: The bundle.
        config: The settings.
        vocabulary_size: Tokens, the blank among them.
        phone_layer: The recurrent layer that the phone head reads, from 1; `None` if there is none.

    Returns:
        The network.

    Raises:
        BundleError: If a file is missing, or does not fit the settings.
    """
    described = f"config.json and tokenizer.json ({vocabulary_size - 1} characters)"
    shapes = config.weight_shapes(vocabulary_size)
    weights = _load_weights(folder / WEIGHTS_FILE, lambda found: shapes, described)
    graphs = (_load_graph(folder / name) for name in (GRAPH_FILE, STREAMING_GRAPH_FILE))
    return Network(config, weights, _load_phones(folder, config, phone_layer), *graphs)


def _load_phones(folder: Path, config: ModelConfig, layer: int | None) -> PhoneOutput | None:
    """Open the phone head, if there is one."""
    path = folder / PHONES_FILE
    if not path.exists():
        return None
    if layer is None:
        raise BundleError(f"{folder / 'config.json'}: phones.layer is missing, but there is a {PHONES_FILE}")
    size = config.layer_size

    def expect(found: _Shapes) -> _Shapes:
        num_tokens = next(iter(found.get("linear.bias", ())), 0)
        return {"linear.weight": (num_tokens, size), "linear.bias": (num_tokens,)}

    return PhoneOutput(layer, _load_weights(path, expect, "config.json"))


def _load_graph(path: Path) -> bytes | None:
    """Read the graph, if there is one."""
    if not path.exists():
        return None
    try:
        with path.open("rb") as file:
            graph = file.read(_MAX_GRAPH_BYTES + 1)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror})") from error
    if len(graph) > _MAX_GRAPH_BYTES:
        raise BundleError(f"{path}: has more than {_MAX_GRAPH_BYTES:,} bytes; write it again with asr export")
    return graph


def _load_weights(path: Path, expect: Callable[[_Shapes], _Shapes], described: str) -> Weights:
    """Read weights, after comparing their names and shapes with those that the settings ask for."""

    def check(found: _Shapes) -> None:
        expected = expect(found)
        for name in sorted(expected.keys() | found.keys()):
            if expected.get(name) != found.get(name):
                raise BundleError(
                    f"{path}: {name} has shape {found.get(name)}, but {described} ask for {expected.get(name)}; "
                    "they are not of one model"
                )

    try:
        weights, _ = load_tensors(path, check)
    except TensorFileError as error:
        raise BundleError(str(error)) from error
    for name, array in weights.items():
        if array.dtype not in {np.dtype(np.float16), np.dtype(np.float32)}:
            raise BundleError(f"{path}: {name} is of type {array.dtype}; store it as F16 or F32")
        if not np.isfinite(array).all():  # ONNX Runtime would go on with wrong numbers
            raise BundleError(f"{path}: {name} holds NaN or infinity; restore the file, or train the model again")
    return weights
