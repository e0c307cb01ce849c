"""The network on ONNX Runtime: numpy features go in, posteriors come out, on the CPU.

The graph holds no weights; they are handed over from the arrays of the network, so the graph never reads a file and one
graph serves every network of the same settings.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from platformdirs import user_cache_dir

from asr.acoustic.mfcc import compute_mfcc
from asr.acoustic.network import Network
from asr.acoustic.posteriors import Posteriors
from asr.errors import BundleError, MissingExtraError
from asr.files import write_bytes_atomically

_log = logging.getLogger(__name__)
_ERRORS_ALONE = 3


class OnnxRuntime:
    """Runs a network on one thread a batch; batches run side by side on several."""

    def __init__(self, network: Network, graph: bytes) -> None:
        """Start a session; weights in half precision are converted once, here.

        Args:
            network: The network.
            graph: Its ONNX graph.

        Raises:
            BundleError: If the graph does not fit the weights.
        """
        self._config = network.config
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = _ERRORS_ALONE
        weights = name_initializers(network)
        self._weights = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
        options.add_external_initializers([f"{name}.stored" for name in weights], self._weights)
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises a dozen kinds that share no base
            reason = str(error).splitlines()[0]
            raise BundleError(
                f"model.onnx does not fit the weights ({reason}); write it again with asr export"
            ) from error
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


def name_initializers(network: Network) -> dict[str, NDArray[Any]]:
    """Name every weight as the graph does.

    Args:
        network: The network.

    Returns:
        The weights of the model under `model.` and those of the phone head under `phones.`.
    """
    named = {f"model.{name}": array for name, array in network.weights.items()}
    if network.phones is not None:
        named |= {f"phones.{name}": array for name, array in network.phones.weights.items()}
    return {name: np.ascontiguousarray(array) for name, array in named.items()}


def find_graph(network: Network) -> bytes:
    """Return the graph of a network; one without is exported if PyTorch is here, and kept in the user's cache.

    Args:
        network: The network.

    Returns:
        The ONNX graph.

    Raises:
        BundleError: If there is no graph, and PyTorch is not installed.
    """
    if network.graph is not None:
        return network.graph
    kept = Path(user_cache_dir("asr", appauthor=False)) / "graphs" / f"{_fingerprint(network)}.onnx"
    if kept.is_file():
        return kept.read_bytes()
    try:
        from asr.acoustic.export import export_graph
    except ImportError as error:
        raise BundleError(
            "the model has no model.onnx, which recognition on a CPU needs; run `asr export FOLDER` once where "
            '`pip install "asr[train]"` has been run'
        ) from error
    _log.info("exporting the network to ONNX, once on this machine; asr export FOLDER writes it into the model")
    try:
        graph = export_graph(network)
    except MissingExtraError as error:
        raise BundleError(f"the model has no model.onnx, and it cannot be made here: {error}") from error
    try:
        write_bytes_atomically(kept, graph)
    except OSError:
        _log.debug("%s cannot be written", kept)
    return graph


def _fingerprint(network: Network) -> str:
    """Name the graph of a network: it follows from the settings, the layer of the phones and the types of weights."""
    shapes = {name: (list(array.shape), str(array.dtype)) for name, array in name_initializers(network).items()}
    layer = network.phones.layer if network.phones else None
    text = json.dumps([1, asdict(network.config), layer, shapes], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
