"""The network on ONNX Runtime: numpy features go in, posteriors come out, on the CPU.

The graph holds no weights; they are handed over from the arrays of the network, so the graph never reads a file and one
graph serves every network of the same settings.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from asr.acoustic.graph import prepare_graph
from asr.acoustic.mfcc import compute_mfcc
from asr.acoustic.network import Network
from asr.acoustic.posteriors import Posteriors
from asr.acoustic.quantization import STORED, Precision
from asr.errors import BundleError

_ERRORS_ALONE = 3


class OnnxRuntime:
    """Runs a network on one thread a batch; batches run side by side on several."""

    # A batch of n takes the time of n + 0.6 waveforms. Without a limit, padding took a fifth of the time over 182
    # recordings of 2 to 35 s.
    max_padding = 0.6

    def __init__(self, network: Network, graph: bytes, precision: Precision = "float32") -> None:
        """Start a session; weights in half precision are converted once, here.

        Args:
            network: The network.
            graph: Its ONNX graph.
            precision: `float32`, or `int8` for its LSTMs.

        Raises:
            BundleError: If the graph does not fit the weights, or an LSTM is asked for and there is none.
        """
        self._config = network.config
        weights = stored_weights(network, graph)
        graph, weights = prepare_graph(graph, network.config, weights, quantized=precision == "int8")
        self._session, self._weights = open_session(graph, weights, "model.onnx")
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, waveforms: Sequence[NDArray[np.float32]]) -> list[Posteriors]:
        """Run the network over a batch, as `AcousticRuntime.run` says.

        Args:
            waveforms: Each of shape `(num_samples,)`.

        Returns:
            The posteriors of each.
        """
        features = [compute_mfcc(waveform, self._config.features) for waveform in waveforms]
        return self.run_features(features)

    def run_features(self, features: Sequence[NDArray[np.float32]]) -> list[Posteriors]:
        """Run the network over features that have been computed already.

        Args:
            features: Each of shape `(frames, num_features)`.

        Returns:
            The posteriors of each, a frame for each `subsampling` frames of features.
        """
        lengths = np.array([len(each) for each in features], np.int64)
        padded = np.zeros((len(features), int(lengths.max()), features[0].shape[1]), np.float32)
        for index, each in enumerate(features):
            padded[index, : len(each)] = each
        outputs = self._session.run(self._outputs, {"features": padded, "lengths": lengths})
        named: Mapping[str, Any] = dict(zip(self._outputs, outputs, strict=True))
        phones = named.get("phone_log_probs")  # (batch, frames, num_phone_tokens)
        counts = (-(-lengths // self._config.subsampling)).tolist()
        return [
            Posteriors(named["log_probs"][index, :count], None if phones is None else phones[index, :count])
            for index, count in enumerate(counts)
        ]


def stored_weights(network: Network, graph: bytes) -> dict[str, NDArray[Any]]:
    """Return those weights of a network that a graph needs, by the names that it has for them."""
    named = {f"{name}{STORED}": array for name, array in network.named_weights().items()}
    return {name: array for name, array in named.items() if name.encode() in graph}


def open_session(
    graph: bytes, weights: Mapping[str, NDArray[Any]], name: str, options: onnxruntime.SessionOptions | None = None
) -> tuple[onnxruntime.InferenceSession, list[onnxruntime.OrtValue]]:
    """Start a session on one thread, and hand it the weights of a network.

    Args:
        graph: An ONNX graph.
        weights: Its weights, by the names that it has for them.
        name: The file of the graph, for the message.
        options: Settings of the session to add to.

    Returns:
        The session, and the weights, which have to live as long.

    Raises:
        BundleError: If the graph does not fit the weights.
    """
    options = options or onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = _ERRORS_ALONE
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
    options.add_external_initializers(list(weights), values)
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"]), values
    except Exception as error:  # ONNX Runtime raises a dozen kinds that share no base
        reason = str(error).splitlines()[0]
        raise BundleError(f"{name} does not fit the weights ({reason}); write it again with asr export") from error
