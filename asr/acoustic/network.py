"""A trained network as data: its settings, its weights and its graph, without a library that runs it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.acoustic.config import ModelConfig

# Raise it when the graph of the same settings changes, so that the one in a user's cache is not used any more.
GRAPH_VERSION = 2

Weights = Mapping[str, NDArray[np.floating[Any]]]


@dataclass(frozen=True, slots=True, eq=False)
class PhoneOutput:
    """The phone head: a linear layer on one of the recurrent layers.

    Attributes:
        layer: The recurrent layer, from 1.
        weights: `linear.weight` of shape `(num_phone_tokens, layer_size)` and `linear.bias`.
    """

    layer: int
    weights: Weights = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """The acoustic model, ready for any runtime.

    Attributes:
        config: Its settings.
        weights: Its weights by name, as `config.weight_shapes` lists them; half or single precision.
        phones: The phone head; `None` if there is none.
        graph: The ONNX graph of `asr.acoustic.export`, without weights; `None` if it has not been exported.
        streaming_graph: That of its steps; `None` likewise.
    """

    config: ModelConfig
    weights: Weights = field(repr=False)
    phones: PhoneOutput | None = None
    graph: bytes | None = field(default=None, repr=False)
    streaming_graph: bytes | None = field(default=None, repr=False)

    @property
    def vocabulary_size(self) -> int:
        """Characters and the blank."""
        return len(self.weights["output.bias"])

    def named_weights(self) -> dict[str, NDArray[Any]]:
        """Name every weight as the graph does.

        Returns:
            The weights of the model under `model.` and those of the phone head under `phones.`.
        """
        named = {f"model.{name}": array for name, array in self.weights.items()}
        if self.phones is not None:
            named |= {f"phones.{name}": array for name, array in self.phones.weights.items()}
        return {name: np.ascontiguousarray(array) for name, array in named.items()}
