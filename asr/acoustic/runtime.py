"""What runs the network: one protocol, an implementation on ONNX Runtime and one on PyTorch.

ONNX Runtime is the choice on a CPU: it starts in a tenth of a second where PyTorch takes one and a half. PyTorch runs
on CUDA, and on the CPU where asked (`torch-cpu`), as the reference that training uses.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, get_args

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_dir

from asr.acoustic.network import GRAPH_VERSION, Network
from asr.acoustic.posteriors import Posteriors
from asr.acoustic.quantization import Precision, choose_precision
from asr.errors import BundleError, DeviceError, MissingExtraError
from asr.files import write_bytes_atomically

_log = logging.getLogger(__name__)

DEVICES = ("auto", "cpu", "cuda", "torch-cpu")
PRECISIONS = get_args(Precision)


class AcousticRuntime(Protocol):
    """Anything that runs the network; several threads may use one at once.

    Attributes:
        max_padding: Padding in a batch at most, in waveforms as long as its longest: with more, two batches cost less.
    """

    max_padding: float

    def run(self, waveforms: Sequence[NDArray[np.float32]]) -> list[Posteriors]:
        """Run the network over a batch.

        Args:
            waveforms: Each of shape `(num_samples,)`, at the model's rate, one frame long at least; padded to the
                longest.

        Returns:
            The posteriors of each; those of an utterance do not depend on its neighbours beyond rounding.
        """
        ...


def open_runtime(network: Network, device: str = "auto", precision: Precision = "float32") -> AcousticRuntime:
    """Choose what runs a network on this machine.

    Args:
        network: The network.
        device: `cpu` for ONNX Runtime, `cuda` for PyTorch on a GPU, `torch-cpu` for PyTorch on the processor, or
            `auto` for a CUDA device if PyTorch is installed and finds one, and else `cpu`.
        precision: What ONNX Runtime computes LSTMs in: `float32`; `int8`, in half of the time or less; or
            `auto` for `int8` where the processor has instructions for it, and else `float32`.

    Returns:
        The runtime.

    Raises:
        DeviceError: If `cuda` is asked for and there is none, a name is not known, or PyTorch is to compute in int8.
        BundleError: If the network has no graph, and it cannot be exported here, or no LSTM for int8.
    """
    if device not in DEVICES:
        raise DeviceError(f"device {device!r} is unknown; expected {', '.join(DEVICES)}")
    if precision not in PRECISIONS:
        raise DeviceError(f"precision {precision!r} is unknown; expected {', '.join(PRECISIONS)}")
    if precision == "int8" and device not in {"auto", "cpu"}:
        raise DeviceError(f"device {device} does not compute in int8; take the device cpu, or the precision float32")
    if device == "cpu" or precision == "int8" or (device == "auto" and not _may_have_cuda()):
        return _open_onnx(network, precision)
    from asr.acoustic.device import choose_device  # imports torch, which takes a second and a half

    chosen = choose_device(device.removeprefix("torch-"))
    if device == "auto" and chosen.type == "cpu":
        return _open_onnx(network, precision)
    from asr.acoustic.torch_runtime import TorchRuntime

    return TorchRuntime(network, chosen)


def find_graph(network: Network) -> bytes:
    """Return the graph of a network; one without is exported if PyTorch is here, and kept in the user's cache.

    Args:
        network: The network.

    Returns:
        The ONNX graph.

    Raises:
        BundleError: If there is no graph, and PyTorch is not installed.
    """
    return network.graph if network.graph is not None else _make_graph(network, "model.onnx", "export_graph")


def find_streaming_graph(network: Network) -> bytes:
    """Return the graph of the steps of a network, as `find_graph` does.

    Args:
        network: The network.

    Returns:
        The ONNX graph.

    Raises:
        BundleError: If there is no graph, and PyTorch is not installed.
    """
    graph = network.streaming_graph
    return graph if graph is not None else _make_graph(network, "streaming.onnx", "export_streaming_graph")


def _make_graph(network: Network, name: str, function: str) -> bytes:
    """Take a graph from the user's cache, or export it with a function of `asr.acoustic.export`."""
    kept = Path(user_cache_dir("asr", appauthor=False)) / "graphs" / f"{_fingerprint(network)}-{name}"
    if kept.is_file():
        return kept.read_bytes()
    try:
        export = getattr(import_module("asr.acoustic.export"), function)
    except ImportError as error:
        raise BundleError(
            f"the model has no {name}, which recognition on a CPU needs; run `asr export FOLDER` once where "
            '`pip install "asr[train]"` has been run'
        ) from error
    _log.info("exporting the network to ONNX, once on this machine; asr export FOLDER writes it into the model")
    try:
        graph: bytes = export(network)
    except MissingExtraError as error:
        raise BundleError(f"the model has no {name}, and it cannot be made here: {error}") from error
    try:
        write_bytes_atomically(kept, graph)
    except OSError:
        _log.debug("%s cannot be written", kept)
    return graph


def _open_onnx(network: Network, precision: Precision) -> AcousticRuntime:
    """Open the network on ONNX Runtime."""
    from asr.acoustic.onnx_runtime import OnnxRuntime

    return OnnxRuntime(network, find_graph(network), choose_precision(precision, network.config))


def _fingerprint(network: Network) -> str:
    """Name the graph of a network: it follows from the settings, the layer of the phones and the types of weights."""
    shapes = {name: (list(array.shape), str(array.dtype)) for name, array in network.named_weights().items()}
    layer = network.phones.layer if network.phones else None
    text = json.dumps([GRAPH_VERSION, asdict(network.config), layer, shapes], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _may_have_cuda() -> bool:
    """Tell, without importing PyTorch, whether a CUDA driver and PyTorch are here."""
    return Path("/dev/nvidiactl").exists() and find_spec("torch") is not None
